import { AppError, signingKey } from '@salus/core'
import {
  type AdjustableClock,
  inlineWorkers,
  type MemoryDisk,
  manualClock,
  memoryDisk,
  type Random,
  seededRandom,
} from '@salus/host'
import {
  chainIdOf,
  encodeBundle,
  type Item,
  Ledger,
  memoryStore,
  type SignedBody,
  type StateStore,
  signBody,
} from '@salus/ledger'
import { TEST_START_MS, testGenesis, testMember } from '@salus/ledger/testing'
import {
  cosignerKeys,
  type Follower,
  type Operator,
  type OperatorOptions,
  type OperatorTransport,
  openFollower,
  openOperator,
  operatorKey,
  sufficientFor,
} from '../embedded/index.ts'
import { type BundleVerifier, verifyJob, verifyPool } from '../src/index.ts'
import { notes } from './notes.ts'

export const members = ['a', 'b', 'c'] as const
export const random = seededRandom('engine tests')

/** One organisation's machine: what survives when its engine is closed and opened again. */
export interface Machine {
  readonly org: string
  readonly disk: MemoryDisk
  readonly store: StateStore
  readonly clock: AdjustableClock
  readonly verifier: BundleVerifier
}

export function machine(org: string, clock: AdjustableClock, store: StateStore = memoryStore()): Machine {
  const verifier = verifyPool({ workers: inlineWorkers(verifyJob) })
  return { org, clock, store, disk: memoryDisk(), verifier }
}

export function testClock(): AdjustableClock {
  return manualClock(TEST_START_MS + 1_000)
}

const params = { quotaUnitsPerSecond: 100_000, quotaBurstUnits: 10_000_000 }
const genesis = testGenesis({ contracts: [notes], members, params })

export function openLedger(store: StateStore): Ledger {
  return Ledger.open({ store, contracts: [notes], genesis })
}

export function testChainId(): Uint8Array {
  return chainIdOf(genesis)
}

export async function operatorOn(
  machine: Machine,
  more: Partial<OperatorOptions> = {},
): Promise<Operator & { ledger: Ledger }> {
  const ledger = openLedger(machine.store)
  const { log } = testMember(machine.org)
  const operator = await openOperator({
    ledger,
    verifier: machine.verifier,
    clock: machine.clock,
    disk: machine.disk,
    logPath: 'log/blocks',
    markPath: 'cosign-mark',
    key: log,
    cosigner: { name: machine.org, key: log },
    cosigners: () => cosignerKeys(ledger),
    sufficient: sufficientFor(ledger),
    ...more,
  })
  return Object.assign(operator, { ledger })
}

export async function followerOn(
  machine: Machine,
  transport: OperatorTransport,
): Promise<Follower & { ledger: Ledger }> {
  const ledger = openLedger(machine.store)
  const { log } = testMember(machine.org)
  const follower = await openFollower({
    ledger,
    verifier: machine.verifier,
    transport,
    clock: machine.clock,
    disk: machine.disk,
    logPath: 'log/blocks',
    markPath: 'cosign-mark',
    operator: operatorKey(ledger),
    key: log,
    cosigner: { name: machine.org, key: log },
  })
  return Object.assign(follower, { ledger })
}

/** The operator's handlers without HTTP between. `alive` false: nobody answers. */
export function directTransport(operator: () => Operator | undefined): OperatorTransport {
  const reach = () => {
    const found = operator()
    if (!found) throw new AppError('UNREACHABLE', 'no answer from the operator')
    return found
  }
  return {
    async blocks(from, waitMs, signal) {
      const aborted = new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () => reject(new AppError('UNREACHABLE', 'aborted')), {
          once: true,
        }),
      )
      await Promise.race([reach().waitAbove(from - 1, waitMs), aborted])
      return reach().blocks(from)
    },
    submit: async (bundle) => reach().submit(bundle),
    cosign: async (note) => reach().cosign(note),
  }
}

/** A body by a key that nobody has seen before. */
export function freshBody(
  chainId: Uint8Array,
  timeMs: number,
  text = 'hello',
  draw: Random = random,
): SignedBody {
  return signBody({
    chainId,
    call: 'notes/write',
    args: { text },
    untilMs: timeMs + 60_000,
    keys: [signingKey(draw(32))],
    random: draw,
  })
}

export function bundleOf(
  chainId: Uint8Array,
  timeMs: number,
  items: readonly Item[],
  sponsor = 'a',
): Uint8Array {
  const plain = items.map(({ body, auth }) => ({ body, auth }))
  return encodeBundle(
    { chain: chainId, sponsor, until: timeMs + 60_000, items: plain },
    testMember(sponsor).sign,
  )
}

/** Lets everything that is under way go on until `done`; `clock`, if given, moves 5 ms per turn. */
export async function until(done: () => boolean, what: string, clock?: AdjustableClock): Promise<void> {
  for (let turn = 0; turn < 5_000; turn++) {
    if (done()) return
    clock?.advance(5)
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`never: ${what}`)
}
