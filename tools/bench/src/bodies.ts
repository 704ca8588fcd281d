import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import {
  assert,
  bytes,
  object,
  optional,
  type SigningKey,
  sha256,
  signedMessage,
  signingKey,
  utf8,
} from '@salus/core'
import { type VerifyAnswer, type VerifyJob, verifyPool, verifyWorkerUrl } from '@salus/engine'
import { cosignerKeys, type Operator, openOperator, sufficientFor } from '@salus/engine/embedded'
import { systemClock, systemDisk, systemRandom, systemWorkers } from '@salus/host/system'
import {
  builtinContracts,
  type Contract,
  DEFAULT_PARAMS,
  defineContract,
  encodeBundle,
  encodeGenesis,
  implement,
  Ledger,
  type SignedBody,
  signBody,
} from '@salus/ledger'
import { openLmdbStore } from '@salus/ledger/lmdb'
import type { RawJob } from './raw-verify-worker.ts'

export interface BodiesFigure {
  /** Ed25519 verifications per second on all cores, every key new (import included): the reference. */
  readonly rawPerSecond: number
  /** Bodies executed and durable per second on the embedded engine: new key, one signature, one row each. */
  readonly bodiesPerSecond: number
  /** bodiesPerSecond / rawPerSecond; must reach 0.35, aim 0.5. */
  readonly ratio: number
  readonly bodies: number
  readonly blocks: number
  readonly cores: number
}

export interface BodiesOptions {
  /** Default 30,000. */
  readonly bodies?: number
  /** Bodies per bundle, at most 128. Default 128. */
  readonly perBundle?: number
}

/**
 * Signed bodies through the embedded engine, and raw verification of such signatures on the same cores, in turns.
 * Signing is done before; the engine's time runs from the first bundle given until the last body is durable.
 */
