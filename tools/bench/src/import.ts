import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { sha256, signingKey, utf8 } from '@salus/core'
import type { WorkerPool } from '@salus/host'
import { openSql, systemClock, systemDisk, systemRandom, systemWorkers } from '@salus/host/system'
import { TileLog } from '@salus/log'
import {
  CustodyStore,
  Ingest,
  memoryOwnerKeys,
  type PrepareInput,
  type PrepareOutput,
  TokenIndex,
} from '@salus/records'
import { Vault } from '@salus/vault'
import { PlainStore } from './plain-store.ts'

/** What an import of real bundles costs, sealed and plain, in the same run. */
export interface ImportFigures {
  readonly resources: number
  /** Validated, labelled, sealed, indexed, logged, durable. */
  readonly sealedPerSecond: number
  /** The same files into a store that stores plainly and exists only in this benchmark. */
  readonly plainPerSecond: number
  /** What sealing, tokens and log add to the time of the plain path: 0.4 means 40 % more. */
  readonly overhead: number
  /** As `du` counts: blocks on the device, not content. */
  readonly bytesPerResource: Readonly<Record<'objects' | 'custody' | 'tokens' | 'log' | 'total', number>>
  readonly plainBytesPerResource: number
}

interface File {
  readonly name: string
  readonly text: string
}

const ROUNDS = 3
const PREPARE_WORKER = new URL(import.meta.resolve('@salus/records/prepare-worker'))

/**
 * Imports every JSON file of `dataDir` (two worker threads, a real disk under `dir`), sealed and plain by turns, and
 * reports the median round of each. Undefined, with a line that says so, where the data is absent.
 */
export async function benchImport(dir: string, dataDir: string): Promise<ImportFigures | undefined> {
  const files = filesOf(dataDir)
  if (files.length === 0) {
    console.warn(`bench import: skipped, no files in ${dataDir}`)
    return undefined
  }
  const pool = (): WorkerPool<PrepareInput, PrepareOutput> =>
    systemWorkers(PREPARE_WORKER, { size: 2, queueMax: 10_000 })
  const workers = pool()
  // Starting threads and loading definitions happens once in a node's life.
  const warm = files.slice(0, 2)
  await Promise.all(warm.map((file) => workers.run({ ...file, lastUpdated: '2026-01-01T00:00:00.000Z' })))
  const sealed: Round[] = []
  const plain: Round[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    plain.push(await inFolder(dir, (folder) => plainRound(folder, files, workers)))
    sealed.push(await inFolder(dir, (folder) => sealedRound(folder, files, workers)))
  }
  await workers.close()
  const ours = median(sealed)
  const theirs = median(plain)
  const per = (part: string) => Math.round((ours.bytes[part] ?? 0) / ours.resources)
  return {
    resources: ours.resources,
    sealedPerSecond: Math.round(ours.resources / ours.seconds),
    plainPerSecond: Math.round(theirs.resources / theirs.seconds),
    overhead: ours.seconds / ours.resources / (theirs.seconds / theirs.resources) - 1,
    bytesPerResource: {
      objects: per('vault'),
      custody: per('custody'),
      tokens: per('index'),
      log: per('log'),
      total: per('vault') + per('custody') + per('index') + per('log'),
    },
    plainBytesPerResource: Math.round(
      Object.values(theirs.bytes).reduce((sum, bytes) => sum + bytes, 0) / theirs.resources,
    ),
  }
}

interface Round {
  readonly resources: number
  readonly seconds: number
  readonly bytes: Readonly<Record<string, number>>
}

async function sealedRound(
  folder: string,
  files: readonly File[],
  workers: WorkerPool<PrepareInput, PrepareOutput>,
): Promise<Round> {
  const clock = systemClock()
  const disk = systemDisk(folder)
  const random = systemRandom
  const custodySql = openSql(join(folder, 'custody', 'db'), { durable: true })
  const indexSql = openSql(join(folder, 'index', 'db'), { durable: false })
  const vault = await Vault.open({ disk, path: 'vault', clock })
  const log = await TileLog.open({ disk, path: 'log', origin: 'bench.example', key: signingKey(random(32)) })
  const ingest = new Ingest({
    custody: new CustodyStore(custodySql),
    index: new TokenIndex(indexSql),
    vault,
    log,
    keys: memoryOwnerKeys(random),
    ridKey: random(32),
    chainId: sha256(utf8('bench')),
    clock,
    random,
    workers,
    target: () => undefined,
  })
  const startNs = process.hrtime.bigint()
  const reports = await Promise.all(files.map((file) => ingest.importFile(file)))
  const seconds = Number(process.hrtime.bigint() - startNs) / 1e9
  await vault.close()
  await log.close()
  custodySql.close()
  indexSql.close()
  const resources = reports.reduce((sum, { versions }) => sum + versions.length, 0)
  return { resources, seconds, bytes: sizes(folder) }
}

async function plainRound(
  folder: string,
  files: readonly File[],
  workers: WorkerPool<PrepareInput, PrepareOutput>,
): Promise<Round> {
  const custody = openSql(join(folder, 'custody', 'db'), { durable: true })
  const index = openSql(join(folder, 'index', 'db'), { durable: false })
  const vault = await Vault.open({ disk: systemDisk(folder), path: 'vault', clock: systemClock() })
  const store = new PlainStore({ custody, index, vault })
  const startNs = process.hrtime.bigint()
  const counts = await Promise.all(
    files.map(async (file) =>
      store.store(await workers.run({ ...file, lastUpdated: '2026-01-01T00:00:00.000Z' })),
    ),
  )
  const seconds = Number(process.hrtime.bigint() - startNs) / 1e9
  await vault.close()
  custody.close()
  index.close()
  return { resources: counts.reduce((sum, count) => sum + count, 0), seconds, bytes: sizes(folder) }
}

async function inFolder(dir: string, round: (folder: string) => Promise<Round>): Promise<Round> {
  const folder = join(dir, `import-${randomBytes(6).toString('hex')}`)
  for (const part of ['custody', 'index']) mkdirSync(join(folder, part), { recursive: true })
  try {
    return await round(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function sizes(folder: string): Record<string, number> {
  return Object.fromEntries(readdirSync(folder).map((part) => [part, allocated(join(folder, part))]))
}

function allocated(path: string): number {
  const stat = statSync(path)
  const own = stat.blocks * 512
  return stat.isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + allocated(join(path, name)), own)
    : own
}

function median(rounds: readonly Round[]): Round {
  const sorted = [...rounds].sort((a, b) => a.seconds - b.seconds)
  return sorted[Math.floor(sorted.length / 2)] as Round
}

function filesOf(dataDir: string): File[] {
  try {
    return readdirSync(dataDir)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => ({ name, text: readFileSync(join(dataDir, name), 'utf8') }))
  } catch {
    return []
  }
}
