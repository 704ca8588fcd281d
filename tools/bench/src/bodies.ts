import { availableParallelism } from 'node:os'
import { join } from 'node:path'
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
import { atLeast, type Figure, inTurns, measurement, seconds } from './harness.ts'
import type { RawJob } from './raw-verify-worker.ts'

/**
 * Signed bodies through the embedded engine, and raw verification of such signatures on the same cores, in turns.
 * Signing is done before; the engine's time runs from the first bundle given until the last body is durable.
 */
export const figure: Figure = {
  name: 'bodies',
  title: 'Signed bodies executed and durable on the embedded engine, a new key and one state key each',
  async run({ dir }) {
    const cores = availableParallelism()
    const genesis = benchGenesis()
    const store = openLmdbStore({ path: join(dir, 'ledger'), chainId: sha256(genesis) })
    const verifier = verifyPool({
      workers: systemWorkers<VerifyJob, VerifyAnswer>(verifyWorkerUrl, { size: cores }),
      jobsMax: cores,
    })
    let operator: Operator | undefined
    try {
      const ledger = Ledger.open({ store, contracts: [marks], genesis })
      const { chainId } = ledger
      const untilMs = systemClock().now() + 9 * 60_000
      const signed = signBodies(chainId, (WARM_UP + ROUNDS) * PER_ROUND, untilMs)
      const engine = await openOperator({
        ledger,
        verifier,
        clock: systemClock(),
        disk: systemDisk(dir),
        logPath: 'blocks',
        markPath: 'cosign-mark',
        key: operatorKey,
        cosigner: { name: ORG, key: operatorKey },
        cosigners: () => cosignerKeys(ledger),
        sufficient: sufficientFor(ledger),
      })
      operator = engine
      const rates = await inTurns(
        {
          raw: () => rawRate(chainId, signed.slice(0, RAW_PER_ROUND), cores),
          bodies(round) {
            const from = (round + WARM_UP) * PER_ROUND
            return bodyRate(engine, bundle(chainId, signed.slice(from, from + PER_ROUND), untilMs), PER_ROUND)
          },
        },
        { rounds: ROUNDS, warmUp: WARM_UP },
      )
      return {
        measurements: [
          measurement('bodies', rates.bodies, '/s', {
            reference: { name: `raw Ed25519, ${cores} cores`, value: rates.raw, unit: '/s' },
            target: atLeast(0.35, 'ratio'),
          }),
        ],
        notes: [
          `${ROUNDS} rounds of ${PER_ROUND} bodies in bundles of ${PER_BUNDLE}, ${engine.head().height} blocks; LMDB and block log synced at each`,
          'raw: OpenSSL importing each key and verifying, on worker threads, nothing else; aim 0.5×',
        ],
      }
    } finally {
      await operator?.close()
      await verifier.close()
      store.close()
    }
  },
}

const ORG = 'bench'
const WARM_UP = 1
const ROUNDS = 4
const PER_ROUND = 5_000
const RAW_PER_ROUND = 4_000
const PER_BUNDLE = 128
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

function bundle(chain: Uint8Array, signed: readonly SignedBody[], until: number): Uint8Array[] {
  const bundles: Uint8Array[] = []
  for (let at = 0; at < signed.length; at += PER_BUNDLE) {
    const items = signed.slice(at, at + PER_BUNDLE).map(({ body, auth }) => ({ body, auth }))
    bundles.push(encodeBundle({ chain, sponsor: ORG, until, items }, operatorKey))
  }
  return bundles
}

/** Keeps the queue filled as sponsors under load would, and waits for the last body. */
async function bodyRate(operator: Operator, bundles: readonly Uint8Array[], bodies: number): Promise<number> {
  let done = 0
  const all = Promise.withResolvers<void>()
  const unsubscribe = operator.subscribe(({ outcome }) => {
    for (const { code } of outcome.results) assert(code === 0, 'every body of the benchmark takes effect')
    done += outcome.results.length
    if (done === bodies) all.resolve()
  })
  let next = 0
  const sponsor = async () => {
    while (next < bundles.length) await operator.submit(bundles[next++] as Uint8Array)
  }
  const took = await seconds(async () => {
    await Promise.all(Array.from({ length: 32 }, sponsor))
    await all.promise
  })
  unsubscribe()
  return bodies / took
}

/** OpenSSL alone on all cores: nothing but importing keys and verifying. */
async function rawRate(chainId: Uint8Array, signed: readonly SignedBody[], cores: number): Promise<number> {
  const workers = systemWorkers<RawJob, number>(new URL('./raw-verify-worker.ts', import.meta.url), {
    size: cores,
  })
  const jobs: RawJob[] = []
  for (let at = 0; at < signed.length; at += 250) jobs.push(rawJob(chainId, signed.slice(at, at + 250)))
  // The first jobs start the threads.
  await Promise.all(jobs.slice(0, cores).map((job) => workers.run(job)))
  let valid: number[] = []
  const took = await seconds(async () => {
    valid = await Promise.all(jobs.map((job) => workers.run(job)))
  })
  await workers.close()
  assert(
    valid.reduce((sum, one) => sum + one, 0) === signed.length,
    'every signature of the benchmark is valid',
  )
  return signed.length / took
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
