import { assert, type CborValue, type Infer, type OptionalSchema, type Schema } from '@salus/core'
import type { Genesis } from '../genesis.ts'

/** A table: rows of one shape under a key of a fixed number of parts. Iteration is in the order of the key. */
export interface TableSchema {
  readonly doc: string
  /** 1–4 parts; each text, bytes, uint or oneOf. The encoded key stays below 512 bytes. */
  readonly key: readonly Schema[]
  readonly row: Schema
}

/** What a body may ask for. `output`, if any, is the result a client gets back and a receipt can prove. */
export interface CallSchema {
  readonly doc: string
  readonly input: Schema
  readonly output?: Schema
}

/** A question about the state at the head; never changes anything. */
export interface QuerySchema {
  readonly doc: string
  readonly input: Schema
  /** `optional(…)` where there may be no answer. */
  readonly output: Schema | OptionalSchema
}

export interface EventSchema {
  readonly doc: string
  readonly data: Schema
}

/** A call that only the contracts named in `from` may make, inside the savepoint of their own call. */
export interface InternalSchema extends CallSchema {
  readonly from: readonly string[]
}

/**
 * One contract, as data: type, validator, wire form, REST, CLI and documentation derive from it.
 * `rejects` are consensus: append only, 100–65,535 (below 100 belongs to the runtime, tx/codes.ts).
 * A change of behaviour is a new `version`, which acts from a voted height.
 */
export interface ContractSchema {
  readonly name: string
  readonly version: number
  readonly doc: string
  readonly rejects: { readonly [reason: string]: number }
  readonly tables: { readonly [table: string]: TableSchema }
  readonly events?: { readonly [event: string]: EventSchema }
  readonly calls: { readonly [call: string]: CallSchema }
  readonly internal?: { readonly [call: string]: InternalSchema }
  readonly queries: { readonly [query: string]: QuerySchema }
}

type Empty = { readonly [key: string]: never }
type EventsOf<C extends ContractSchema> = C['events'] extends object ? C['events'] : Empty
type InternalOf<C extends ContractSchema> = C['internal'] extends object ? C['internal'] : Empty
/** What a query answers. */
export type AnswerOf<Q extends QuerySchema> =
  Q['output'] extends OptionalSchema<infer S> ? Infer<S> | undefined : Infer<Q['output']>
/** What a call returns. */
// biome-ignore lint/suspicious/noConfusingVoidType: it stands only where a function's return type stands
export type OutputOf<S extends CallSchema> = S['output'] extends Schema ? Infer<S['output']> : void

/** The parts of a table's key, as values. */
export type KeyOf<T extends TableSchema> = ValuesOf<T['key']>
type ValuesOf<K extends readonly Schema[]> = { readonly [I in keyof K]: Infer<K[I]> }
export type RowOf<T extends TableSchema> = Infer<T['row']>

/** The first parts of a key, for scanning. */
export type PrefixOf<K extends readonly unknown[]> = K extends readonly [...infer Front, unknown]
  ? K | PrefixOf<Front>
  : readonly []

export interface TableScan<K> {
  /** Begin behind this key: the cursor of the page before. */
  readonly after?: K
  readonly limit?: number
}

/** Rows come back freshly decoded: changing one changes nothing until it is `put`. */
export interface ReadTable<T extends TableSchema> {
  get(key: KeyOf<T>): RowOf<T> | undefined
  has(key: KeyOf<T>): boolean
  /** Rows whose key begins with `prefix`, in key order (numbers by size, texts and bytes by length first). */
  scan(prefix: PrefixOf<KeyOf<T>>, options?: TableScan<KeyOf<T>>): Iterable<readonly [KeyOf<T>, RowOf<T>]>
}

export interface WriteTable<T extends TableSchema> extends ReadTable<T> {
  put(key: KeyOf<T>, row: RowOf<T>): void
  delete(key: KeyOf<T>): void
}

export type ReadTables<C extends ContractSchema> = {
  readonly [T in keyof C['tables']]: ReadTable<C['tables'][T]>
}
export type WriteTables<C extends ContractSchema> = {
  readonly [T in keyof C['tables']]: WriteTable<C['tables'][T]>
}

/** What can be read anywhere: the tables, the height and the time of the block. */
export interface View<C extends ContractSchema = ContractSchema> {
  readonly chainId: Uint8Array
  /** In a call: of the block being executed. In a query: of the head. */
  readonly height: number
  readonly timeMs: number
  readonly tables: ReadTables<C>
  /** Another contract's tables, to read. It must be registered in the same ledger. */
  tablesOf<const D extends ContractSchema>(contract: D): ReadTables<D>
}

