import { AppError, encode, equal, isAppError, type SigningKey, signAs, toHex, txIdOf } from '@salus/core'
import type { Clock, Random, Timer } from '@salus/host'
import {
  CODES,
  decodeBody,
  decodeBundle,
  encodeBundle,
  type Item,
  type Ledger,
  MAX_BODY_BYTES,
  MAX_BUNDLE_BODIES,
  MAX_BUNDLE_BYTES,
  runtimeCodeName,
  UNTIL_WINDOW_MS,
} from '@salus/ledger'
import type { CommittedBlock, Engine } from './engine.ts'
import { shuffled } from './order.ts'
import { type Following, type TxStatus, tracker } from './tracker.ts'
import type { BundleVerifier } from './verify-pool.ts'

export interface SponsorOptions {
  /** This organisation's id; its quota pays. */
  readonly org: string
  /** Its `sign` key. */
  readonly key: SigningKey
  readonly ledger: Ledger
  readonly engine: Engine
  readonly verifier: BundleVerifier
  readonly clock: Clock
  readonly random: Random
  /** How long privacy-sensitive calls are collected before they are shuffled, ms (network parameter). Default 0. */
  readonly tickMs?: number
  /** Which calls wait for the tick, and which never wait. Defaults PRIVATE_CALLS and URGENT_CALLS. */
  readonly privateCalls?: ReadonlySet<string>
  readonly urgentCalls?: ReadonlySet<string>
  /** Bundle after so many waiting bodies, or so long after the first. Defaults 64 and 50 ms. */
  readonly flushBodies?: number
  readonly flushMs?: number
  /** Bodies that may wait. Default 8,192. */
  readonly waitingMax?: number
}

/** The sponsor's word that it took a body (protocol §11, Following). */
export interface Acceptance {
  readonly txId: Uint8Array
  /** What is signed: DAG-CBOR `{v, kind: "tx-acceptance", sponsor, txId, until, timeMs}`. */
  readonly acceptance: Uint8Array
  /** Signature of type `statement` by the sponsor's sign key. */
  readonly sig: Uint8Array
}

/** Puts people's bodies into bundles of one organisation and follows them. */
export interface Sponsor {
  /**
   * Takes a signed body. Resolves at once with a signed acceptance; the same body again gives the same acceptance.
   * @throws {AppError} TX_REFUSED with the runtime code in `data.code`, SPONSOR_FULL with `retryAfterMs`, SPONSOR_CLOSED
   */
  submit(item: Item): Promise<Acceptance>
  follow(txId: Uint8Array): Following
  status(txId: Uint8Array): TxStatus
  /** Bodies that wait for a bundle. */
  readonly waiting: number
  /** Bundles what waits and gives it to the engine. */
  close(): Promise<void>
}

/** Calls that members could tie to a person by their timing; they wait for the tick and are shuffled (protocol §10). */
export const PRIVATE_CALLS: ReadonlySet<string> = new Set([
  'consent/grant',
  'consent/rotate',
  'consent/delegate',
  'identity/armRecovery',
])

/** Calls that take something away: bundled at once. */
export const URGENT_CALLS: ReadonlySet<string> = new Set([
  'consent/revoke',
  'consent/endDelegation',
  'consent/emergency',
  'identity/cancelRecovery',
])

interface Waiting {
  readonly item: Item
  readonly txId: Uint8Array
  readonly untilMs: number
  readonly sizeBytes: number
}

