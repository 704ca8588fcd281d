import { AppError } from '@salus/core'
import { open, type RootDatabase } from 'lmdb'
import { STATE_FORMAT, type StateStore } from '../src/state/index.ts'
import { binary, chainKey, formatKey, get, reading, readNumber, tablesOf, translated } from './tables.ts'

/** A store that only reads, and the chain that its folder says it belongs to. */
export type ReadStore = StateStore & { readonly chainId: Uint8Array | undefined }

/**
 * Opens a ledger's folder for an audit: nothing is written, a node that runs on it is not disturbed and what it
 * commits meanwhile is seen. LMDB does not check its own pages: reading an altered file may end the process, so
 * an auditor reads in a process of its own.
 * @throws {AppError} STORE_NONE when there is no ledger, STORE_NEWER, STORE_DAMAGED; `commit` is READ_ONLY
 */
export function readLmdbStore(path: string): ReadStore {
  const place = `${path}/data.mdb`
  let root: RootDatabase
  try {
    root = open({ path, ...binary, noSubdir: false, readOnly: true, maxDbs: 8 })
  } catch (error) {
    throw translated(error, place)
  }
  try {
    const tables = tablesOf(root)
    if (Object.values(tables).some((table) => table === undefined))
      throw new AppError('STORE_NONE', `${place}: holds no ledger; name a node's data directory`)
    const format = get(tables.about, formatKey)
    const version = format === undefined ? undefined : readNumber(format)
    if (version !== undefined && version > STATE_FORMAT)
      throw new AppError(
        'STORE_NEWER',
        `${place} has format ${version}, this program reads up to ${STATE_FORMAT}: use the newer program`,
        { format: version, supported: STATE_FORMAT },
      )
    return {
      ...reading(tables, place),
      chainId: get(tables.about, chainKey),
      commit() {
        throw new AppError('READ_ONLY', `${place}: was opened to be read`)
      },
      close: () => void root.close(),
    }
  } catch (error) {
    void root.close()
    throw translated(error, place)
  }
}
