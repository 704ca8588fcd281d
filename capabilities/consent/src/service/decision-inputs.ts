import { toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import type { DecisionState, LogState, SearchParameter } from '../decision.ts'
import { decodeMandate, type LedgerDelegation } from '../delegation.ts'
import type { ReleaseRequest } from '../release-request.ts'
import type { Terms } from '../terms.ts'
import type { LedgerGrant } from '../terms-link.ts'
import type { GrantStore, StoredGrant } from './grant-store.ts'
import type { ConsentKeys, ConsentLedger, LinkRegistry } from './ports.ts'

export interface DecisionParts {
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly grants: GrantStore
  readonly links: LinkRegistry
  readonly clock: Clock
}

/** What a release has and a draft has not. */
export interface DecisionUse {
  readonly grant: StoredGrant
  readonly request: ReleaseRequest
  readonly parameters: readonly SearchParameter[] | undefined
}

/** Everything the decision looks at, gathered at one moment: the head, the registries, the clock. */
export function decisionState(parts: DecisionParts, terms: Terms, use?: DecisionUse): DecisionState {
  const { keys, ledger, grants, clock } = parts
  const nowMs = clock.now()
  const stored = use?.grant
  const credential = use?.request.credential
  const { mandate } = terms
  const usage =
    stored === undefined ? { requestsLastHour: 0, versionsLastHour: 0 } : grants.usage(stored.g, nowMs)
  return {
    chainId: ledger.chainId,
    custodian: keys.org,
    clockMs: nowMs,
    head: ledger.head(),
    grant: stored === undefined ? undefined : ledgerGrant(ledger, stored.g),
    revokedOnSight: stored?.revokedOnSight ?? false,
    links: stored === undefined ? [] : registeredLinks(parts, stored.carried.link.key),
    credential:
      credential === undefined
        ? undefined
        : (ledger.query('identity', 'credential', { h: credential }) as DecisionState['credential']),
    delegation:
      mandate === undefined ? undefined : ledgerDelegation(ledger, decodeMandate(mandate.mandate).d),
    log: worse(ledger.logState(keys.org), ledger.logState(terms.grantee.org)),
    params: {
      readFloor: ledger.param('readFloor'),
      freshnessTreatmentMs: ledger.param('freshnessTreatmentMs'),
      freshnessOtherMs: ledger.param('freshnessOtherMs'),
    },
    usage: {
      ...usage,
      lastSeq: stored?.lastSeq ?? 0,
      lastRequest: stored?.lastRequest ?? new Uint8Array(32),
    },
    ...(use?.parameters === undefined ? {} : { search: use.parameters }),
  }
}

export function ledgerGrant(ledger: ConsentLedger, g: Uint8Array): LedgerGrant | undefined {
  return ledger.query('consent', 'grant', { g }) as LedgerGrant | undefined
}

export function ledgerDelegation(ledger: ConsentLedger, d: Uint8Array): LedgerDelegation | undefined {
  return ledger.query('consent', 'delegation', { d }) as LedgerDelegation | undefined
}

/** Height and age of the head, as events carry them. */
export function headNow({ ledger, clock }: Pick<DecisionParts, 'ledger' | 'clock'>): {
  height: number
  ageMs: number
} {
  const head = ledger.head()
  return { height: head.height, ageMs: Math.max(0, clock.now() - head.timeMs) }
}

function registeredLinks({ links }: DecisionParts, key: Uint8Array): DecisionState['links'] {
  const link = links.ownerOf(key)
  if (link === undefined) return []
  const { owner, delegation } = link
  return [{ key, owner: toHex(owner), ...(delegation === undefined ? {} : { d: delegation }) }]
}

const GRAVITY: readonly LogState[] = ['open', 'succeeded', 'suspect', 'forked']

function worse(a: LogState, b: LogState): LogState {
  return GRAVITY.indexOf(a) > GRAVITY.indexOf(b) ? a : b
}
