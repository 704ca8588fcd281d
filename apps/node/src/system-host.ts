import type { Random } from '@salus/core'
import type { VerifyAnswer, VerifyJob } from '@salus/engine'
import type { Clock } from '@salus/host'
import {
  openSql,
  secretFile,
  systemClock,
  systemDisk,
  systemNetwork,
  systemRandom,
  systemWorkers,
} from '@salus/host/system'
import { openLmdbStore } from '@salus/ledger/lmdb'
import type { PrepareInput, PrepareOutput } from '@salus/records'
import type { NodeHost } from './host.ts'

export interface SystemHostOptions {
  /** The organisation's data directory, absolute. */
  readonly dataDir: string
  /** Where the root key is: a file outside the data directory, or a passphrase. */
  readonly root:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'passphrase'; readonly passphrase: string }
  readonly clock?: Clock
  readonly random?: Random
  /** Threads for signatures and for imports; they start when first needed. */
  readonly threads?: number
}

/** This machine under a node. `close` ends its worker threads, after the node is closed. */
export async function systemHost(options: SystemHostOptions): Promise<NodeHost & { close(): Promise<void> }> {
  const { dataDir, threads = 2 } = options
  const clock = options.clock ?? systemClock()
  const verifyWorkers = systemWorkers<VerifyJob, VerifyAnswer>(
    new URL(import.meta.resolve('@salus/engine/verify-worker')),
    { size: threads },
  )
  const prepareWorkers = systemWorkers<PrepareInput, PrepareOutput>(
    new URL(import.meta.resolve('@salus/records/prepare-worker')),
    { size: threads },
  )
  return {
    clock,
    random: options.random ?? systemRandom,
    disk: systemDisk(dataDir),
    network: systemNetwork(),
    open: {
      ledger: (path, chainId) => openLmdbStore({ path: `${dataDir}/${path}`, chainId }),
      sql: (path, { durable }) => openSql(`${dataDir}/${path}`, { durable }),
    },
    root:
      options.root.kind === 'passphrase'
        ? options.root
        : { kind: 'file', file: await secretFile({ path: options.root.path, dataDir }) },
    verifyWorkers,
    prepareWorkers,
    async close() {
      await verifyWorkers.close()
      await prepareWorkers.close()
    },
  }
}
