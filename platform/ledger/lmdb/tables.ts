import { AppError, compareBytes } from '@salus/core'
import type { Database, RootDatabase } from 'lmdb'
import {
  decodeStaleRecord,
  type Entry,
  type ScanOptions,
  type StateStore,
  startsWith,
} from '../src/state/index.ts'

export type Bytes = Database<Uint8Array, Uint8Array>

export const binary = {
  encoding: 'binary',
  keyEncoding: 'binary',
  useVersions: false,
  cache: false,
} as const
export const heightKey = new TextEncoder().encode('height')
export const formatKey = new TextEncoder().encode('format')
export const chainKey = new TextEncoder().encode('chain')

/** The named databases of a store. */
export interface Tables {
  readonly about: Bytes
  readonly rows: Bytes
  readonly nodes: Bytes
  readonly stale: Bytes
  readonly meta: Bytes
  readonly blocks: Bytes
  readonly outcomes: Bytes
}

export function tablesOf(root: RootDatabase): Tables {
  const table = (name: string): Bytes => root.openDB(name, binary) as Bytes
  return {
    about: table('about'),
    rows: table('state'),
    nodes: table('nodes'),
    stale: table('stale'),
    meta: table('meta'),
    blocks: table('blocks'),
    outcomes: table('outcomes'),
  }
}

/** What a store reads. */
export function reading(
  { about, rows, nodes, stale, meta, blocks, outcomes }: Tables,
  place: string,
): Omit<StateStore, 'commit' | 'close'> {
  function* scan(prefix: Uint8Array, { after, limit }: ScanOptions = {}): Iterable<Entry> {
    const start = after && compareBytes(after, prefix) > 0 ? after : prefix
    let left = limit ?? Number.POSITIVE_INFINITY
    if (left <= 0) return
    // An empty start is no valid key; without one LMDB begins at the first.
    for (const { key, value } of rows.getRange(start.length === 0 ? {} : { start })) {
      if (!startsWith(key, prefix)) return
      if (after && compareBytes(key, after) <= 0) continue
      yield [new Uint8Array(key), new Uint8Array(value)]
      if (--left <= 0) return
    }
  }

  return {
    place,
    height() {
      const bytes = get(about, heightKey)
      return bytes && readNumber(bytes)
    },
    get: (key) => get(rows, key),
    scan,
    getMeta: (name) => get(meta, nameKey(name)),
    node: (key) => get(nodes, key),
    block: (at) => get(blocks, numberKey(at)),
    outcome: (at) => get(outcomes, numberKey(at)),
    replaced(at) {
      const record = get(stale, numberKey(at))
      return record ? decodeStaleRecord(record).replaced : []
    },
  }
}

/** LMDB hands out a Buffer of its own memory; a Buffer's `slice` shares, so callers get a plain array. */
export function get(table: Bytes, key: Uint8Array): Uint8Array | undefined {
  const bytes = table.getBinary(key)
  return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Eight bytes, big endian, so that heights are in order. */
export function numberKey(number: number): Uint8Array {
  const key = new Uint8Array(8)
  new DataView(key.buffer).setBigUint64(0, BigInt(number))
  return key
}

export function readNumber(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0))
}

export function nameKey(name: string): Uint8Array {
  return new TextEncoder().encode(name)
}

export function translated(error: unknown, place: string): unknown {
  if (error instanceof AppError) return error
  const message = error instanceof Error ? error.message : String(error)
  if (/no space|ENOSPC|MAP_FULL|Disk quota/i.test(message))
    return new AppError(
      'DISK_FULL',
      `${place}: no room for another block; nothing was changed. Make room and go on`,
      { place },
      { cause: error },
    )
  if (/MDB_(CORRUPTED|INVALID|PAGE_NOTFOUND|VERSION_MISMATCH|BAD_TXN)/i.test(message))
    return new AppError(
      'STORE_DAMAGED',
      `${place}: ${message}; restore a backup, or delete the folder and take the blocks again`,
      { place },
      { cause: error },
    )
  return error
}
