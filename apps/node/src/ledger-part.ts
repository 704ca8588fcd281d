import { consent } from '@salus/consent/contract'
import { AppError, verifierKey } from '@salus/core'
import { type BundleVerifier, openSponsor, type Sponsor, verifyPool } from '@salus/engine'
import {
  cosignerKeys,
  type Follower,
  httpTransport,
  type Operator,
  openFollower,
  openOperator,
  operatorKey,
  sufficientFor,
} from '@salus/engine/embedded'
import type { Timer } from '@salus/host'
import { identity } from '@salus/identity/contract'
import { governance, Ledger, type StateStore } from '@salus/ledger'
import { WitnessClient } from '@salus/log'
import { records } from '@salus/records/contract'
import type { NodeConfig, NodeHost } from './host.ts'
import { LedgerAccess } from './ledger-access.ts'
import type { Organisation } from './organisation.ts'
import { PATHS } from './stores.ts'

/** The contracts that capabilities bring; the built-in ones come with the ledger. */
export const CONTRACTS = [consent, identity, records] as const

/** How soon after a block the witnesses are asked; blocks in between share the question. */
const WITNESS_AFTER_MS = 20

/** Ledger, engine and sponsor of one node. */
export interface LedgerPart {
  readonly ledger: Ledger
  readonly engine: Operator | Follower
  /** Set on the node that orders. */
  readonly operator: Operator | undefined
  readonly follower: Follower | undefined
  readonly sponsor: Sponsor
  readonly verifier: BundleVerifier
  readonly access: LedgerAccess
  /** Resolves when the newest block has the witnesses' cosignatures, or they did not answer. */
  witnessed(): Promise<void>
  close(): Promise<void>
}

export async function openLedgerPart(parts: {
  readonly config: NodeConfig
  readonly host: NodeHost
  readonly store: StateStore
  readonly organisation: Organisation
}): Promise<LedgerPart> {
  const { config, host, store, organisation } = parts
  const { clock, random, disk, network } = host
  const ledger = Ledger.open({ store, contracts: [...CONTRACTS], genesis: config.genesis })
  const { genesis } = ledger
  if (genesis.engine !== 'embedded' || genesis.operator === undefined)
    throw new AppError(
      'ENGINE',
      'genesis.engine: this node runs the embedded engine; the network names another',
    )
  const verifier = verifyPool({ workers: host.verifyWorkers })
  const signer = { name: config.org, key: organisation.log }
  const common = {
    ledger,
    verifier,
    clock,
    disk,
    logPath: PATHS.blockLog,
    markPath: PATHS.cosignMark,
    key: organisation.log,
    cosigner: signer,
  }
  const { heartbeatMs, tickMs } = ledger.query(governance, 'params', {})
  const isOperator = genesis.operator === config.org
  const operator = isOperator
    ? await openOperator({
        ...common,
        cosigners: () => cosignerKeys(ledger),
        sufficient: sufficientFor(ledger),
        heartbeatMs,
        ...(config.batchWindowMs === undefined ? {} : { batchWindowMs: config.batchWindowMs }),
      })
    : undefined
  const follower = isOperator
    ? undefined
    : await openFollower({
        ...common,
        operator: operatorKey(ledger),
        transport: httpTransport({ network, url: memberUrl(ledger, genesis.operator) }),
      })
  const engine = (operator ?? follower) as Operator | Follower
  const sponsor = openSponsor({
    org: config.org,
    key: organisation.sign,
    ledger,
    engine,
    verifier,
    clock,
    random,
    tickMs,
    flushMs: 5,
  })
  const access = new LedgerAccess({ ledger, engine, sponsor, clock })

  const witnesses = genesis.witnesses.flatMap(({ name, key, url }) =>
    url === undefined ? [] : [{ key: verifierKey(name, key, 4), url }],
  )
  const client =
    operator === undefined || witnesses.length === 0
      ? undefined
      : new WitnessClient({ log: operator.blockLog.tiles, network, clock })
  let timer: Timer | undefined
  let asking: Promise<void> = Promise.resolve()
  const ask = (): void => {
    timer = undefined
    asking = asking
      .then(async () => {
        await operator?.blockLog.catchUp()
        await client?.collect(witnesses)
        operator?.cosignaturesAdded()
      })
      .catch(() => undefined)
  }
  const unsubscribe =
    client === undefined
      ? () => undefined
      : engine.subscribe(() => (timer ??= clock.schedule(WITNESS_AFTER_MS, ask)))

  return {
    ledger,
    engine,
    operator,
    follower,
    sponsor,
    verifier,
    access,
    async witnessed() {
      if (timer !== undefined) {
        timer.cancel()
        ask()
      }
      await asking
    },
    async close() {
      unsubscribe()
      timer?.cancel()
      await asking
      await sponsor.close()
      await engine.close()
    },
  }
}

function memberUrl(ledger: Ledger, org: string): string {
  const member = ledger.query(governance, 'member', { org })
  if (member === undefined) throw new AppError('ENGINE', 'genesis.operator: is no member')
  return member.url
}