/** What a call may see and do. Every change is undone if the call rejects. */
export interface CallContext<C extends ContractSchema = ContractSchema> extends Omit<View<C>, 'tables'> {
  readonly tables: WriteTables<C>
  readonly txId: Uint8Array
  /** The organisation whose bundle carries the body. Not an authority: look at `signers`. */
  readonly sponsor: string
  /** The keys that signed the body, in its order: 32 B Ed25519 or 33 B compressed P-256. All are verified. */
  readonly signers: readonly Uint8Array[]
  signedBy(publicKey: Uint8Array): boolean
  /**
   * Ends the call: nothing it did remains, the reason goes into the block. `data`: small, no personal data.
   * To narrow a type, write `?? context.reject(…)` or `return context.reject(…)`.
   */
  reject(reason: keyof C['rejects'] & string, data?: CborValue): never
  emit<E extends keyof EventsOf<C> & string>(event: E, data: Infer<EventsOf<C>[E]['data']>): void
  /** Makes an internal call of another contract, in this savepoint. */
  invoke<const D extends ContractSchema, N extends keyof InternalOf<D> & string>(
    contract: D,
    call: N,
    input: Infer<InternalOf<D>[N]['input']>,
  ): OutputOf<InternalOf<D>[N]>
}

/** The functions behind a contract's schema. Forgetting one does not compile. */
export type Handlers<C extends ContractSchema> = {
  /** What the contract puts into the state at height 0. */
  readonly genesis?: (context: CallContext<C>, genesis: Genesis) => void
  readonly calls: {
    readonly [N in keyof C['calls']]: (
      context: CallContext<C>,
      input: Infer<C['calls'][N]['input']>,
    ) => OutputOf<C['calls'][N]>
  }
  readonly queries: {
    readonly [N in keyof C['queries']]: (
      view: View<C>,
      input: Infer<C['queries'][N]['input']>,
    ) => AnswerOf<C['queries'][N]>
  }
} & (C['internal'] extends object
  ? {
      readonly internal: {
        readonly [N in keyof InternalOf<C>]: (
          context: CallContext<C>,
          input: Infer<InternalOf<C>[N]['input']>,
        ) => OutputOf<InternalOf<C>[N]>
      }
    }
  : { readonly internal?: never })

/** A contract that a ledger can run. */
export interface Contract<C extends ContractSchema = ContractSchema> {
  readonly schema: C
  readonly genesis: ((context: CallContext, genesis: Genesis) => void) | undefined
  readonly calls: { readonly [call: string]: (context: CallContext, input: never) => unknown }
  readonly queries: { readonly [query: string]: (view: View, input: never) => unknown }
  readonly internal: { readonly [call: string]: (context: CallContext, input: never) => unknown }
}

const NAME = /^[a-z][a-zA-Z0-9]{0,31}$/

/** Checks a contract's schema once, when the program starts, and keeps its exact type. */
export function defineContract<const C extends ContractSchema>(schema: C): C {
  const where = `contract ${schema.name}`
  assert(NAME.test(schema.name), `${where}: name must match ${NAME}`)
  assert(Number.isSafeInteger(schema.version) && schema.version >= 1, `${where}: version counts from 1`)
  const codes = new Set<number>()
  for (const [reason, code] of Object.entries(schema.rejects)) {
    assert(
      Number.isSafeInteger(code) && code >= 100 && code <= 0xffff,
      `${where}: ${reason} must be 100–65535`,
    )
    assert(!codes.has(code), `${where}: code ${code} is used twice`)
    codes.add(code)
  }
  const named = { ...schema.tables, ...schema.calls, ...schema.queries, ...schema.internal, ...schema.events }
  for (const name of Object.keys(named)) assert(NAME.test(name), `${where}: ${name} must match ${NAME}`)
  for (const [name, table] of Object.entries(schema.tables)) {
    assert(table.key.length >= 1 && table.key.length <= 4, `${where}: ${name} needs 1–4 key parts`)
  }
  for (const name of Object.keys(schema.internal ?? {})) {
    assert(!(name in schema.calls), `${where}: ${name} is both a call and internal`)
  }
  return schema
}

/** Joins a schema with its functions. */
export function implement<const C extends ContractSchema>(schema: C, handlers: Handlers<C>): Contract<C> {
  // The executor finds handlers by name and checks the input against the schema before it calls them; the
  // exact types, which `Handlers` has just checked, cannot be followed through that look-up.
  const functions = handlers as unknown as Omit<Contract, 'schema'>
  const { genesis, calls, queries, internal = {} } = functions
  return { schema, genesis, calls, queries, internal }
}
