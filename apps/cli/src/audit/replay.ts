import { AppError, equal, toHex } from '@salus/core'
import {
  type BlockOutcome,
  chainIdOf,
  decodeBlock,
  decodeBundle,
  governance,
  Ledger,
  memoryStore,
  organisations,
  type StateChange,
  type StateStore,
  verifiedBy,
  verifyBundle,
} from '@salus/ledger'
import { changedMembership, genesisMembership, type Membership } from '@salus/log'
import { CONTRACTS } from '../contracts.ts'

/** An anchor of a fact log, as a block made it. */
export interface Anchor {
  readonly org: string
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
  readonly height: number
}

/** A ledger that is built again from its blocks, in memory, with every signature verified. */
export class Replay {
  readonly ledger: Ledger
  readonly store: StateStore
  /** Tree pages that the blocks made, in order. */
  readonly pageKeys: Uint8Array[] = []
  /** Block leaves from genesis on. */
  readonly leaves: Uint8Array[] = []
  readonly anchors: Anchor[] = []
  /** Every log key that an organisation ever had. */
  readonly logKeys = new Map<string, Uint8Array[]>()
  /** Who belongs to the network and cosigns, after the newest block. */
  membership: Membership
  signatures = 0
  transactions = 0

  constructor(genesis: Uint8Array) {
    const memory = memoryStore()
    this.store = {
      ...memory,
      commit: (change: StateChange) => {
        for (const [key] of change.nodes) this.pageKeys.push(key)
        memory.commit(change)
      },
    }
    this.ledger = Ledger.open({ store: this.store, contracts: CONTRACTS, genesis })
    this.membership = genesisMembership(this.ledger.genesis)
    for (const { org, log } of this.ledger.genesis.members) this.logKeys.set(org, [log])
    this.leaves.push((this.ledger.outcome(0) as BlockOutcome).leafBytes)
  }

  get chainId(): Uint8Array {
    return this.ledger.chainId
  }

  /** Executes the next block. Throws AppError `BLOCK…` when it is none. */
  execute(bytes: Uint8Array): BlockOutcome {
    const { ledger } = this
    const block = decodeBlock(bytes)
    const answers = block.bundles.map((wire) => verifyBundle(wire, this.#sponsorKey(wire)))
    for (const answer of answers) this.signatures += answer.length
    const outcome = ledger.execute(block, verifiedBy(answers))
    this.transactions += outcome.results.length
    this.leaves.push(outcome.leafBytes)
    this.#follow(outcome)
    return outcome
  }

  #sponsorKey(wire: Uint8Array): Uint8Array | undefined {
    try {
      return this.ledger.sponsorKey(decodeBundle(wire).sponsor)
    } catch (error) {
      if (error instanceof AppError) return undefined
      throw error
    }
  }

  #follow({ events, leaf }: BlockOutcome): void {
    const changed = new Set<string>()
    for (const { contract, event, data } of events) {
      const fields = (data ?? {}) as Readonly<Record<string, unknown>>
      const org = fields['org']
      const name = `${contract}/${event}`
      if (
        typeof org === 'string' &&
        (name === 'governance/memberChanged' || name === 'organisations/keysSet')
      )
        changed.add(org)
      if (name === 'log/anchored' && fields['logId'] instanceof Uint8Array)
        this.#anchored(fields['logId'], leaf.height)
    }
    if (changed.size === 0) return
    const rows = [...changed].sort().flatMap((org) => {
      const proofs = [
        this.ledger.prove(governance, 'members', [org]),
        this.ledger.prove(organisations, 'keys', [org]),
      ]
      return proofs.flatMap(({ key, value, proof }) =>
        value === undefined ? [] : [{ key, value, siblings: [...proof.siblings] }],
      )
    })
    this.membership = changedMembership(this.membership, rows, leaf)
    for (const [org, { keys }] of this.membership.members) {
      const known = this.logKeys.get(org) ?? []
      for (const { key } of keys) if (!known.some((one) => equal(one, key))) known.push(key)
      this.logKeys.set(org, known)
    }
  }

  #anchored(logId: Uint8Array, height: number): void {
    const row = this.ledger.queryByName('log', 'get', { logId }) as
      | { readonly log: Omit<Anchor, 'height'> }
      | undefined
    if (row === undefined) return
    const { org, origin, size, root } = row.log
    this.anchors.push({ org, origin, size, root, height })
  }
}

/** The genesis of these bytes, if its id is the expected one. Throws AppError `OTHER_CHAIN`. */
export function checkGenesis(genesis: Uint8Array, expected: Uint8Array | undefined): void {
  const id = chainIdOf(genesis)
  if (expected !== undefined && !equal(id, expected))
    throw new AppError(
      'OTHER_CHAIN',
      `genesis: this is network ${toHex(id)}, expected was ${toHex(expected)}; name the right directory or the right id`,
    )
}
