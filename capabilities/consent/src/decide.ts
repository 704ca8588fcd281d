import { dayStartMs, equal } from '@salus/core'
import { isLedgerIdOf } from '../contract/ids.ts'
import { type ConditionKinds, conditionHolds, noConditions } from './conditions.ts'
import {
  type CarriedTerms,
  type Decision,
  type DecisionState,
  type Labels,
  type Obligations,
  REASONS,
  type Reason,
} from './decision.ts'
import { decodeMandate, mandateCovers, mandateIsProven } from './delegation.ts'
import { coversMask } from './masks.ts'
import type { ReleaseRequest } from './release-request.ts'
import { textHashOf } from './template.ts'
import { decodeTerms, type Terms } from './terms.ts'
import { matchesGrant, verifyTermsLink } from './terms-link.ts'
import { SUITES, TREATMENT } from './vocabulary.ts'

/** A request may be this much older or newer than the custodian's clock. */
export const REQUEST_CLOCK_MS = 10 * 60_000
const DAY_MS = 86_400_000

/** What was found once per request; `decideVersion` adds what each version says. */
export interface Admission {
  readonly reasons: readonly Reason[]
  /** Absent where the terms could not be read. */
  readonly terms?: Terms
  readonly owner?: string
  readonly obligations?: Obligations
}

/**
 * The checks that do not depend on the version: grant, parties, time, freshness, credential, mandate, log, rate.
 * The request's own signature is checked before (`openRequest`). Costs one signature check. Pure. Protocol §4.
 */
export function admit(
  request: ReleaseRequest,
  carried: CarriedTerms,
  state: DecisionState,
  kinds: ConditionKinds = noConditions,
): Admission {
  const terms = readTerms(carried)
  if (terms === undefined) return { reasons: ['TERMS_UNREADABLE'] }
  const found = new Set<Reason>()
  const deny = (reason: Reason, when: boolean): void => {
    if (when) found.add(reason)
  }
  const link = state.links.find(({ key }) => equal(key, carried.link.key))
  const latestMs = Math.max(state.head.timeMs, state.clockMs)
  const earliestMs = Math.min(state.head.timeMs, state.clockMs)
  const { grant, usage, params } = state
  const { actor } = request

  deny('TEXT_MISMATCH', !textHolds(terms, kinds))
  deny('NO_GRANT', grant === undefined)
  deny('REVOKED', state.revokedOnSight || grant?.state === 'revoked')
  deny(
    'EXPIRED',
    latestMs >= terms.notAfter ||
      (grant !== undefined && (grant.state === 'expired' || latestMs >= grant.na)),
  )
  deny('NOT_YET', earliestMs < terms.notBefore)
  deny('COMMITMENT', grant !== undefined && !matchesGrant(grant, carried.terms, carried.salt))
  deny(
    'LINK',
    link === undefined || !verifyTermsLink(carried.link.key, state.chainId, carried.terms, carried.link.sig),
  )
  deny('WRONG_GRANT', !equal(request.g, terms.g) || !isLedgerIdOf(terms.g, terms.controller))
  deny('WRONG_CUSTODIAN', terms.custodian !== state.custodian)
  deny('WRONG_GRANTEE', actor.org !== terms.grantee.org)
  deny('WRONG_UNIT', terms.grantee.unit !== undefined && actor.unit !== terms.grantee.unit)
  deny(
    'WRONG_PRACTITIONER',
    terms.grantee.practitioner !== undefined && actor.practitioner !== terms.grantee.practitioner,
  )
  deny('CREDENTIAL', !credentialHolds(request, state))
  deny('PURPOSE', request.purpose !== terms.purpose)
  deny('ACTION', !terms.actions.includes(request.action))
  deny('MANDATE', !mandateHolds(terms, state, link?.d, latestMs))
  deny('SUITE', !SUITES.includes(request.suite) || request.suite < Math.max(terms.minSuite, params.readFloor))
  const treatment = TREATMENT.includes(request.purpose)
  const freshMs = treatment ? params.freshnessTreatmentMs : params.freshnessOtherMs
  deny('LEDGER_STALE', state.clockMs - state.head.timeMs > freshMs)
  const doubt = state.log === 'suspect' || state.log === 'forked' ? state.log : undefined
  deny('LOG_DOUBT', doubt !== undefined && !treatment)
  deny('SEQUENCE', request.seq !== usage.lastSeq + 1 || !equal(request.prev, usage.lastRequest))
  deny('REQUEST_TIME', Math.abs(request.time - state.clockMs) > REQUEST_CLOCK_MS)
  const maxVersions = terms.rate.versions - usage.versionsLastHour
  deny('RATE', usage.requestsLastHour >= terms.rate.requests || (request.oids?.length ?? 1) > maxVersions)
  deny('SEARCH_PARAMETER', !searchHolds(request, terms, state))

  const admission = {
    reasons: inOrder(found),
    terms,
    obligations: {
      masks: terms.masks,
      leaseUntilMs: Math.min(latestMs + terms.lease, terms.notAfter),
      maxVersions,
      showWithheld: terms.showWithheld,
      ...(doubt && { marked: `log-${doubt}` as const }),
    },
  }
  return link === undefined ? admission : { ...admission, owner: link.owner }
}

