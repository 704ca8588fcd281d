import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { assert, sha256, signingKey, utf8 } from '@salus/core'
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
import { allocatedBytes } from './allocated.ts'
import { type FhirFile, fhirFiles } from './fhir-files.ts'
import { atLeast, atMost, type Figure, inTurns, measurement } from './harness.ts'
import { PlainStore } from './plain-store.ts'

const ROUNDS = 3
const PREPARE_WORKER = new URL(import.meta.resolve('@salus/records/prepare-worker'))
const PARTS = { objects: 'vault', wraps: 'custody', tokens: 'index', log: 'log' } as const

/** What an import of real bundles costs, sealed and plain, in the same run; two worker threads and a real disk. */
export const figure: Figure = {
  name: 'import',
  title: 'Import: validated, labelled, sealed, indexed, logged, durable',
  async run({ dir, repoDir, dataDir }) {
    const { files, source } = fhirFiles({ dataDir, repoDir })
    const workers: WorkerPool<PrepareInput, PrepareOutput> = systemWorkers(PREPARE_WORKER, {
      size: 2,
      queueMax: 10_000,
    })
    const last: { sealed?: Round; plain?: Round } = {}
    try {
      // Starting threads and loading definitions happens once in a node's life.
      const warm = files.slice(0, 2)
      await Promise.all(warm.map((file) => workers.run({ ...file, lastUpdated: '2026-01-01T00:00:00.000Z' })))
      const seconds = await inTurns(
        {
          async plain() {
            last.plain = await inFolder(dir, (folder) => plainRound(folder, files, workers))
            return last.plain.seconds
          },
          async sealed() {
            last.sealed = await inFolder(dir, (folder) => sealedRound(folder, files, workers))
            return last.sealed.seconds
          },
        },
        { rounds: ROUNDS, warmUp: 0 },
      )
      const { sealed, plain } = last
      assert(sealed !== undefined && plain !== undefined, 'both were run')
      const per = (part: string) => (sealed.bytes[part] ?? 0) / sealed.resources
      const total = Object.values(PARTS).reduce((sum, part) => sum + per(part), 0)
      const plainTotal = Object.values(plain.bytes).reduce((sum, bytes) => sum + bytes, 0) / plain.resources
      return {
        measurements: [
          measurement('resources imported', sealed.resources / seconds.sealed, '/s', {
            reference: {
              name: 'plain twin',
              value: plain.resources / seconds.plain,
              unit: '/s',
            },
            target: atLeast(1_000),
          }),
          measurement('time per resource', (seconds.sealed / sealed.resources) * 1000, 'ms', {
            reference: { name: 'plain twin', value: (seconds.plain / plain.resources) * 1000, unit: 'ms' },
            target: atMost(1.4, 'ratio'),
          }),
          measurement('disk per resource, allocated', total, 'B', {
            reference: { name: 'plain twin', value: plainTotal, unit: 'B' },
            target: atMost(4_096),
          }),
          ...Object.entries(PARTS).map(([name, part]) => measurement(`  of it ${name}`, per(part), 'B')),
        ],
        notes: [
          `${source}: ${sealed.resources} resources stored, ${ROUNDS} rounds of each in turns`,
          'plain twin: the same files, preparation, vault and database with plain JSON, labels and search values, no keys, no log',
          'without ledger, audit events and HTTP: the figure `node` has those',
        ],
      }
    } finally {
      await workers.close()
    }
  },
}

interface Round {
  readonly resources: number
  readonly seconds: number
  readonly bytes: Readonly<Record<string, number>>
}

async function sealedRound(
  folder: string,
  files: readonly FhirFile[],
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
  files: readonly FhirFile[],
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
  return Object.fromEntries(readdirSync(folder).map((part) => [part, allocatedBytes(join(folder, part))]))
}
