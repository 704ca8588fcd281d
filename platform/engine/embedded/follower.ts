import {
  AppError,
  equal,
  isAppError,
  type NoteSigner,
  openCheckpoint,
  type SigningKey,
  toHex,
  type VerifierKey,
} from '@salus/core'
import type { Clock, Disk, Timer } from '@salus/host'
import {
  decodeBlock,
  decodeBlockLeaf,
  decodeBundle,
  type Ledger,
  type Prepared,
  type SignedBundle,
  verifiedBy,
} from '@salus/ledger'
import { committedAt } from '../src/committed.ts'
import type { Alarm, CommittedBlock, Engine } from '../src/engine.ts'
import { listeners } from '../src/listeners.ts'
import type { BundleVerifier } from '../src/verify-pool.ts'
import { type BlockLog, openBlockLog, proveBlock } from './block-log.ts'
import { type BlocksAnswer, decodeBlocksAnswer } from './blocks-answer.ts'
import { openCosigner } from './cosigner.ts'
import type { OperatorTransport } from './transport.ts'

export interface FollowerOptions {
  /** Over a durable store. */
  readonly ledger: Ledger
  readonly verifier: BundleVerifier
  readonly transport: OperatorTransport
  readonly clock: Clock
  readonly disk: Disk
  /** Directory of this node's own copy of the block log: the leaves that it computed itself. */
  readonly logPath: string
  /** File of the cosigning mark on `disk`; apart from the ledger's data. */
  readonly markPath: string
  /** The key that signs the operator's block log: `operatorKey(ledger)`. */
  readonly operator: VerifierKey
  /** This node's log key: signs its own copy of the block log. */
  readonly key: SigningKey
  /** Under what name and key this organisation cosigns. */
  readonly cosigner: NoteSigner
  /** How long one request for blocks may wait at the operator, ms. Default 10,000. */
  readonly waitMs?: number
  /** Pause after the operator did not answer, ms. Default 1,000. */
  readonly retryMs?: number
}

/** The embedded engine on every other organisation's node. */
export interface Follower extends Engine {
  /** This node's own copy of the block log. */
  readonly blockLog: BlockLog
  /** The operator's newest checkpoint that this node found true, with its signature; undefined before the first. */
  checkpoint(): string | undefined
  /** Resolves once this node has executed the block at `height`. Rejects with ENGINE_STOPPED. */
  reached(height: number): Promise<void>
}

