import { decode, encode } from '@salus/core'
import type { Entry } from './store.ts'

/** What a block made obsolete: tree pages by key, and the rows that it overwrote, as they were before. */
export interface StaleRecord {
  readonly nodes: readonly Uint8Array[]
  readonly replaced: readonly Entry[]
}

/** DAG-CBOR [nodes joined with a length byte each, [key, value, …]]. */
export function encodeStaleRecord(record: StaleRecord): Uint8Array {
  const nodes = new Uint8Array(record.nodes.reduce((sum, key) => sum + 1 + key.length, 0))
  let offset = 0
  for (const key of record.nodes) {
    nodes[offset] = key.length
    nodes.set(key, offset + 1)
    offset += 1 + key.length
  }
  return encode([nodes, record.replaced.flat()])
}

export function decodeStaleRecord(bytes: Uint8Array): StaleRecord {
  const [joined, rows] = decode(bytes, { maxBytes: 1 << 30 }) as unknown as [Uint8Array, Uint8Array[]]
  const nodes: Uint8Array[] = []
  for (let offset = 0; offset < joined.length; ) {
    const end = offset + 1 + (joined[offset] as number)
    nodes.push(joined.slice(offset + 1, end))
    offset = end
  }
  const replaced: Entry[] = []
  for (let at = 0; at + 1 < rows.length; at += 2)
    replaced.push([rows[at] as Uint8Array, rows[at + 1] as Uint8Array])
  return { nodes, replaced }
}
