import { type CborValue, concat, decode, encode } from '@salus/core'
import type { TableSchema } from './define.ts'

/** Where a table's rows live: `key = tuple(contract, table, …parts)` (protocol, Forms: State). */
export interface KeyCodec {
  /** Bytes that every key of the table begins with. */
  readonly prefix: Uint8Array
  keyOf(parts: readonly CborValue[]): Uint8Array
  /** What all keys with these first parts begin with. */
  prefixOf(parts: readonly CborValue[]): Uint8Array
  partsOf(key: Uint8Array): readonly CborValue[]
}

/**
 * The keys of one table. All have the same number of parts, so the list's head is the same for all and the
 * bytes of the first parts are a true prefix: texts and bytes carry their length, integers theirs.
 */
export function keyCodec(contract: string, table: string, schema: TableSchema): KeyCodec {
  const arity = schema.key.length
  const prefix = concat(new Uint8Array([0x80 | (arity + 2)]), encode(contract), encode(table))
  return {
    prefix,
    keyOf: (parts) => joined(prefix, parts),
    prefixOf: (parts) => joined(prefix, parts),
    partsOf: (key) => (decode(key) as readonly CborValue[]).slice(2),
  }
}

/** The key of a row for proofs, from names alone. */
export function stateKey(contract: string, table: string, parts: readonly CborValue[]): Uint8Array {
  return encode([contract, table, ...parts])
}

function joined(prefix: Uint8Array, parts: readonly CborValue[]): Uint8Array {
  const only = parts[0]
  // Nearly every key has one part of bytes: no intermediate arrays for it.
  if (parts.length === 1 && only instanceof Uint8Array && only.length >= 24 && only.length < 256) {
    const key = new Uint8Array(prefix.length + 2 + only.length)
    key.set(prefix)
    key[prefix.length] = 0x58
    key[prefix.length + 1] = only.length
    key.set(only, prefix.length + 2)
    return key
  }
  return concat(prefix, ...parts.map(partBytes))
}

function partBytes(part: CborValue): Uint8Array {
  if (!(part instanceof Uint8Array) || part.length >= 24) return encode(part)
  const bytes = new Uint8Array(1 + part.length)
  bytes[0] = 0x40 | part.length
  bytes.set(part, 1)
  return bytes
}

/** One character per byte: bytes as the key of a Map. */
export function nameOf(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[])
}
