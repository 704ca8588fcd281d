import type { Random } from '@salus/core'
import type { VerifyAnswer, VerifyJob } from '@salus/engine'
import type { Clock, Disk, Network, WorkerPool } from '@salus/host'
import type { RootChoice } from '@salus/keys/organisation'
import type { PrepareInput, PrepareOutput } from '@salus/records'
import type { StoreOpeners } from './stores.ts'

/** The machine under a node, given by whoever starts it. */
export interface NodeHost {
  readonly clock: Clock
  readonly random: Random
  /** Rooted at the organisation's data directory. */
  readonly disk: Disk
  readonly network: Network
  readonly open: StoreOpeners
  readonly root: RootChoice
  readonly verifyWorkers: WorkerPool<VerifyJob, VerifyAnswer>
  readonly prepareWorkers: WorkerPool<PrepareInput, PrepareOutput>
}

/** What a node is told about itself and its network. */
export interface NodeConfig {
  readonly org: string
  /** Genesis bytes of the network; its hash is the chain id. */
  readonly genesis: Uint8Array
  readonly address: string
  /** 0 takes a free port. */
  readonly port: number
  /** Base URL that others reach this node by; `http://address:port` unless told. */
  readonly url?: string
  /** How long the operator waits for company before it makes a block, ms. */
  readonly batchWindowMs?: number
  /** Place whose retention table decides what the law keeps (protocol §7). */
  readonly jurisdiction?: string
}