export function openSponsor(options: SponsorOptions): Sponsor {
  const { org, key, ledger, engine, verifier, clock, random } = options
  const { tickMs = 0, flushBodies = 64, flushMs = 50, waitingMax = 8_192 } = options
  const { privateCalls = PRIVATE_CALLS, urgentCalls = URGENT_CALLS } = options
  const track = tracker()
  const accepted = new Map<string, { acceptance: Promise<Acceptance>; untilMs: number }>()
  /** Bundles given to the engine and not yet seen in a block, by id. */
  const given = new Map<string, { wire: Uint8Array; untilMs: number }>()
  let prompt: Waiting[] = []
  let quiet: Waiting[] = []
  let promptTimer: Timer | undefined
  let tickTimer: Timer | undefined
  let closed = false
  const tasks = new Set<Promise<void>>()

  for (const block of recentBlocks(engine)) track.committed(block)
  const unsubscribe = engine.subscribe((block) => {
    track.committed(block)
    for (const { bundleId, code } of block.outcome.bundles) {
      const name = toHex(bundleId)
      const own = given.get(name)
      given.delete(name)
      // The bucket ran dry between admission and block: the bodies did not run and may still.
      if (own && code === CODES.QUOTA) start(giveLater(own.wire, own.untilMs))
    }
    for (const [name, { untilMs }] of accepted) if (untilMs < block.timeMs) accepted.delete(name)
  })

  function flushPrompt(): void {
    promptTimer?.cancel()
    promptTimer = undefined
    const items = prompt
    prompt = []
    bundleUp(items)
  }

  function flushQuiet(): void {
    tickTimer?.cancel()
    tickTimer = undefined
    const items = shuffled(quiet, random)
    quiet = []
    bundleUp(items)
  }

  function bundleUp(items: readonly Waiting[]): void {
    for (const batch of batches(items, flushBodies)) start(bundle(batch))
  }

  function start(work: Promise<void>): void {
    // What could not be given lapses at its until; whoever follows it is told then.
    const task = work.catch(() => {})
    tasks.add(task)
    void task.finally(() => tasks.delete(task))
  }

  async function bundle(batch: readonly Waiting[]): Promise<void> {
    const until = batch.reduce((latest, { untilMs }) => Math.max(latest, untilMs), 0)
    const wire = encodeBundle(
      { chain: ledger.chainId, sponsor: org, until, items: batch.map(({ item }) => item) },
      key,
    )
    // Each body was verified when it was taken.
    const sponsorKey = ledger.sponsorKey(org)
    if (sponsorKey && equal(sponsorKey, key.publicKey))
      verifier.remember(wire, sponsorKey, new Uint8Array(batch.length + 1).fill(1))
    for (const { txId } of batch) track.bundled(txId)
    await give(wire, until)
  }

  async function giveLater(wire: Uint8Array, untilMs: number): Promise<void> {
    await new Promise<void>((resolve) => clock.schedule(RETRY_MS, resolve))
    await give(wire, untilMs)
  }

  /** Gives a bundle until it is taken or expired: the operator may be away for a while. */
  async function give(wire: Uint8Array, untilMs: number): Promise<void> {
    given.set(toHex(decodeBundle(wire).bundleId), { wire, untilMs })
    for (;;) {
      try {
        return await engine.submit(wire)
      } catch (error) {
        const code = isAppError(error) ? error.code : undefined
        const late = Math.max(clock.now(), ledger.head.timeMs) > untilMs
        if (!RETRY.has(code) || closed || late) throw error
        await new Promise<void>((resolve) => clock.schedule(RETRY_MS, resolve))
      }
    }
  }

  async function accept(item: Item, txId: Uint8Array): Promise<Acceptance> {
    const { until, call, keys } = decodeBody(item.body)
    if (keys.length !== item.auth.length) throw refused(CODES.BAD_SIGNATURE)
    // A bad signature would cost this organisation ten units, so it is looked for before the body is taken.
    if (!(await verifier.verifyItem(item))) throw refused(CODES.BAD_SIGNATURE)
    if (closed)
      throw new AppError('SPONSOR_CLOSED', 'this node is stopping; give the body to another organisation')
    const timeMs = clock.now()
    const acceptance = encode({ v: 1, kind: 'tx-acceptance', sponsor: org, txId, until, timeMs })
    const answer = { txId, acceptance, sig: signAs(key, 'statement', ledger.chainId, acceptance) }
    track.queued(txId, until)
    const waiting = { item, txId, untilMs: until, sizeBytes: sizeOf(item) }
    if (privateCalls.has(call) && tickMs > 0) {
      quiet.push(waiting)
      tickTimer ??= clock.schedule(tickMs, flushQuiet)
    } else {
      prompt.push(waiting)
      if (urgentCalls.has(call) || prompt.length >= flushBodies) flushPrompt()
      else promptTimer ??= clock.schedule(flushMs, flushPrompt)
    }
    return answer
  }

  return {
    get waiting() {
      return prompt.length + quiet.length
    },
    status: track.status,
    follow: track.follow,
    async submit(item) {
      if (closed)
        throw new AppError('SPONSOR_CLOSED', 'this node is stopping; give the body to another organisation')
      const txId = txIdOf(ledger.chainId, item.body)
      const name = toHex(txId)
      const before = accepted.get(name)
      if (before) return before.acceptance
      const code = ledger.checkBody(item.body, txId, Math.max(ledger.head.timeMs + 1, clock.now()))
      if (code !== CODES.OK) throw refused(code)
      if (sizeOf(item) > ITEM_MAX_BYTES) throw refused(CODES.MALFORMED)
      if (accepted.size >= 8 * waitingMax || prompt.length + quiet.length >= waitingMax)
        throw new AppError(
          'SPONSOR_FULL',
          'too many bodies wait here; give it again a little later, or to another organisation',
          {
            retryAfterMs: 1_000,
          },
        )
      const acceptance = accept(item, txId)
      accepted.set(name, { acceptance, untilMs: decodeBody(item.body).until })
      acceptance.catch(() => accepted.delete(name))
      return acceptance
    },
    async close() {
      flushPrompt()
      flushQuiet()
      closed = true
      while (tasks.size > 0) await Promise.all(tasks)
      unsubscribe()
    },
  }
}

