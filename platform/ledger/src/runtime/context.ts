import { AppError, accepts, assert, type CborValue, equal } from '@salus/core'
import type { CallContext, Contract, ContractSchema, ReadTables, View, WriteTables } from './define.ts'
import type { Overlay, Rows } from './overlay.ts'
import { readTables, writeTables } from './tables.ts'

/** Thrown by `reject`, caught by the executor alone. */
export class Rejection extends Error {
  readonly contract: string
  readonly code: number
  readonly data: CborValue

  constructor(contract: string, code: number, data: CborValue) {
    super(`rejected by ${contract} with ${code}`)
    this.name = 'Rejection'
    this.contract = contract
    this.code = code
    this.data = data
  }
}

/** The contracts that act at one height, by name. */
export type Active = ReadonlyMap<string, Contract>

/** What is the same for all bodies of a block. */
export interface BlockScope {
  readonly chainId: Uint8Array
  readonly height: number
  readonly timeMs: number
  readonly active: Active
  readonly overlay: Overlay
  /** Tables already made in this block. */
  readonly writing: Map<ContractSchema, WriteTables<ContractSchema>>
  readonly reading: Map<ContractSchema, ReadTables<ContractSchema>>
}

/** What belongs to one body. */
export interface BodyScope {
  readonly txId: Uint8Array
  readonly sponsor: string
  readonly signers: readonly Uint8Array[]
  readonly emitted: { contract: string; event: string; data: CborValue }[]
}

export function blockScope(
  fixed: Pick<BlockScope, 'chainId' | 'height' | 'timeMs' | 'active' | 'overlay'>,
): BlockScope {
  return { ...fixed, writing: new Map(), reading: new Map() }
}

export function callContext(contract: Contract, block: BlockScope, body: BodyScope): CallContext {
  const { schema } = contract
  const tables = block.writing.get(schema) ?? writeTables(schema, block.overlay)
  block.writing.set(schema, tables)
  const context = {
    chainId: block.chainId,
    height: block.height,
    timeMs: block.timeMs,
    tables,
    txId: body.txId,
    sponsor: body.sponsor,
    signers: body.signers,
    signedBy: (publicKey: Uint8Array) => body.signers.some((key) => equal(key, publicKey)),
    tablesOf: (other: ContractSchema) => readable(other, block.active, block.reading, block.overlay),
    reject(reason: string, data: CborValue = null): never {
      const code = schema.rejects[reason]
      assert(code !== undefined, `${schema.name}: no rejection is called ${reason}`)
      throw new Rejection(schema.name, code, data)
    },
    emit(event: string, data: CborValue) {
      const form = schema.events?.[event]
      assert(form !== undefined && accepts(form.data, data), `${schema.name}: event ${event} does not fit`)
      body.emitted.push({ contract: schema.name, event, data })
    },
    invoke(other: ContractSchema, call: string, input: CborValue) {
      const target = block.active.get(other.name)
      const form = target?.schema.internal?.[call]
      assert(target !== undefined && form !== undefined, `${other.name} has no internal call ${call}`)
      assert(form.from.includes(schema.name), `${schema.name} may not invoke ${other.name}.${call}`)
      assert(accepts(form.input, input), `${other.name}.${call}: the input does not fit`)
      const run = target.internal[call] as (context: CallContext, input: unknown) => unknown
      return run(callContext(target, block, body), input)
    },
  }
  // Its tables, events and reasons are those of `schema`; CallContext<C> says so to the handlers.
  return context as unknown as CallContext
}

export interface Head {
  readonly chainId: Uint8Array
  readonly height: number
  readonly timeMs: number
}

/** What a query sees: the rows of the store at its head. */
export function queryView(contract: Contract, head: Head, active: Active, rows: Rows): View {
  const reading = new Map<ContractSchema, ReadTables<ContractSchema>>()
  const view = {
    ...head,
    tables: readable(contract.schema, active, reading, rows),
    tablesOf: (other: ContractSchema) => readable(other, active, reading, rows),
  }
  return view as unknown as View
}

function readable(
  schema: ContractSchema,
  active: Active,
  made: Map<ContractSchema, ReadTables<ContractSchema>>,
  rows: Rows,
): ReadTables<ContractSchema> {
  const before = made.get(schema)
  if (before !== undefined) return before
  if (!active.has(schema.name))
    throw new AppError('CONTRACT', `${schema.name}: is not among the contracts of this ledger; register it`)
  const tables = readTables(schema, rows)
  made.set(schema, tables)
  return tables
}
