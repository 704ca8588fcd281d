import {
  AppError,
  equal,
  isAppError,
  type NoteSigner,
  openCheckpoint,
  type SigningKey,
  type VerifierKey,
} from '@salus/core'
import type { Clock, Disk, Timer } from '@salus/host'
import { type Block, CODES, decodeBundle, type Ledger, runtimeCodeName, verifiedBy } from '@salus/ledger'
import { blockLogOrigin, type Sufficient } from '@salus/log'
import { committedAt } from '../src/committed.ts'
import type { Alarm, CommittedBlock, Engine } from '../src/engine.ts'
import { listeners } from '../src/listeners.ts'
import type { BundleVerifier } from '../src/verify-pool.ts'
import { type BlockLog, cosignedNote, openBlockLog, proveBlock } from './block-log.ts'
import { BLOCKS_MAX_BYTES, encodeBlocksAnswer } from './blocks-answer.ts'
import { bundleName, bundleQueue } from './bundle-queue.ts'
import { openCosigner } from './cosigner.ts'

export interface OperatorOptions {
  /** Over a durable store. */
  readonly ledger: Ledger
  readonly verifier: BundleVerifier
  readonly clock: Clock
  readonly disk: Disk
  /** Directory of the block log on `disk`. */
  readonly logPath: string
  /** File of the cosigning mark on `disk`; apart from the ledger's data. */
  readonly markPath: string
  /** The operator's log key: signs the block log's checkpoints. */
  readonly key: SigningKey
  /** Under what name and key this organisation cosigns. */
  readonly cosigner: NoteSigner
  /** Whose cosignatures are kept: every organisation's and witness's at the head. */
  readonly cosigners: () => readonly VerifierKey[]
  /** Which cosigners make a checkpoint fit for receipts (protocol §11). */
  readonly sufficient?: Sufficient
  /** How long the first waiting bundle waits for company, ms. Default 20. */
  readonly batchWindowMs?: number
  /** Longest time between two blocks, ms. Default 15,000. */
  readonly heartbeatMs?: number
}

/** The embedded engine's ordering side, with what its HTTP routes answer. */
export interface Operator extends Engine {
  readonly blockLog: BlockLog
  /** Stops ordering: nothing becomes final until `resume`. */
  pause(): void
  resume(): void
  /** Makes a block now, empty when nothing waits; resolves with its height once it is durable and logged. */
  heartbeat(): Promise<number>
  /** `GET /ledger/blocks?from=H`: DAG-CBOR, see `BlocksAnswer`. At most `maxBytes` of blocks, yet always one. */
  blocks(from: number, maxBytes?: number): Uint8Array
  /**
   * Resolves when there is a block above `height`, when a checkpoint of more than `cosignedSize` blocks has become
   * sufficiently cosigned, or after `waitMs`: what a long poll waits for.
   */
  waitAbove(height: number, waitMs: number, cosignedSize?: number): Promise<void>
  /** Tells those who wait that cosignatures were stored by other means than `cosign`: a witness's. */
  cosignaturesAdded(): void
  /** Lets everybody go who waits for a block: this node stops. */
  releaseWaiting(): void
  /** `POST /ledger/cosign`: takes cosignatures of a checkpoint of the block log. Throws AppError as `TileLog`. */
  cosign(note: string): Promise<void>
  /** `GET /ledger/checkpoint`: the newest checkpoint, with the cosignatures that it has. */
  checkpoint(): string
}

