import { AppError, compareBytes, equal, toHex } from '@salus/core'
import { type Database, open, type RootDatabase } from 'lmdb'
import {
  checkChange,
  decodeStaleRecord,
  type Entry,
  encodeStaleRecord,
  HISTORY_HEIGHTS,
  type ScanOptions,
  STATE_FORMAT,
  type StateChange,
  type StateStore,
  startsWith,
} from '../src/state/index.ts'

type Bytes = Database<Uint8Array, Uint8Array>

export interface LmdbStoreOptions {
  /** Folder of the database files; made when absent. LMDB does its own I/O, so this is a path of the machine. */
  readonly path: string
  /** The ledger's chain id. A folder of another chain is refused; an empty folder takes it. */
  readonly chainId: Uint8Array
  /**
   * Releases the exclusive lock on the folder when the store closes. LMDB lets two processes write in turn, so the
   * composition root locks the folder first (`Disk.lock`); should two get past that, `commit` refuses with STORE_MOVED.
   */
  readonly release?: () => void
}

/**
 * State, tree, blocks and head in LMDB: one transaction with a full sync per block; readers never wait.
 * @throws {AppError} STORE_NEWER for data of a newer format, STORE_OTHER_CHAIN for another chain's folder,
 * STORE_DAMAGED when LMDB cannot read the file
 */
export function openLmdbStore(options: LmdbStoreOptions): StateStore {
  const place = `${options.path}/data.mdb`
  const root = openRoot(options.path, place)
  const table = (name: string): Bytes => root.openDB(name, binary) as Bytes
  const about = table('about')
  const rows = table('state')
  const nodes = table('nodes')
  const stale = table('stale')
  const meta = table('meta')
  const blocks = table('blocks')
  const outcomes = table('outcomes')
  try {
    checkAbout(root, about, options.chainId, place)
  } catch (error) {
    void root.close()
    throw error
  }

  function height(): number | undefined {
    const bytes = get(about, heightKey)
    return bytes && readNumber(bytes)
  }

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

  function write(change: StateChange): void {
    checkChange(change, height() ?? -1, place)
    const replaced: Entry[] = []
    for (const [key, value] of change.puts) {
      const before = get(rows, key)
      if (before) replaced.push([key, before])
      if (value !== undefined) put(rows, key, value)
      else if (before) rows.removeSync(key)
    }
    for (const [key, bytes] of change.nodes) put(nodes, key, bytes)
    for (const [name, value] of change.meta) {
      if (value === undefined) meta.removeSync(nameKey(name))
      else put(meta, nameKey(name), value)
    }
    put(stale, numberKey(change.height), encodeStaleRecord({ nodes: change.staleNodes, replaced }))
    put(blocks, numberKey(change.height), change.block)
    put(outcomes, numberKey(change.height), change.outcome)
    put(about, heightKey, numberKey(change.height))
    prune(change.height - HISTORY_HEIGHTS)
  }

  function prune(expired: number): void {
    if (expired < 0) return
    const record = get(stale, numberKey(expired))
    if (!record) return
    for (const key of decodeStaleRecord(record).nodes) nodes.removeSync(key)
    stale.removeSync(numberKey(expired))
  }

  return {
    place,
    height,
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
    commit(change) {
      try {
        root.transactionSync(() => write(change))
      } catch (error) {
        throw translated(error, place)
      }
    },
    close() {
      void root.close()
      options.release?.()
    },
  }
}

const binary = { encoding: 'binary', keyEncoding: 'binary', useVersions: false, cache: false } as const
const heightKey = new TextEncoder().encode('height')
const formatKey = new TextEncoder().encode('format')
const chainKey = new TextEncoder().encode('chain')

function openRoot(path: string, place: string): RootDatabase {
  try {
    // Commits are synchronous and flushed by LMDB itself, so nothing may be flushed behind them.
    return open({
      path,
      ...binary,
      noSubdir: false,
      overlappingSync: false,
      eventTurnBatching: false,
      maxDbs: 8,
    })
  } catch (error) {
    throw translated(error, place)
  }
}

function checkAbout(root: RootDatabase, about: Bytes, chainId: Uint8Array, place: string): void {
  const format = get(about, formatKey)
  if (!format) {
    root.transactionSync(() => {
      put(about, formatKey, numberKey(STATE_FORMAT))
      put(about, chainKey, chainId)
    })
    return
  }
  const version = readNumber(format)
  if (version > STATE_FORMAT)
    throw new AppError(
      'STORE_NEWER',
      `${place} has format ${version}, this program reads up to ${STATE_FORMAT}: start it with the newer program`,
      { format: version, supported: STATE_FORMAT },
    )
  const chain = get(about, chainKey)
  if (!chain || chain.length !== chainId.length || !equal(chain, chainId))
    throw new AppError(
      'STORE_OTHER_CHAIN',
      `${place} belongs to chain ${chain ? toHex(chain) : 'unknown'}, expected ${toHex(chainId)}: name the right folder or the right genesis`,
      { found: chain && toHex(chain), expected: toHex(chainId) },
    )
}

/** LMDB hands out a Buffer of its own memory; a Buffer's `slice` shares, so callers get a plain array. */
function get(table: Bytes, key: Uint8Array): Uint8Array | undefined {
  const bytes = table.getBinary(key)
  return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

function put(table: Bytes, key: Uint8Array, value: Uint8Array): void {
  // Typed as void; false means that the value was not taken.
  if ((table.putSync(key, value) as unknown) === false) throw new Error('LMDB did not take a value')
}

/** Eight bytes, big endian, so that heights are in order. */
function numberKey(number: number): Uint8Array {
  const key = new Uint8Array(8)
  new DataView(key.buffer).setBigUint64(0, BigInt(number))
  return key
}

function readNumber(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0))
}

function nameKey(name: string): Uint8Array {
  return new TextEncoder().encode(name)
}

function translated(error: unknown, place: string): unknown {
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
