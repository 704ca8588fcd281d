import {
  hash,
  type Random,
  type SignedForm,
  type SigningKey,
  sealKeyPair,
  sha256,
  signingKey,
  utf8,
} from '@salus/core'
import { ledgerIdOf, roundUpToHour } from '../contract/ids.ts'
import type { CarriedTerms, DecisionState, Labels } from '../src/decision.ts'
import { FIRST_PREV, type ReleaseRequest, requestHashOf, signRequest } from '../src/release-request.ts'
import { withText } from '../src/template.ts'
import { encodeTerms, type Terms } from '../src/terms.ts'
import { signTermsLink, termsCommitment } from '../src/terms-link.ts'

/** 32 bytes that depend on a name alone. */
export function fixed(name: string): Uint8Array {
  return sha256(utf8(name))
}

export function keyOf(name: string): SigningKey {
  return signingKey(fixed(`key ${name}`))
}

/** Repeatable bytes for vectors; never for anything else. */
export function counted(name: string): Random {
  let count = 0
  return (lengthBytes) => {
    const out = new Uint8Array(lengthBytes)
    for (let at = 0; at < lengthBytes; at += 32) {
      out.set(hash(name, count++).subarray(0, Math.min(32, lengthBytes - at)), at)
    }
    return out
  }
}

export const chainId = fixed('chain')
/** 2026-11-22T12:00:00Z. */
export const NOON = 1_795_348_800_000
export const HOUR = 3_600_000

export const controller = keyOf('controller')
export const linkKey = keyOf('link')
export const custodianKey = keyOf('custodian')
export const granteeKey = keyOf('grantee')
export const replyKey = sealKeyPair(fixed('reply'))
export const salt = fixed('salt')
export const OWNER = 'owner-1'

export function sampleTerms(change: Partial<Omit<Terms, 'template' | 'textHash'>> = {}): Terms {
  return withText({
    v: 1,
    g: ledgerIdOf(controller.publicKey),
    controller: controller.publicKey,
    custodian: 'hospital-a',
    grantee: { org: 'hospital-b', unit: 'cardiology', practitioner: 'p-17' },
    sub: fixed('sub'),
    scope: { compartments: ['labs', 'medication'], filter: { from: '2015-01-01' } },
    purpose: 'TREAT',
    actions: ['read', 'search'],
    notBefore: NOON,
    notAfter: NOON + HOUR,
    lease: 30 * 60_000,
    rate: { requests: 100, versions: 5_000 },
    masks: [],
    conditions: [],
    showWithheld: false,
    minSuite: 1,
    ...change,
  })
}

export interface SampleGrant {
  readonly terms: Terms
  readonly carried: CarriedTerms
  readonly state: DecisionState
}

/** A grant in order, a quarter of an hour after it began. */
export function sampleGrant(
  change: Partial<Omit<Terms, 'template' | 'textHash'>> = {},
  state: Partial<DecisionState> = {},
): SampleGrant {
  const terms = sampleTerms(change)
  const encoded = encodeTerms(terms)
  const carried = {
    terms: encoded,
    salt,
    link: { key: linkKey.publicKey, sig: signTermsLink(linkKey, chainId, encoded) },
  }
  return {
    terms,
    carried,
    state: {
      chainId,
      custodian: 'hospital-a',
      clockMs: NOON + HOUR / 4,
      head: { height: 100, timeMs: NOON + HOUR / 4 - 10_000 },
      grant: {
        c: termsCommitment(salt, encoded),
        k: terms.controller,
        na: roundUpToHour(terms.notAfter),
        state: 'active',
      },
      revokedOnSight: false,
      links: [{ key: linkKey.publicKey, owner: OWNER }],
      credential: { issuer: 'hospital-b', status: 'active' },
      log: 'open',
      params: { readFloor: 1, freshnessTreatmentMs: 15 * 60_000, freshnessOtherMs: 60_000 },
      usage: { requestsLastHour: 0, versionsLastHour: 0, lastSeq: 0, lastRequest: FIRST_PREV },
      ...state,
    },
  }
}

export function sampleRequest(change: Partial<ReleaseRequest> = {}): ReleaseRequest {
  return {
    v: 1,
    g: ledgerIdOf(controller.publicKey),
    seq: 1,
    prev: FIRST_PREV,
    requestId: fixed('request').slice(0, 16),
    time: NOON + HOUR / 4,
    actor: { org: 'hospital-b', unit: 'cardiology', practitioner: 'p-17' },
    credential: fixed('credential'),
    purpose: 'TREAT',
    action: 'read',
    oids: [fixed('oid').slice(0, 16)],
    replyKey: replyKey.publicKey,
    suite: 1,
    ...change,
  }
}

export function sampleSignedRequest(request: ReleaseRequest = sampleRequest()): {
  signed: SignedForm
  requestHash: Uint8Array
} {
  const signed = signRequest(granteeKey, chainId, request)
  return { signed, requestHash: requestHashOf(signed) }
}

export function sampleLabels(change: Partial<Labels> = {}): Labels {
  return {
    recordId: 'Observation/o-1',
    type: 'Observation',
    compartment: 'labs',
    codes: [{ system: 'http://loinc.org', code: '718-7' }],
    dates: { startMs: NOON - 1_000 * HOUR, endMs: NOON - 1_000 * HOUR },
    owner: OWNER,
    restricted: false,
    suite: 1,
    ...change,
  }
}
