import {
  AppError,
  assert,
  type CborValue,
  check,
  emptyRoot,
  equal,
  merkleRoot,
  type SparseProof,
} from '@salus/core'
import { type Block, type BlockLeaf, encodeBlock, encodeBlockLeaf, eventRootOf, txLeaf } from './block.ts'
import { builtinContracts } from './contracts/builtin.ts'
import { chainIdOf, decodeGenesis, type Genesis } from './genesis.ts'
import { type Active, blockScope, callContext, queryView } from './runtime/context.ts'
import type { AnswerOf, Contract, ContractSchema, KeyOf, ReadTables, RowOf, View } from './runtime/define.ts'
import { type Execution, runBundle, timeCode } from './runtime/execute.ts'
import { stateKey } from './runtime/keys.ts'
import { type BlockOutcome, decodeOutcome, encodeOutcome } from './runtime/outcome.ts'
import { type Overlay, openOverlay, storedRows } from './runtime/overlay.ts'
import { openRegistry, type Registry } from './runtime/registry.ts'
import { openSeen, type Seen } from './runtime/seen.ts'
import { openSponsors, sponsorKey, unitsOf } from './runtime/sponsors.ts'
import { readTables } from './runtime/tables.ts'
import type { StateChange, StateStore } from './state/store.ts'
import { openTree, type StateTree, type TreeUpdate } from './state/tree.ts'
import { type Body, decodeBody } from './tx/body.ts'
import { decodeBundle } from './tx/bundle.ts'
import { CODES } from './tx/codes.ts'
import { MINUTE_MS, UNTIL_WINDOW_MS } from './tx/limits.ts'
import type { Verified } from './tx/verify.ts'

export interface LedgerHead {
  readonly height: number
  readonly timeMs: number
  readonly stateRoot: Uint8Array
}

/** A block that was executed and not yet committed. */
export interface Prepared {
  readonly outcome: BlockOutcome
  readonly change: StateChange
  readonly update: TreeUpdate
}

/** A row with its proof under the state root of a height. */
export interface StateProof {
  readonly height: number
  readonly stateRoot: Uint8Array
  readonly key: Uint8Array
  /** DAG-CBOR of the row; undefined if the proof shows that there is none. */
  readonly value: Uint8Array | undefined
  readonly proof: SparseProof
}

export interface LedgerOptions {
  readonly store: StateStore
  /** Contracts besides the built-in ones, in all versions that this program has. */
  readonly contracts: readonly Contract[]
  /** The genesis bytes; those of the store must be the same. */
  readonly genesis: Uint8Array
}

/**
 * The replicated state machine over one store. A register is another Ledger over another store and genesis.
 * Everything is synchronous and a function of genesis and blocks alone.
 */
export class Ledger {
  readonly chainId: Uint8Array
  readonly genesis: Genesis
  readonly contracts: readonly Contract[]
  readonly #store: StateStore
  readonly #tree: StateTree
  readonly #registry: Registry
  readonly #seen: Seen
  #head: LedgerHead
  #active: Active | undefined

  private constructor(options: LedgerOptions, genesis: Genesis) {
    this.genesis = genesis
    this.chainId = chainIdOf(options.genesis)
    this.contracts = [...builtinContracts, ...options.contracts]
    this.#store = options.store
    this.#tree = openTree(options.store)
    this.#registry = openRegistry(this.contracts, genesis.contracts)
    this.#seen = openSeen()
    this.#head = { height: 0, timeMs: genesis.timeMs, stateRoot: this.#tree.root() }
  }

  /**
   * Opens the ledger of a store, or starts it at genesis in an empty one.
   * @throws {AppError} OTHER_CHAIN when the store belongs to another genesis, UPGRADE_REQUIRED
   */
  static open(options: LedgerOptions): Ledger {
    const ledger = new Ledger(options, decodeGenesis(options.genesis))
    const stored = options.store.block(0)
    if (stored === undefined) ledger.#start(options.genesis)
    else if (!equal(stored, options.genesis)) {
      throw new AppError(
        'OTHER_CHAIN',
        `${options.store.place}: holds the ledger of another genesis; open it with that one or name another folder`,
      )
    }
    ledger.#load()
    return ledger
  }

  get head(): LedgerHead {
    return this.#head
  }

  /** Executes the next block and commits it. Errors as `prepare` and the store's `commit`. */
  execute(block: Block, verified: Verified): BlockOutcome {
    const prepared = this.prepare(block, verified)
    this.commit(prepared)
    return prepared.outcome
  }