/** @throws {AppError} BLOCK_LOG_AHEAD, BLOCK_LOG_DIFFERS, ROLLED_BACK, LOG_FORKED: then nothing may be ordered */
export async function openOperator(options: OperatorOptions): Promise<Operator> {
  const { ledger, verifier, clock, disk, batchWindowMs = 20, heartbeatMs = 15_000 } = options
  const { logPath: path, key, sufficient } = options
  const origin = blockLogOrigin(ledger.chainId)
  const blockLog = await openBlockLog(ledger, { disk, path, key, ...(sufficient && { sufficient }) })
  const signer = options.cosigner
  const own = await openCosigner({ disk, path: options.markPath, signer, ledger, blockLog, clock })
  try {
    await own.check()
  } catch (error) {
    await blockLog.close()
    throw error
  }

  const queue = bundleQueue()
  const pending = new Map<string, Promise<void>>()
  const heard = listeners<CommittedBlock>()
  const alarms: Alarm[] = []
  let paused = false
  let stopped: AppError | undefined
  let windowTimer: Timer | undefined
  let heartbeatTimer: Timer | undefined
  let making = false
  let diskFull = false
  let cosigning: Promise<void> | undefined
  const tasks = new Set<Promise<unknown>>()
  /** Long polls that wait. */
  const pollers = new Set<() => void>()
  /** Of them, those that also wait for a cosigned checkpoint beyond a size. */
  const cosignPollers = new Map<() => void, number>()

  const cosignedBeyond = (size: number): boolean =>
    size < Number.MAX_SAFE_INTEGER && cosignedNote(blockLog.tiles, size + 1) !== undefined

  function cosignaturesAdded(): void {
    for (const [done, size] of [...cosignPollers]) if (cosignedBeyond(size)) done()
  }

  function stop(error: unknown): AppError {
    const cause = error instanceof Error ? error.message : String(error)
    stopped ??= new AppError(
      'ENGINE_STOPPED',
      `ordering stopped: ${cause}; mend it and start the node again`,
      {},
      { cause: error },
    )
    alarm('STOPPED', stopped.message)
    return stopped
  }

  function alarm(code: Alarm['code'], message: string): void {
    if (alarms.some((one) => one.code === code && one.message === message)) return
    alarms.push({ code, message, height: ledger.head.height, timeMs: clock.now() })
    if (alarms.length > ALARMS_MAX) alarms.shift()
  }

  /** Executes one block and makes it durable: all synchronous, so nothing comes between. */
  function makeBlock(): void {
    const { head } = ledger
    const timeMs = Math.max(head.timeMs + 1, clock.now())
    const taken = queue.take((waiting) => {
      const keep =
        waiting.bundle.until >= timeMs &&
        sameKey(ledger.sponsorKey(waiting.bundle.sponsor), waiting.sponsorKey)
      if (!keep) pending.delete(bundleName(waiting.bundle))
      return keep
    })
    const block: Block = { v: 1, height: head.height + 1, timeMs, bundles: taken.map(({ wire }) => wire) }
    try {
      const prepared = ledger.prepare(block, verifiedBy(taken.map(({ answer }) => answer)))
      ledger.commit(prepared)
      const { outcome, change } = prepared
      own.executed(timeMs)
      diskFull = false
      for (const { bundle } of taken) pending.delete(bundleName(bundle))
      heard.tell({ height: block.height, timeMs, bytes: change.block, outcome })
    } catch (error) {
      if (!isAppError(error, 'DISK_FULL')) throw stop(error)
      // Nothing was changed: the bundles wait until there is room again.
      for (const waiting of taken) queue.add(waiting)
      diskFull = true
      alarm('STOPPED', error.message)
    }
  }

  /** Makes blocks while there is reason to, then waits for the next bundle or the next heartbeat. */
  function turn(): void {
    windowTimer?.cancel()
    windowTimer = undefined
    if (making || paused || stopped) return
    making = true
    heartbeatTimer?.cancel()
    track(
      (async () => {
        // Leaves the caller's turn first: a clock that is advanced by hours fires one heartbeat, not one per interval.
        await Promise.resolve()
        try {
          if (!paused && !stopped) makeBlock()
          await logged()
        } catch {
          // Recorded by whoever threw it; health says so.
        } finally {
          making = false
          schedule()
        }
      })(),
    )
  }

  function schedule(): void {
    if (paused || stopped || making) return
    if (queue.full() && !diskFull) {
      turn()
      return
    }
    if (queue.bodies > 0) windowTimer ??= clock.schedule(diskFull ? DISK_FULL_WAIT_MS : batchWindowMs, turn)
    heartbeatTimer?.cancel()
    heartbeatTimer = clock.schedule(heartbeatMs, turn)
  }

  /** The log follows while the next block is made; only a long lag holds ordering up. */
  async function logged(): Promise<void> {
    const caughtUp = blockLog.catchUp().then(cosignOwn, (error) => {
      throw stop(error)
    })
    track(caughtUp)
    if (ledger.head.height - blockLog.height > LOG_LAG_MAX) await caughtUp
  }

  function cosignOwn(): Promise<void> {
    cosigning ??= (async () => {
      try {
        const { size, root } = blockLog.tiles
        await blockLog.tiles.addCosignatures(await own.sign({ origin, size, root }), options.cosigners())
      } catch (error) {
        if (!(error instanceof AppError)) throw stop(error)
        if (error.code === 'CLOCK' || error.code === 'LOG_FORKED' || error.code === 'ROLLED_BACK')
          alarm(error.code, error.message)
      } finally {
        cosigning = undefined
      }
    })()
    return cosigning
  }

  function track(task: Promise<unknown>): void {
    tasks.add(task)
    void task.catch(() => {}).finally(() => tasks.delete(task))
  }

  async function accept(wire: Uint8Array, bundle: ReturnType<typeof decodeBundle>): Promise<void> {
    const release = queue.reserve(wire.length)
    try {
      const sponsorKey = ledger.sponsorKey(bundle.sponsor)
      if (!sponsorKey) throw refused(CODES.UNKNOWN_SPONSOR)
      const answer = await verifier.verify(wire, sponsorKey)
      if (answer[0] !== 1)
        throw new AppError('BAD_SIGNATURE', `bundle: is not signed by the sign key of ${bundle.sponsor}`)
      if (stopped) throw stopped
      queue.add({ wire, bundle, sponsorKey, answer })
      schedule()
    } finally {
      release()
    }
  }

  schedule()
  return {
    blockLog,
    async submit(wire) {
      if (stopped) throw stopped
      const code = ledger.checkBundle(wire, Math.max(ledger.head.timeMs + 1, clock.now()))
      // A bundle that is already in a block has what it wanted.
      if (code === CODES.REPLAYED) return
      if (code !== CODES.OK) throw refused(code)
      const bundle = decodeBundle(wire)
      const name = bundleName(bundle)
      let waiting = pending.get(name)
      if (!waiting) {
        waiting = accept(wire, bundle)
        pending.set(name, waiting)
        waiting.catch(() => pending.delete(name))
      }
      return waiting
    },
    blockAt: (height) => committedAt(ledger, height),
    subscribe: (listener) => heard.add(listener),
    blockProof: (height) => proveBlock(ledger, blockLog, height, cosignedNote(blockLog.tiles, height + 1)),
    head: () => ledger.head,
    health: () => ({
      role: 'operator',
      head: ledger.head,
      headAgeMs: clock.now() - ledger.head.timeMs,
      waitingBundles: queue.bundles,
      loggedHeight: blockLog.height,
      paused,
      working: stopped === undefined,
      alarms: [...alarms],
    }),
    pause() {
      paused = true
      windowTimer?.cancel()
      heartbeatTimer?.cancel()
      windowTimer = undefined
    },
    resume() {
      paused = false
      schedule()
    },
    async heartbeat() {
      if (paused) throw new AppError('ENGINE_PAUSED', 'ordering is paused: resume it first')
      const before = ledger.head.height
      // A block under way was begun at an older time.
      while (making) await Promise.allSettled(tasks)
      if (stopped) throw stopped
      if (ledger.head.height === before || clock.now() > ledger.head.timeMs) turn()
      while (making) await Promise.allSettled(tasks)
      if (stopped) throw stopped
      await blockLog.catchUp()
      return ledger.head.height
    },
    blocks(from, maxBytes = BLOCKS_MAX_BYTES) {
      const blocks: { bytes: Uint8Array; leaf: Uint8Array }[] = []
      let sizeBytes = 0
      // Only what is in the log: a follower checks every block against it.
      for (let height = Math.max(1, from); height <= blockLog.height; height++) {
        const bytes = ledger.block(height)
        const leaf = ledger.outcome(height)?.leafBytes
        if (!bytes || !leaf) break
        sizeBytes += bytes.length + leaf.length
        if (blocks.length > 0 && sizeBytes > Math.min(maxBytes, BLOCKS_MAX_BYTES)) break
        blocks.push({ bytes, leaf })
      }
      return encodeBlocksAnswer({
        head: ledger.head.height,
        checkpoint: blockLog.tiles.checkpoint(),
        cosigned: cosignedNote(blockLog.tiles),
        blocks,
      })
    },
    waitAbove(height, waitMs, cosignedSize = Number.MAX_SAFE_INTEGER) {
      return new Promise((resolve) => {
        if (blockLog.height > height || cosignedBeyond(cosignedSize)) return resolve()
        // Committed, and on its way into the log: its announcement is over, so waiting for the next would be long.
        if (ledger.head.height > height) return void blockLog.catchUp().then(resolve, () => resolve())
        const done = () => {
          timer.cancel()
          unsubscribe()
          pollers.delete(done)
          cosignPollers.delete(done)
          resolve()
        }
        pollers.add(done)
        cosignPollers.set(done, cosignedSize)
        const timer = clock.schedule(waitMs, done)
        const unsubscribe = heard.add(() => void blockLog.catchUp().then(done, done))
      })
    },
    releaseWaiting() {
      for (const done of [...pollers]) done()
    },
    async cosign(note) {
      const cosigners = options.cosigners()
      openCheckpoint(note, cosigners)
      await blockLog.tiles.addCosignatures(note, cosigners)
      cosignaturesAdded()
    },
    cosignaturesAdded,
    checkpoint: () => blockLog.tiles.checkpoint(),
    async close() {
      stopped ??= new AppError('ENGINE_STOPPED', 'the engine is closed')
      windowTimer?.cancel()
      heartbeatTimer?.cancel()
      for (const done of [...pollers]) done()
      while (tasks.size > 0) await Promise.allSettled(tasks)
      await blockLog.close()
    },
  }
}