/** What a version adds: owner, category, filter, restriction, conditions. Pure. */
export function decideVersion(
  admission: Admission,
  request: ReleaseRequest,
  state: DecisionState,
  labels: Labels,
  kinds: ConditionKinds = noConditions,
): Decision {
  const found = new Set<Reason>(admission.reasons)
  const { terms, obligations } = admission
  if (terms === undefined || obligations === undefined) return { permit: false, reasons: inOrder(found) }
  for (const reason of outOfScope(terms, labels)) found.add(reason)
  if (labels.owner === undefined || labels.owner !== admission.owner) found.add('NOT_HERS')
  if (!SUITES.includes(labels.suite) || labels.suite < state.params.readFloor) found.add('SUITE')
  const input = { request, state, labels }
  if (!terms.conditions.every((condition) => conditionHolds(kinds, condition, input))) found.add('CONDITION')
  if (found.size > 0) return { permit: false, reasons: inOrder(found) }
  return { permit: true, reasons: [], obligations }
}

/** The whole decision for one version. Several versions of one request: `admit` once, then `decideVersion`. */
export function decide(
  request: ReleaseRequest,
  carried: CarriedTerms,
  state: DecisionState,
  labels: Labels,
  kinds: ConditionKinds = noConditions,
): Decision {
  return decideVersion(admit(request, carried, state, kinds), request, state, labels, kinds)
}

/** Why a version lies outside the scope of terms; empty if it lies inside. Shared with the preview. */
export function outOfScope(terms: Terms, labels: Labels): Reason[] {
  const { compartments, filter } = terms.scope
  const found: Reason[] = []
  if (labels.restricted) found.push('RESTRICTED')
  if (!compartments.includes(labels.compartment)) found.push('COMPARTMENT')
  if (filter?.types && !filter.types.includes(labels.type)) found.push('TYPE')
  if (filter?.codes) {
    const wanted = filter.codes
    const has = labels.codes.some((have) =>
      wanted.some((c) => c.system === have.system && c.code === have.code),
    )
    if (!has) found.push('CODE')
  }
  // What does not say when it happened is outside every limit of dates; what straddles one is outside too.
  const { from, to } = filter ?? {}
  const early = from !== undefined && !(labels.dates && labels.dates.startMs >= dayStartMs(from))
  const late = to !== undefined && !(labels.dates && labels.dates.endMs < dayStartMs(to) + DAY_MS)
  if (early || late) found.push('DATE')
  if (filter?.records && !filter.records.includes(labels.recordId)) found.push('RECORD')
  return found
}

function readTerms(carried: CarriedTerms): Terms | undefined {
  try {
    return decodeTerms(carried.terms)
  } catch {
    return undefined
  }
}

function textHolds(terms: Terms, kinds: ConditionKinds): boolean {
  try {
    return equal(textHashOf(terms, kinds), terms.textHash)
  } catch {
    return false
  }
}

/** A person needs a credential that her own organisation issued and that is active at the head. */
function credentialHolds(request: ReleaseRequest, { credential }: DecisionState): boolean {
  if (request.actor.practitioner === undefined) return request.credential === undefined
  return (
    request.credential !== undefined &&
    credential !== undefined &&
    credential.status === 'active' &&
    credential.issuer === request.actor.org
  )
}

/**
 * Terms with a mandate need its delegation active at every release; a link key that belongs to a delegate signs
 * only terms with that delegation's mandate, so an ended delegate cannot pass for the patient.
 */
export function mandateHolds(
  terms: Terms,
  { delegation, chainId }: Pick<DecisionState, 'delegation' | 'chainId'>,
  linkDelegation: Uint8Array | undefined,
  latestMs: number,
): boolean {
  if (terms.mandate === undefined) return linkDelegation === undefined
  if (delegation === undefined || linkDelegation === undefined) return false
  if (!mandateIsProven(terms.mandate, delegation, chainId)) return false
  const mandate = decodeMandate(terms.mandate.mandate)
  return (
    equal(mandate.d, linkDelegation) &&
    delegation.state === 'active' &&
    latestMs < Math.min(mandate.until, delegation.na) &&
    mandateCovers(mandate, terms)
  )
}

/** A search evaluates nothing outside the types of the scope, and no masked element. Protocol §4. */
function searchHolds(request: ReleaseRequest, terms: Terms, { search }: DecisionState): boolean {
  if (request.action !== 'search') return true
  if (search === undefined) return false
  const types = terms.scope.filter?.types
  return search.every(({ paths }) =>
    paths.every((path) => {
      const type = path.split('.', 1)[0] as string
      const inTypes = types === undefined || type === 'Resource' || types.includes(type)
      return inTypes && !terms.masks.some((mask) => coversMask(mask, path))
    }),
  )
}

function inOrder(found: ReadonlySet<Reason>): Reason[] {
  return REASONS.filter((reason) => found.has(reason))
}
