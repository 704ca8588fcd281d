import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AppError, fromHex, sha256, signingKey, toHex } from '@salus/core'
import { systemNetwork, systemRandom } from '@salus/host/system'
import { signBody } from '@salus/ledger'
import { type Connection, connect, execute, sendForJson, withToken } from '@salus/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addStaff, Constellation, importText } from '../src/index.ts'
import { temporaryDir } from './temporary-dir.ts'

const run = promisify(execFile)
const HERE = fileURLToPath(new URL('.', import.meta.url))
const CLI = fileURLToPath(new URL('../../../apps/cli/src/main.ts', import.meta.url))
const ORG = 'hospital-a'
const PATIENT = 'Patient/under-load'
const KILLS = Number(process.env['SALUS_KILLS'] ?? 5)
const SEED = Number(process.env['SALUS_SEED'] ?? Math.floor(performance.timeOrigin % 1_000_000))
const HOUR_MS = 3_600_000

const { dir, remove } = temporaryDir()
const random = numbersFrom(SEED)
const args: string[] = []
let genesisId: string
let node: ChildProcess | undefined
let admin: Connection
let clinician: Connection
let acknowledged: () => void = () => undefined

/** What the node said yes to, and so must never lose. */
const kept = { files: [] as string[][], grants: [] as Uint8Array[] }

beforeAll(async () => {
  const net = await Constellation.start({ dir, members: [{ org: ORG, name: 'Hospital A' }] })
  genesisId = net.genesisId
  const url = net.urlOf(ORG)
  const { token } = net.node(ORG).identity.staff.addFirstAdmin('Admin', 90 * 24 * HOUR_MS)
  admin = withToken(connect({ url, network: systemNetwork() }), token)
  clinician = (await addStaff(admin, 'Dr A', ['clinician'])).connection
  await importText(
    admin,
    JSON.stringify({ resourceType: 'Patient', id: 'under-load', name: [{ family: 'Load' }] }),
  )
  await net.close()
  const root = join(`${dir}-keys`, `${ORG}.root`)
  args.push(
    join(HERE, 'node-child.ts'),
    net.dataDir(ORG),
    root,
    join(dir, 'genesis.cbor'),
    ORG,
    new URL(url).port,
  )
})

afterAll(async () => {
  await kill()
  remove()
})

test(`${KILLS} kills under load lose nothing acknowledged, and an audit finds nothing (seed ${SEED})`, {
  timeout: 30_000 + KILLS * 20_000,
}, async () => {
  console.log(`node-kill: SALUS_SEED=${SEED} SALUS_KILLS=${KILLS}`)
  for (let at = 0; at < KILLS; at += 1) {
    expect(await start()).toBe('ready')
    if (at === 0) expect(await secondStart()).toMatch(/^refused DISK_LOCKED /)
    await checkKept()
    // Workers start with the first import and the first body; from then on it hits whatever is under way.
    const before = { files: kept.files.length, grants: kept.grants.length }
    const underLoad = new Promise<void>((resolve) => {
      acknowledged = () => {
        if (kept.files.length > before.files && kept.grants.length > before.grants) resolve()
      }
    })
    const loads = [importing(at), importing(at + 1_000), transacting(), transacting()]
    await Promise.race([underLoad, Promise.all(loads)])
    await new Promise((resolve) => setTimeout(resolve, random() * 500))
    await kill()
    await Promise.all(loads)
    await audit()
  }
  expect(await start()).toBe('ready')
  await checkKept()
  expect(kept.files.length).toBeGreaterThanOrEqual(KILLS)
  expect(kept.grants.length).toBeGreaterThanOrEqual(KILLS)
  console.log(`node-kill: ${kept.files.flat().length} records and ${kept.grants.length} grants kept`)
})

/** Imports files until the node is gone; notes those that were acknowledged. */
async function importing(worker: number): Promise<void> {
  for (let at = 0; ; at += 1) {
    const lines = Array.from({ length: 1 + Math.floor(random() * 25) }, (_, index) =>
      JSON.stringify({
        resourceType: 'Observation',
        id: `o-${worker}-${at}-${index}-${toHex(systemRandom(4))}`,
        status: 'final',
        code: { text: 'x'.repeat(Math.floor(random() * 3_000)) },
        subject: { reference: PATIENT },
      }),
    )
    try {
      await importText(admin, lines.join('\n'))
    } catch (error) {
      if (isGone(error)) return
      throw error
    }
    kept.files.push(lines)
    acknowledged()
  }
}

/** Makes grants until the node is gone; notes those that were final. */
async function transacting(): Promise<void> {
  for (;;) {
    const key = signingKey(systemRandom(32))
    // What a controller key may name (protocol §4).
    const g = sha256(key.publicKey).slice(0, 16)
    const na = Math.ceil(Date.now() / HOUR_MS + 2) * HOUR_MS
    const item = signBody({
      chainId: fromHex(genesisId),
      call: 'consent/grant',
      args: { g, c: systemRandom(32), k: key.publicKey, na },
      untilMs: Date.now() + 5 * 60_000,
      keys: [key],
      random: systemRandom,
    })
    try {
      await execute(admin, item)
    } catch (error) {
      if (isGone(error)) return
      throw error
    }
    kept.grants.push(g)
    acknowledged()
  }
}

/** The node was killed while it answered; anything else that goes wrong is told. */
function isGone(error: unknown): boolean {
  return error instanceof AppError && error.code === 'UNREACHABLE'
}

/** Everything acknowledged so far is there: records as they came, grants as final. */
async function checkKept(): Promise<void> {
  const lines = kept.files.flat()
  if (lines.length > 0) {
    const report = (await sendForJson(admin, 'POST', '/import?name=again.ndjson', {
      raw: { type: 'application/fhir+ndjson', body: lines.join('\n') },
    })) as { unchanged: number; rejected: unknown[] }
    expect(report).toMatchObject({ unchanged: lines.length, rejected: [] })
    const { id } = JSON.parse(lines[Math.floor(random() * lines.length)] as string) as { id: string }
    expect(await sendForJson(clinician, 'GET', `/fhir/Observation/${id}`)).toMatchObject({ id })
  }
  for (const g of kept.grants.slice(-50)) {
    const row = await sendForJson(admin, 'POST', '/ledger/query/consent/grant', {
      json: { g: Buffer.from(g).toString('base64url') },
    })
    expect(row).toMatchObject({ state: 'active' })
  }
}

/** The killed directory as it lies there, recomputed by another process. */
async function audit(): Promise<void> {
  const { stdout } = await run(
    process.execPath,
    [CLI, 'audit', args[1] ?? '', '--genesis', genesisId, '--json', '--quiet'],
    {
      maxBuffer: 16 * 1024 * 1024,
    },
  ).catch((error: { stdout?: string; stderr?: string }) => ({ stdout: error.stdout || String(error.stderr) }))
  expect(stdout.startsWith('{') ? JSON.parse(stdout) : stdout).toMatchObject({ ok: true })
}

function start(): Promise<string> {
  node = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return firstLine(node)
}

/** Another process on the same directory. */
async function secondStart(): Promise<string> {
  return firstLine(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let said = ''
    child.stdout?.on('data', (chunk) => {
      said += String(chunk)
      const end = said.indexOf('\n')
      if (end >= 0) resolve(said.slice(0, end))
    })
    child.once('exit', () => resolve(said === '' ? 'exited' : said.trim()))
  })
}

async function kill(): Promise<void> {
  const child = node
  node = undefined
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

/** Numbers in [0, 1) that follow from a seed. */
function numbersFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