const ALARMS_MAX = 100
const DISK_FULL_WAIT_MS = 1_000
/** Blocks that the log may be behind before ordering waits for it. */
const LOG_LAG_MAX = 64

function refused(code: number): AppError {
  const name = runtimeCodeName(code) ?? String(code)
  if (code === CODES.QUOTA)
    return new AppError(
      'QUOTA',
      "bundle: the sponsor's quota is used up for now; give it again a little later",
      {
        code,
        name,
        retryAfterMs: 1_000,
      },
    )
  return new AppError('BUNDLE_REFUSED', `bundle: ${REASONS[name] ?? name}`, { code, name })
}

/** A bundle whose sponsor's key changed while it waited is verified again when its sponsor gives it again. */
function sameKey(now: Uint8Array | undefined, then: Uint8Array): boolean {
  return now !== undefined && equal(now, then)
}

const REASONS: Readonly<Record<string, string>> = {
  MALFORMED:
    'must be strict DAG-CBOR of a known version, with all members and within its limits; encode it anew',
  WRONG_CHAIN: 'chain: is for another network; compare the genesis id with this node’s',
  UNKNOWN_SPONSOR: 'sponsor: is no member of this network; have it admitted first',
  BAD_SIGNATURE: 'signature: is not the sponsor’s over these bytes; sign with the key that the ledger has',
  SUSPENDED: 'sponsor: is suspended or has left; the members decide by vote',
  EXPIRED: 'until: has passed; sign a new bundle',
  UNTIL_TOO_FAR: 'until: is more than ten minutes ahead of the ledger; sign one that is nearer',
  REPLAYED: 'has already run; ask for the status of its bodies',
}
