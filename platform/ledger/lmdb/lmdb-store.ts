import { AppError, equal, toHex } from '@salus/core'
import { open, type RootDatabase } from 'lmdb'
import {
  checkChange,
  decodeStaleRecord,
  type Entry,
  encodeStaleRecord,
  HISTORY_HEIGHTS,
  STATE_FORMAT,
  type StateChange,
  type StateStore,
} from '../src/state/index.ts'
import {
  type Bytes,
  binary,
  chainKey,
  formatKey,
  get,
  heightKey,
  nameKey,
  numberKey,
  reading,
  readNumber,
  tablesOf,
  translated,
} from './tables.ts'

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
  const tables = tablesOf(root)
  try {
    checkAbout(root, tables.about, options.chainId, place)
  } catch (error) {
    void root.close()
    throw error
  }

  const read = reading(tables, place)
  const { about, rows, nodes, stale, meta, blocks, outcomes } = tables

  function write(change: StateChange): void {
    checkChange(change, read.height() ?? -1, place)
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
    ...read,
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

const MAP_BYTES = 16 * 2 ** 30

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
      // Address space, not disk or memory: growing the map later would keep every older mapping resident as well.
      mapSize: MAP_BYTES,
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

function put(table: Bytes, key: Uint8Array, value: Uint8Array): void {
  // Typed as void; false means that the value was not taken.
  if ((table.putSync(key, value) as unknown) === false) throw new Error('LMDB did not take a value')
}