  /**
   * Executes the next block and changes nothing.
   * @param verified which signatures were found valid, against `sponsorKey` and the bodies' own keys
   * @throws {AppError} BLOCK when it does not follow the head
   */
  prepare(block: Block, verified: Verified): Prepared {
    const { height, timeMs, bundles } = block
    const head = this.#head
    if (height !== head.height + 1)
      throw new AppError('BLOCK', `block.height: must be ${head.height + 1}`, { height, head: head.height })
    if (!Number.isSafeInteger(timeMs) || timeMs <= head.timeMs)
      throw new AppError('BLOCK', 'block.timeMs: must be later than that of the block before', { height })
    const active = this.#registry.activeAt(this.#store, height)
    const overlay = openOverlay(this.#store)
    const run: Execution = {
      block: blockScope({ chainId: this.chainId, height, timeMs, active, overlay }),
      verified,
      sponsors: openSponsors(this.#store, height, timeMs),
      seen: this.#seen,
      seenHere: openSeen(),
      bundles: [],
      results: [],
      events: [],
    }
    bundles.forEach((wire, index) => {
      runBundle(run, wire, index)
    })
    run.sponsors.save(overlay)
    const { bundles: bundleResults, results, events } = run
    const txRoot = merkleRoot(results.map(({ txId, code, resultHash }) => txLeaf(txId, code, resultHash)))
    const done = { bundles: bundleResults, results, events, txRoot, eventRoot: eventRootOf(events) }
    return this.#prepared({ height, timeMs, block: encodeBlock(block), overlay, ...done })
  }

  /** Makes a prepared block durable, in one transaction of the store. */
  commit({ outcome, change, update }: Prepared): void {
    const { height, timeMs, stateRoot } = outcome.leaf
    this.#store.commit(change)
    this.#tree.adopt(update)
    this.#registry.committed(change.puts)
    this.#remember(outcome)
    this.#seen.dropBefore(timeMs)
    this.#head = { height, timeMs, stateRoot }
    this.#active = undefined
  }

  /** The sign key with which the next block's bundles of `org` are verified; undefined for a stranger. */
  sponsorKey(org: string): Uint8Array | undefined {
    return sponsorKey(this.#store, org, this.#head.height + 1)
  }

  /**
   * What the next block would say to a bundle's envelope, its signatures aside: size, strict decoding, chain, sponsor,
   * until, replay, quota. For an engine's admission (CheckTx).
   * @param timeMs the block time to expect
   */
  checkBundle(wire: Uint8Array, timeMs: number): number {
    const bundle = attempt(() => decodeBundle(wire))
    if (bundle === undefined) return CODES.MALFORMED
    if (!equal(bundle.chain, this.chainId)) return CODES.WRONG_CHAIN
    const sponsor = openSponsors(this.#store, this.#head.height + 1, timeMs).get(bundle.sponsor)
    if (sponsor === undefined) return CODES.UNKNOWN_SPONSOR
    if (!sponsor.active) return CODES.SUSPENDED
    const time = timeCode(bundle.until, timeMs)
    if (time !== CODES.OK) return time
    if (this.#seen.has(bundle.bundleId, bundle.until)) return CODES.REPLAYED
    const units = unitsOf(bundle.items.length, bundle.sizeBytes)
    return sponsor.usedMilliUnits + units * 1000 > sponsor.burstUnits * 1000 ? CODES.QUOTA : CODES.OK
  }

  /** What the next block would say to a body before it runs it, its signatures aside. For a sponsor's admission. */
  checkBody(bytes: Uint8Array, txId: Uint8Array, timeMs: number): number {
    const body = attempt(() => decodeBody(bytes))
    if (body === undefined) return CODES.MALFORMED
    if (!equal(body.chain, this.chainId)) return CODES.WRONG_CHAIN
    const time = timeCode(body.until, timeMs)
    if (time !== CODES.OK) return time
    if (this.#seen.has(txId, body.until)) return CODES.REPLAYED
    const input = this.#inputOf(body)
    if (input === undefined) return CODES.UNKNOWN_CALL
    return attempt(() => check(input, body.args)) === undefined ? CODES.BAD_ARGS : CODES.OK
  }

  /** Asks a contract. `input` is checked against the query's schema: AppError `SCHEMA`; an unknown one is `QUERY`. */
  query<C extends ContractSchema, N extends keyof C['queries'] & string>(
    contract: C,
    name: N,
    input: unknown,
  ): AnswerOf<C['queries'][N]> {
    return this.queryByName(contract.name, name, input) as AnswerOf<C['queries'][N]>
  }

  /** As `query`, for routes and commands that derive from names. */
  queryByName(contract: string, name: string, input: unknown): unknown {
    const found = this.active.get(contract)
    if (found === undefined || !Object.hasOwn(found.schema.queries, name))
      throw new AppError('QUERY', `${contract}/${name}: there is no such query`)
    const form = found.schema.queries[name] as (typeof found.schema.queries)[string]
    const run = found.queries[name] as (view: View, input: unknown) => unknown
    const { height, timeMs } = this.#head
    const view = queryView(
      found,
      { chainId: this.chainId, height, timeMs },
      this.active,
      storedRows(this.#store),
    )
    return run(view, check(form.input, input))
  }

  /** The contracts that act in the next block. */
  get active(): Active {
    this.#active ??= this.#registry.activeAt(this.#store, this.#head.height + 1)
    return this.#active
  }

  /** A contract's tables at the head. */
  tables<C extends ContractSchema>(contract: C): ReadTables<C> {
    return readTables(contract, storedRows(this.#store))
  }

  /** One row at the head. */
  get<C extends ContractSchema, T extends keyof C['tables'] & string>(
    contract: C,
    table: T,
    parts: KeyOf<C['tables'][T]>,
  ): RowOf<C['tables'][T]> | undefined {
    return this.tables(contract)[table].get(parts)
  }

  /**
   * A row, or its absence, with the proof under the state root at `height` (the head's unless told).
   * @throws {AppError} PRUNED beyond the last 1,000 heights, HEIGHT
   */
  prove<C extends ContractSchema, T extends keyof C['tables'] & string>(
    contract: C,
    table: T,
    parts: KeyOf<C['tables'][T]>,
    height: number = this.#head.height,
  ): StateProof {
    const key = stateKey(contract.name, table, parts as unknown as readonly CborValue[])
    const stateRoot = this.#tree.root(height)
    return {
      height,
      stateRoot,
      key,
      value: this.#tree.valueAt(key, height),
      proof: this.#tree.prove(key, height),
    }
  }

  /** The stored bytes of a block; genesis at height 0. */
  block(height: number): Uint8Array | undefined {
    return this.#store.block(height)
  }

  /** What a block did, also genesis; undefined above the head. */
  outcome(height: number): BlockOutcome | undefined {
    const bytes = this.#store.outcome(height)
    return bytes === undefined ? undefined : decodeOutcome(bytes)
  }

  /** How many ids the replay set holds. */
  get seenCount(): number {
    return this.#seen.size
  }

  #inputOf(body: Body) {
    const slash = body.call.indexOf('/')
    const calls = this.active.get(body.call.slice(0, slash))?.schema.calls ?? {}
    const name = body.call.slice(slash + 1)
    return Object.hasOwn(calls, name) ? calls[name]?.input : undefined
  }

  #start(genesisBytes: Uint8Array): void {
    const { timeMs } = this.genesis
    const overlay = openOverlay(this.#store)
    const active = this.#registry.activeAt(this.#store, 0)
    const block = blockScope({ chainId: this.chainId, height: 0, timeMs, active, overlay })
    const nobody = { txId: this.chainId, sponsor: '', signers: [], emitted: [] }
    for (const contract of active.values())
      contract.genesis?.(callContext(contract, block, nobody), this.genesis)
    overlay.keep()
    const nothing = { bundles: [], results: [], events: [], txRoot: emptyRoot, eventRoot: emptyRoot }
    this.commit(this.#prepared({ height: 0, timeMs, block: genesisBytes, overlay, ...nothing }))
  }

  #prepared(done: Executed): Prepared {
    const { height, timeMs, block, overlay, bundles, results, events, txRoot, eventRoot } = done
    const puts = overlay.changes()
    const update = this.#tree.update(height, puts)
    const { root: stateRoot, nodes, staleNodes } = update
    const leaf: BlockLeaf = { height, timeMs, stateRoot, txRoot, eventRoot }
    const outcome = { leaf, leafBytes: encodeBlockLeaf(leaf), bundles, results, events }
    const change = { height, puts, nodes, staleNodes, meta: [], block, outcome: encodeOutcome(outcome) }
    return { outcome, change, update }
  }

  #load(): void {
    const height = this.#store.height()
    assert(height !== undefined, 'an open ledger has a head')
    const { timeMs } = this.#outcomeAt(height).leaf
    this.#head = { height, timeMs, stateRoot: this.#tree.root() }
    // What older blocks recorded is expired.
    const since = timeMs - UNTIL_WINDOW_MS - MINUTE_MS
    for (let at = height; at > 0; at--) {
      const outcome = this.#outcomeAt(at)
      if (outcome.leaf.timeMs < since) break
      this.#remember(outcome)
    }
    this.#seen.dropBefore(timeMs)
    // Fails now rather than at the next block if this program lacks a contract.
    this.#active = this.#registry.activeAt(this.#store, height + 1)
  }

  #outcomeAt(height: number): BlockOutcome {
    const outcome = this.outcome(height)
    if (outcome !== undefined) return outcome
    throw new AppError(
      'STATE_DAMAGED',
      `${this.#store.place}: the outcome of block ${height} is missing; restore a backup, or delete the folder and replay the blocks`,
      { height },
    )
  }

  #remember({ bundles, results }: BlockOutcome): void {
    for (const { bundleId, untilMs } of bundles) if (untilMs !== undefined) this.#seen.add(bundleId, untilMs)
    for (const { txId, untilMs } of results) if (untilMs !== undefined) this.#seen.add(txId, untilMs)
  }
}

interface Executed extends Pick<BlockOutcome, 'bundles' | 'results' | 'events'> {
  readonly height: number
  readonly timeMs: number
  readonly block: Uint8Array
  readonly overlay: Overlay
  readonly txRoot: Uint8Array
  readonly eventRoot: Uint8Array
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
