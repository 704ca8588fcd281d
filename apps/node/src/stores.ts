import type { Random } from '@salus/core'
import type { Clock, Disk, Sql } from '@salus/host'
import { Keystore, openRoot, type RootChoice, type RootProvider } from '@salus/keys/organisation'
import type { StateStore } from '@salus/ledger'
import { Vault } from '@salus/vault'

/** Where each store of an organisation lies below its data directory. */
export const PATHS = {
  ledger: 'ledger/state',
  blockLog: 'ledger/blocks',
  cosignMark: 'cosigned',
  log: 'log',
  vault: 'vault',
  custody: 'custody.sqlite',
  index: 'index.sqlite',
  keystore: 'keystore',
} as const

/** Stores that do their own I/O: given by whoever starts the node, so that a simulation can give their twins. */
export interface StoreOpeners {
  /** State tree and blocks. */
  ledger(path: string, chainId: Uint8Array): StateStore
  sql(path: string, options: { readonly durable: boolean }): Sql
}

/** A node's stores that need no network. */
export interface Stores {
  readonly keystore: Keystore
  readonly root: RootProvider
  readonly vault: Vault
  readonly custody: Sql
  readonly index: Sql
  readonly ledger: StateStore
  close(): Promise<void>
}

/**
 * Opens every store below `disk`; locks come first, so that two processes never share a directory.
 * Throws AppError `DISK_LOCKED`, `DATA_NEWER`, `VAULT_NEWER`, `KEYSTORE_NEWER`, `ROOT_KEY_…`.
 */
export async function openStores(parts: {
  readonly disk: Disk
  readonly open: StoreOpeners
  readonly root: RootChoice
  readonly clock: Clock
  readonly random: Random
  readonly chainId: Uint8Array
}): Promise<Stores> {
  const { disk, open, clock, random, chainId } = parts
  const root = await openRoot({ choice: parts.root, disk, path: PATHS.keystore, random })
  const closers: (() => void | Promise<void>)[] = [() => root.close()]
  try {
    const keystore = await Keystore.open({ disk, path: PATHS.keystore, root, random, clock })
    closers.unshift(() => keystore.close())
    const vault = await Vault.open({ disk, path: PATHS.vault, clock })
    closers.unshift(() => vault.close())
    await disk.makeDir('ledger')
    const custody = open.sql(PATHS.custody, { durable: true })
    closers.unshift(() => custody.close())
    const index = open.sql(PATHS.index, { durable: false })
    closers.unshift(() => index.close())
    const ledger = open.ledger(PATHS.ledger, chainId)
    closers.unshift(() => ledger.close())
    return {
      keystore,
      root,
      vault,
      custody,
      index,
      ledger,
      async close() {
        for (const close of closers) await close()
      },
    }
  } catch (error) {
    for (const close of closers) await close()
    throw error
  }
}