const RETRY_MS = 500
/** Refusals that time may mend. */
const RETRY: ReadonlySet<string | undefined> = new Set([
  'ENGINE_FULL',
  'UNREACHABLE',
  'QUOTA',
  'WORKERS_BUSY',
  'WORKERS_LOST',
])
/** A body with its signatures: eight assertions at most. */
const ITEM_MAX_BYTES = MAX_BODY_BYTES + 8 * 2_048
/** Room for the bundle's own fields and signature. */
const BUNDLE_FRAME_BYTES = 1_024

function sizeOf({ body, auth }: Item): number {
  let sizeBytes = body.length + 32
  for (const one of auth)
    sizeBytes +=
      one instanceof Uint8Array
        ? one.length + 2
        : one.authenticatorData.length + one.clientDataJSON.length + one.sig.length + 64
  return sizeBytes
}

/** Bundles' worth of bodies: at most so many, and within a bundle's size. */
function batches(items: readonly Waiting[], bodiesMax: number): Waiting[][] {
  const all: Waiting[][] = []
  let batch: Waiting[] = []
  let sizeBytes = BUNDLE_FRAME_BYTES
  for (const one of items) {
    const full =
      batch.length >= Math.min(bodiesMax, MAX_BUNDLE_BODIES) || sizeBytes + one.sizeBytes > MAX_BUNDLE_BYTES
    if (full && batch.length > 0) {
      all.push(batch)
      batch = []
      sizeBytes = BUNDLE_FRAME_BYTES
    }
    batch.push(one)
    sizeBytes += one.sizeBytes
  }
  if (batch.length > 0) all.push(batch)
  return all
}

/** Blocks in which a body that may still be asked for can be, oldest first; at most 2,000. */
function recentBlocks(engine: Engine): CommittedBlock[] {
  const { height, timeMs } = engine.head()
  const blocks: CommittedBlock[] = []
  for (let at = height; at > Math.max(0, height - 2_000); at--) {
    const block = engine.blockAt(at)
    if (!block || block.timeMs < timeMs - UNTIL_WINDOW_MS) break
    blocks.push(block)
  }
  return blocks.reverse()
}

function refused(code: number): AppError {
  const name = runtimeCodeName(code) ?? String(code)
  return new AppError('TX_REFUSED', `tx: ${REASONS[name] ?? name}`, { code, name })
}

const REASONS: Readonly<Record<string, string>> = {
  MALFORMED: 'the body is not strict DAG-CBOR of a known version, or too big',
  WRONG_CHAIN: 'chain: the body is for another network',
  BAD_SIGNATURE: 'auth: must hold one valid signature per key, in the order of keys',
  EXPIRED: 'until: has passed; sign a new body',
  UNTIL_TOO_FAR: 'until: is more than ten minutes ahead of the ledger; sign one that is nearer',
  REPLAYED: 'this body has already run; ask for its status',
  UNKNOWN_CALL: 'call: no active contract has it',
  BAD_ARGS: 'args: do not fit the schema of the call',
}