export async function benchBodies({
  bodies = 30_000,
  perBundle = 128,
}: BodiesOptions = {}): Promise<BodiesFigure> {
  const cores = availableParallelism()
  const folder = mkdtempSync(join(tmpdir(), 'salus-bench-bodies-'))
  const genesis = benchGenesis()
  const store = openLmdbStore({ path: join(folder, 'ledger'), chainId: sha256(genesis) })
  const verifier = verifyPool({
    workers: systemWorkers<VerifyJob, VerifyAnswer>(verifyWorkerUrl, { size: cores }),
    jobsMax: cores,
  })
  let operator: Operator | undefined
  try {
    const ledger = Ledger.open({ store, contracts: [marks], genesis })
    const untilMs = systemClock().now() + 9 * 60_000
    const signed = signBodies(ledger.chainId, bodies, untilMs)
    const bundles = bundle(ledger.chainId, signed, perBundle, untilMs)
    operator = await openOperator({
      ledger,
      verifier,
      clock: systemClock(),
      disk: systemDisk(folder),
      logPath: 'blocks',
      markPath: 'cosign-mark',
      key: operatorKey,
      cosigner: { name: ORG, key: operatorKey },
      cosigners: () => cosignerKeys(ledger),
      sufficient: sufficientFor(ledger),
    })
    // In turns, because the machine may be shared: both see the same share of it.
    const perRound = Math.ceil(bundles.length / ROUNDS)
    let seconds = 0
    let rawSeconds = await rawSecondsOf(ledger.chainId, signed.slice(0, RAW_PER_ROUND), cores)
    for (let round = 0; round < ROUNDS; round++) {
      const some = bundles.slice(round * perRound, (round + 1) * perRound)
      const count = Math.min(bodies - round * perRound * perBundle, perRound * perBundle)
      seconds += await run(operator, some, count)
      rawSeconds += await rawSecondsOf(ledger.chainId, signed.slice(0, RAW_PER_ROUND), cores)
    }
    const rawPerSecond = ((ROUNDS + 1) * Math.min(bodies, RAW_PER_ROUND)) / rawSeconds
    const bodiesPerSecond = bodies / seconds
    const blocks = operator.head().height
    return { rawPerSecond, bodiesPerSecond, ratio: bodiesPerSecond / rawPerSecond, bodies, blocks, cores }
  } finally {
    await operator?.close()
    await verifier.close()
    store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const ORG = 'bench'
const ROUNDS = 4
const RAW_PER_ROUND = 5_000
const operatorKey = signingKey(sha256(utf8('bench operator')))
const key = bytes('Who made the mark', { length: 32 })
const mark = object('A mark', { c: bytes('Salted commitment', { length: 32 }) })

/** One row per call, as a grant makes one. */
const marksSchema = defineContract({
  name: 'marks',
  version: 1,
  doc: 'One commitment per key.',
  rejects: { exists: 100 },
  tables: { marks: { doc: 'Marks by key', key: [key], row: mark } },
  calls: { make: { doc: 'Make the mark of the signing key.', input: mark } },
  queries: { read: { doc: 'One mark.', input: object('', { key }), output: optional(mark) } },
})

const marks: Contract = implement(marksSchema, {
  calls: {
    make(context, input) {
      const [signer] = context.signers
      if (signer === undefined || context.tables.marks.has([signer])) return context.reject('exists')
      context.tables.marks.put([signer], input)
    },
  },
  queries: { read: (view, input) => view.tables.marks.get([input.key]) },
})

function benchGenesis(): Uint8Array {
  const { publicKey } = operatorKey
  return encodeGenesis({
    v: 1,
    name: 'bench',
    timeMs: systemClock().now() - 60_000,
    engine: 'embedded',
    operator: ORG,
    members: [
      {
        org: ORG,
        name: ORG,
        url: 'https://bench.example',
        sign: publicKey,
        seal: new Uint8Array(1216),
        log: publicKey,
      },
    ],
    witnesses: [],
    // The quota is not what is measured.
    params: { ...DEFAULT_PARAMS, quotaUnitsPerSecond: 1_000_000, quotaBurstUnits: 100_000_000 },
    contracts: [...builtinContracts, marks].map(({ schema }) => ({
      name: schema.name,
      version: schema.version,
    })),
  })
}

function signBodies(
  chainId: Uint8Array,
  count: number,
  untilMs: number,
): (SignedBody & { key: SigningKey })[] {
  return Array.from({ length: count }, () => {
    const key = signingKey(systemRandom(32))
    const args = { c: systemRandom(32) }
    return {
      key,
      ...signBody({ chainId, call: 'marks/make', args, untilMs, keys: [key], random: systemRandom }),
    }
  })
}

function bundle(
  chain: Uint8Array,
  signed: readonly SignedBody[],
  perBundle: number,
  until: number,
): Uint8Array[] {
  const bundles: Uint8Array[] = []
  for (let at = 0; at < signed.length; at += perBundle) {
    const items = signed.slice(at, at + perBundle).map(({ body, auth }) => ({ body, auth }))
    bundles.push(encodeBundle({ chain, sponsor: ORG, until, items }, operatorKey))
  }
  return bundles
}

/** Keeps the queue filled as sponsors under load would, and waits for the last body. */
async function run(operator: Operator, bundles: readonly Uint8Array[], bodies: number): Promise<number> {
  let done = 0
  const all = Promise.withResolvers<void>()
  // Clocks and idle workers do not keep a process alive; an open port does.
  const { port1 } = new MessageChannel()
  port1.on('message', () => {})
  const unsubscribe = operator.subscribe(({ outcome }) => {
    for (const { code } of outcome.results) assert(code === 0, 'every body of the benchmark takes effect')
    done += outcome.results.length
    if (done === bodies) all.resolve()
  })
  const started = performance.now()
  let next = 0
  const sponsor = async () => {
    while (next < bundles.length) await operator.submit(bundles[next++] as Uint8Array)
  }
  await Promise.all(Array.from({ length: 32 }, sponsor))
  await all.promise
  const seconds = (performance.now() - started) / 1000
  unsubscribe()
  port1.close()
  return seconds
}

/** OpenSSL alone on all cores: nothing but importing keys and verifying. */
async function rawSecondsOf(
  chainId: Uint8Array,
  signed: readonly SignedBody[],
  cores: number,
): Promise<number> {
  const workers = systemWorkers<RawJob, number>(new URL('./raw-verify-worker.ts', import.meta.url), {
    size: cores,
  })
  const jobs: RawJob[] = []
  for (let at = 0; at < signed.length; at += 250) jobs.push(rawJob(chainId, signed.slice(at, at + 250)))
  // The first jobs start the threads.
  await Promise.all(jobs.slice(0, cores).map((job) => workers.run(job)))
  const started = performance.now()
  const valid = await Promise.all(jobs.map((job) => workers.run(job)))
  const seconds = (performance.now() - started) / 1000
  await workers.close()
  assert(
    valid.reduce((sum, one) => sum + one, 0) === signed.length,
    'every signature of the benchmark is valid',
  )
  return seconds
}

function rawJob(chainId: Uint8Array, signed: readonly (SignedBody & { key?: SigningKey })[]): RawJob {
  const messages = signed.map(({ body }) => signedMessage('tx', chainId, body))
  const messageBytes = messages[0]?.length ?? 0
  const joined = new Uint8Array(signed.length * (96 + messageBytes))
  signed.forEach(({ auth, key }, at) => {
    const offset = at * (96 + messageBytes)
    joined.set(key?.publicKey ?? new Uint8Array(32), offset)
    joined.set(auth[0] as Uint8Array, offset + 32)
    joined.set(messages[at] as Uint8Array, offset + 96)
  })
  return { bytes: joined, messageBytes }
}
