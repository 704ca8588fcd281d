import { accepts, assert, type CborValue, decode, encode } from '@salus/core'
import type { ContractSchema, ReadTable, ReadTables, TableScan, TableSchema, WriteTables } from './define.ts'
import { type KeyCodec, keyCodec, nameOf } from './keys.ts'
import type { Overlay, Rows } from './overlay.ts'

const MAX_KEY_BYTES = 512

type Parts = readonly CborValue[]

interface TableCodec {
  readonly schema: TableSchema
  readonly name: string
  readonly codec: KeyCodec
  /** `contract.table`, for messages. */
  readonly where: string
}

// Schemas are constants of the program: their key prefixes are worked out once.
const codecs = new WeakMap<ContractSchema, readonly (readonly [string, TableCodec])[]>()

function codecsOf(contract: ContractSchema): readonly (readonly [string, TableCodec])[] {
  let found = codecs.get(contract)
  if (found === undefined) {
    found = Object.entries(contract.tables).map(([table, schema]) => {
      const codec = keyCodec(contract.name, table, schema)
      return [
        table,
        { schema, codec, name: nameOf(codec.prefix), where: `${contract.name}.${table}` },
      ] as const
    })
    codecs.set(contract, found)
  }
  return found
}

/** A contract's tables to read. */
export function readTables<C extends ContractSchema>(contract: C, rows: Rows): ReadTables<C> {
  const tables = codecsOf(contract).map(([table, codec]) => [table, readTable(codec, rows)])
  // Every table of the schema is there, with its own row type: what ReadTables says.
  return Object.fromEntries(tables) as ReadTables<C>
}

/** A contract's tables to read and write. */
export function writeTables<C extends ContractSchema>(contract: C, overlay: Overlay): WriteTables<C> {
  const tables = codecsOf(contract).map(([table, codec]) => {
    const put = (parts: Parts, row: CborValue) => {
      const key = codec.codec.keyOf(parts)
      assert(
        parts.length === codec.schema.key.length,
        `${codec.where}: a key has ${codec.schema.key.length} parts`,
      )
      assert(key.length <= MAX_KEY_BYTES, `${codec.where}: a key has at most ${MAX_KEY_BYTES} bytes`)
      assert(accepts(codec.schema.row, row), `${codec.where}: the row does not fit its schema`)
      overlay.put(codec.name, key, encode(row))
    }
    const remove = (parts: Parts) => overlay.put(codec.name, codec.codec.keyOf(parts), undefined)
    return [table, { ...readTable(codec, overlay), put, delete: remove }]
  })
  return Object.fromEntries(tables) as WriteTables<C>
}

function readTable({ schema, name, codec }: TableCodec, rows: Rows): ReadTable<TableSchema> {
  const get = (parts: Parts) => {
    const bytes = rows.get(name, codec.keyOf(parts))
    return bytes === undefined ? undefined : decode(bytes)
  }
  const has = (parts: Parts) => rows.get(name, codec.keyOf(parts)) !== undefined
  function* scan(parts: Parts, options: TableScan<Parts> = {}) {
    const { after, limit } = options
    const prefix = codec.prefixOf(parts)
    const cursor = after === undefined ? {} : { after: codec.keyOf(after) }
    const bound = limit === undefined ? {} : { limit }
    for (const [key, value] of rows.scan(name, prefix, { ...cursor, ...bound })) {
      yield [codec.partsOf(key), decode(value)] as const
    }
  }
  assert(schema.key.length > 0, 'a table has a key')
  // Parts and rows are DAG-CBOR values; their exact types are the schema's, which `put` has checked.
  return { get, has, scan } as unknown as ReadTable<TableSchema>
}