/** @throws {AppError} BLOCK_LOG_AHEAD, BLOCK_LOG_DIFFERS, LOG_FORKED */
export async function openFollower(options: FollowerOptions): Promise<Follower> {
  const { ledger, verifier, transport, clock, disk, operator, waitMs = 10_000, retryMs = 1_000 } = options
  const blockLog = await openBlockLog(ledger, { disk, path: options.logPath, key: options.key })
  const signer = options.cosigner
  const own = await openCosigner({ disk, path: options.markPath, signer, ledger, blockLog, clock })

  const heard = listeners<CommittedBlock>()
  const alarms: Alarm[] = []
  const closing = new AbortController()
  let stopped: AppError | undefined
  let answering = false
  let checkpoint: string | undefined
  let cosigned: string | undefined
  let cosignedSize = 0
  let retry: Timer | undefined
  let wake: (() => void) | undefined
  const waiting = new Set<{ height: number; resolve: () => void; reject: (error: AppError) => void }>()

  function alarm(code: Alarm['code'], message: string): void {
    if (alarms.some((one) => one.code === code && one.message === message)) return
    alarms.push({ code, message, height: ledger.head.height, timeMs: clock.now() })
    if (alarms.length > 100) alarms.shift()
  }

  function stop(error: AppError): void {
    stopped ??= error
    for (const one of waiting) one.reject(stopped)
    waiting.clear()
  }

  /** Asks for blocks and executes them until it is closed or something is wrong that asking again cannot mend. */
  async function follow(): Promise<void> {
    while (!stopped) {
      try {
        const askedMs = clock.now()
        const bytes = await transport.blocks(ledger.head.height + 1, waitMs, closing.signal, cosignedSize)
        if (stopped) return
        answering = true
        const answer = decodeBlocksAnswer(bytes)
        for (const [at, block] of answer.blocks.entries()) {
          verifyAhead(answer.blocks[at + 1])
          await take(block)
        }
        await blockLog.catchUp()
        await cosignIfTrue(answer)
        // An operator that should have waited and did not must not keep this node busy.
        if (answer.blocks.length === 0 && clock.now() === askedMs) await pause(EMPTY_PAUSE_MS)
      } catch (error) {
        if (stopped) return
        if (isAppError(error) && FATAL.has(error.code)) {
          alarm(error.code as Alarm['code'], error.message)
          return stop(stoppedBy(error))
        }
        if (!isAppError(error)) {
          alarm('STOPPED', error instanceof Error ? error.message : String(error))
          return stop(stoppedBy(error))
        }
        answering = error.code !== 'UNREACHABLE' && answering
        if (error.code !== 'UNREACHABLE') alarm('BLOCK_REFUSED', error.message)
        await pause(retryMs)
      }
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve
      retry = clock.schedule(ms, resolve)
    })
  }

  /** While a block is executed, workers verify the next one; a key that changes in between is verified anew. */
  function verifyAhead(next: BlocksAnswer['blocks'][number] | undefined): void {
    if (!next) return
    try {
      for (const wire of decodeBlock(next.bytes).bundles) verify(wire).catch(() => {})
    } catch (error) {
      // Its own turn will say what is wrong with it.
      if (!isAppError(error)) throw error
    }
  }

  /** Executes a block, compares, and only then makes it durable. */
  async function take({ bytes, leaf }: BlocksAnswer['blocks'][number]): Promise<void> {
    const block = decodeBlock(bytes)
    if (block.height <= ledger.head.height) return
    const answers = await Promise.all(block.bundles.map(verify))
    const prepared: Prepared = ledger.prepare(block, verifiedBy(answers))
    if (!equal(prepared.outcome.leafBytes, leaf))
      throw mismatch(block.height, prepared.outcome.leafBytes, leaf)
    ledger.commit(prepared)
    own.executed(block.timeMs)
    heard.tell({ height: block.height, timeMs: block.timeMs, bytes, outcome: prepared.outcome })
    for (const one of waiting) {
      if (one.height > block.height) continue
      waiting.delete(one)
      one.resolve()
    }
  }

  function verify(wire: Uint8Array): Promise<Uint8Array> {
    const bundle = readBundle(wire)
    return bundle
      ? verifier.verify(wire, ledger.sponsorKey(bundle.sponsor))
      : Promise.resolve(new Uint8Array(0))
  }

  async function cosignIfTrue(answer: BlocksAnswer): Promise<void> {
    const opened = openCheckpoint(answer.checkpoint, [operator])
    if (opened.checkpoint.origin !== operator.name)
      throw new AppError('BLOCKS_ANSWER', 'the checkpoint is of another log')
    keepCosigned(answer.cosigned)
    if (answer.checkpoint === checkpoint) return
    try {
      const note = await own.sign(opened.checkpoint)
      checkpoint = answer.checkpoint
      await transport.cosign(note)
    } catch (error) {
      if (!isAppError(error) || error.code === 'LOG_FORKED') throw error
      if (error.code === 'CLOCK' || error.code === 'ROLLED_BACK') alarm(error.code, error.message)
      else if (error.code === 'UNREACHABLE') throw error
    }
  }

  function keepCosigned(note: string | undefined): void {
    if (note === undefined || note === cosigned) return
    // Its path is proven from this node's own leaves, so a false one leads nowhere.
    const { checkpoint: covered } = openCheckpoint(note, [operator])
    cosigned = note
    cosignedSize = covered.size
  }

  const following = follow()
  return {
    blockLog,
    checkpoint: () => checkpoint,
    async submit(wire) {
      if (stopped) throw stopped
      await transport.submit(wire)
    },
    blockAt: (height) => committedAt(ledger, height),
    subscribe: (listener) => heard.add(listener),
    blockProof: (height) => proveBlock(ledger, blockLog, height, cosigned),
    head: () => ledger.head,
    health: () => ({
      role: 'follower',
      head: ledger.head,
      headAgeMs: clock.now() - ledger.head.timeMs,
      waitingBundles: 0,
      loggedHeight: blockLog.height,
      paused: false,
      working: stopped === undefined && answering,
      alarms: [...alarms],
    }),
    reached(height) {
      if (ledger.head.height >= height) return Promise.resolve()
      if (stopped) return Promise.reject(stopped)
      return new Promise((resolve, reject) => waiting.add({ height, resolve, reject }))
    },
    async close() {
      stop(new AppError('ENGINE_STOPPED', 'the engine is closed'))
      closing.abort()
      retry?.cancel()
      wake?.()
      await following
      await blockLog.close()
    },
  }
}

const EMPTY_PAUSE_MS = 100

/** What asking again cannot mend: this node stands still and says so, rather than follow or sign something wrong. */
const FATAL: ReadonlySet<string> = new Set(['ROOT_MISMATCH', 'LOG_FORKED'])

function stoppedBy(cause: unknown): AppError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new AppError(
    'ENGINE_STOPPED',
    `following stopped: ${message}`,
    isAppError(cause) ? cause.data : {},
    { cause },
  )
}

function mismatch(height: number, own: Uint8Array, operators: Uint8Array): AppError {
  const rootOf = (leaf: Uint8Array) => {
    try {
      return toHex(decodeBlockLeaf(leaf).stateRoot)
    } catch {
      return 'unreadable'
    }
  }
  const [ownRoot, operatorRoot] = [rootOf(own), rootOf(operators)]
  return new AppError(
    'ROOT_MISMATCH',
    `block ${height}: executed here the state root is ${ownRoot}, the operator's block log says ${operatorRoot}; nothing was kept. Compare both nodes before going on`,
    { height, ownRoot, operatorRoot, ownLeaf: toHex(own), operatorLeaf: toHex(operators) },
  )
}

function readBundle(wire: Uint8Array): SignedBundle | undefined {
  try {
    return decodeBundle(wire)
  } catch (error) {
    if (isAppError(error)) return undefined
    throw error
  }
}
