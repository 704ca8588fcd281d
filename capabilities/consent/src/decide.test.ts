import { type CborValue, decode, encode } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  chainId,
  fixed,
  HOUR,
  keyOf,
  linkKey,
  NOON,
  OWNER,
  salt,
  sampleGrant,
  sampleLabels,
  sampleRequest,
  sampleTerms,
} from '../testing/sample.ts'
import { conditionKinds } from './conditions.ts'
import { admit, decide, decideVersion } from './decide.ts'
import type { CarriedTerms, DecisionState, Labels, Reason } from './decision.ts'
import type { ReleaseRequest } from './release-request.ts'
import { withText } from './template.ts'
import { encodeTerms } from './terms.ts'
import { signTermsLink, termsCommitment } from './terms-link.ts'

const DAY = 24 * HOUR

function ask(
  grant = sampleGrant(),
  change: {
    request?: Partial<ReleaseRequest>
    state?: Partial<DecisionState>
    labels?: Partial<Labels>
  } = {},
): readonly Reason[] {
  const state = { ...grant.state, ...change.state }
  return decide(sampleRequest(change.request), grant.carried, state, sampleLabels(change.labels)).reasons
}

test('a grant in order permits, with its obligations', () => {
  const { carried, state } = sampleGrant({ masks: ['Observation.note'], showWithheld: true })
  expect(decide(sampleRequest(), carried, state, sampleLabels())).toEqual({
    permit: true,
    reasons: [],
    obligations: {
      masks: ['Observation.note'],
      leaseUntilMs: state.clockMs + 30 * 60_000,
      maxVersions: 5_000,
      showWithheld: true,
    },
  })
})

test('a lease never outlives the grant', () => {
  const { carried, state } = sampleGrant({ lease: 12 * HOUR })
  expect(decide(sampleRequest(), carried, state, sampleLabels()).obligations?.leaseUntilMs).toBe(NOON + HOUR)
})

describe('attack: grant replay and transplant', () => {
  test('every field of the terms, mutated alone, is denied', () => {
    const mandateFree = sampleGrant({
      scope: {
        compartments: ['labs'],
        filter: {
          types: ['Observation'],
          codes: [{ system: 'http://loinc.org', code: '718-7' }],
          from: '2015-01-01',
          to: '2026-12-31',
          records: ['Observation/o-1'],
        },
      },
      masks: ['Patient.address'],
      standby: ['hospital-c'],
      hosted: { method: 'in-person', staff: 's-1', evidence: fixed('evidence') },
    })
    expect(ask(mandateFree)).toEqual([])
    const mutants = mutantsOf(decode(mandateFree.carried.terms))
    expect(mutants.length).toBeGreaterThan(45)
    for (const { path, value } of mutants) {
      const carried = { ...mandateFree.carried, terms: encode(value) }
      const decision = decide(sampleRequest(), carried, mandateFree.state, sampleLabels())
      expect(decision.permit, path).toBe(false)
      // Whatever else a changed field does, the ledger's commitment alone already refuses it.
      const found = decision.reasons
      expect(found.includes('COMMITMENT') || found.includes('TERMS_UNREADABLE'), path).toBe(true)
    }
  })

  test('salt, link and every field of the ledger’s grant, mutated alone, are denied', () => {
    const { carried, state } = sampleGrant()
    const grant = state.grant
    if (grant === undefined) throw new Error('the sample has a grant')
    const other = keyOf('other').publicKey
    const cases: [string, CarriedTerms, Partial<DecisionState>][] = [
      ['salt', { ...carried, salt: flip(salt) }, {}],
      ['link.sig', { ...carried, link: { ...carried.link, sig: flip(carried.link.sig) } }, {}],
      ['link.key', { ...carried, link: { ...carried.link, key: other } }, {}],
      ['c', carried, { grant: { ...grant, c: flip(grant.c) } }],
      ['na', carried, { grant: { ...grant, na: grant.na + HOUR } }],
      ['na earlier', carried, { grant: { ...grant, na: grant.na - HOUR } }],
      ['state', carried, { grant: { ...grant, state: 'revoked' } }],
      ['absent', carried, { grant: undefined }],
      ['chain', carried, { chainId: fixed('another chain') }],
    ]
    for (const [name, mutant, change] of cases) {
      const decision = decide(sampleRequest(), mutant, { ...state, ...change }, sampleLabels())
      expect(decision.permit, name).toBe(false)
    }
  })

  test('the terms of one patient, linked by the key of another, open neither record', () => {
    const grant = sampleGrant()
    const mallory = keyOf('mallory')
    const link = { key: mallory.publicKey, sig: signTermsLink(mallory, chainId, grant.carried.terms) }
    const state = {
      ...grant.state,
      links: [...grant.state.links, { key: mallory.publicKey, owner: 'owner-2' }],
    }
    const decision = decide(
      sampleRequest(),
      { ...grant.carried, link },
      state,
      sampleLabels({ owner: OWNER }),
    )
    expect(decision.reasons).toEqual(['NOT_HERS'])
  })

  test('a request comes once: a repeated or skipped number and another predecessor are denied', () => {
    const usage = { requestsLastHour: 1, versionsLastHour: 1, lastSeq: 1, lastRequest: fixed('first') }
    expect(ask(sampleGrant({}, { usage }), { request: { seq: 2, prev: fixed('first') } })).toEqual([])
    expect(ask(sampleGrant({}, { usage }), { request: { seq: 1 } })).toEqual(['SEQUENCE'])
    expect(ask(sampleGrant({}, { usage }), { request: { seq: 3, prev: fixed('first') } })).toEqual([
      'SEQUENCE',
    ])
    expect(ask(sampleGrant({}, { usage }), { request: { seq: 2, prev: fixed('other') } })).toEqual([
      'SEQUENCE',
    ])
  })
})

describe('attack: clock', () => {
  const shift = (name: string, clockMs: number, headMs: number): [string, Partial<DecisionState>, number] => [
    name,
    { clockMs, head: { height: 1, timeMs: headMs } },
    clockMs,
  ]
  const cases: [...ReturnType<typeof shift>, Reason | undefined][] = [
    [...shift('just before the end', NOON + HOUR - 1, NOON + HOUR - 1), undefined],
    [...shift('at the end by the clock', NOON + HOUR, NOON + HOUR - 1), 'EXPIRED'],
    [...shift('at the end by the ledger', NOON + HOUR - 1, NOON + HOUR), 'EXPIRED'],
    [...shift('clock a day slow at the end', NOON + HOUR - DAY, NOON + HOUR), 'EXPIRED'],
    [...shift('clock a day fast at the end', NOON + HOUR + DAY, NOON + HOUR - 1), 'EXPIRED'],
    [...shift('at the beginning', NOON, NOON), undefined],
    [...shift('just before the beginning by the clock', NOON - 1, NOON), 'NOT_YET'],
    [...shift('just before the beginning by the ledger', NOON, NOON - 1), 'NOT_YET'],
    [...shift('clock a day fast before the beginning', NOON - 1 + DAY, NOON - 1), 'NOT_YET'],
    [...shift('clock a day slow after the beginning', NOON + 1 - DAY, NOON + 1), 'NOT_YET'],
  ]
  test.each(cases)('%s', (_name, state, time, reason) => {
    const reasons = ask(sampleGrant(), { state, request: { time } })
    if (reason === undefined) expect(reasons).toEqual([])
    else expect(reasons).toContain(reason)
  })

  test('a head older than the purpose bears is stale: 15 min for treatment, 60 s else', () => {
    const at = (ageMs: number): Partial<DecisionState> => ({
      head: { height: 1, timeMs: NOON + HOUR / 2 - ageMs },
      clockMs: NOON + HOUR / 2,
    })
    const time = NOON + HOUR / 2
    expect(ask(sampleGrant(), { state: at(15 * 60_000), request: { time } })).toEqual([])
    expect(ask(sampleGrant(), { state: at(15 * 60_000 + 1), request: { time } })).toEqual(['LEDGER_STALE'])
    const research = { purpose: 'HRESCH' } as const
    expect(ask(sampleGrant(research), { state: at(60_000), request: { time, ...research } })).toEqual([])
    expect(ask(sampleGrant(research), { state: at(60_001), request: { time, ...research } })).toEqual([
      'LEDGER_STALE',
    ])
  })
})

describe('attack: suite downgrade', () => {
  test('a suite below the terms or the floor, or unknown, is denied in request and object', () => {
    expect(ask(sampleGrant(), { request: { suite: 0 } })).toEqual(['SUITE'])
    expect(ask(sampleGrant(), { request: { suite: 2 } })).toEqual(['SUITE'])
    expect(ask(sampleGrant({ minSuite: 2 }))).toEqual(['SUITE'])
    const params = { readFloor: 2, freshnessTreatmentMs: 900_000, freshnessOtherMs: 60_000 }
    expect(ask(sampleGrant({}, { params }))).toEqual(['SUITE'])
    expect(ask(sampleGrant(), { labels: { suite: 0 } })).toEqual(['SUITE'])
  })
})

describe('attack: stale grant', () => {
  test('a withdrawal seen but not final denies', () => {
    expect(ask(sampleGrant({}, { revokedOnSight: true }))).toEqual(['REVOKED'])
  })
  test('a doubtful log lets only treatment go on, marked', () => {
    for (const log of ['suspect', 'forked'] as const) {
      const { carried, state } = sampleGrant({}, { log })
      const decision = decide(sampleRequest(), carried, state, sampleLabels())
      expect(decision.obligations?.marked).toBe(`log-${log}`)
      expect(ask(sampleGrant({ purpose: 'HPAYMT' }, { log }), { request: { purpose: 'HPAYMT' } })).toEqual([
        'LOG_DOUBT',
      ])
    }
    expect(ask(sampleGrant({}, { log: 'succeeded' }))).toEqual([])
  })
})

describe('parties and purposes', () => {
  const actor = { org: 'hospital-b', unit: 'cardiology', practitioner: 'p-17' }
  const cases: [string, Partial<ReleaseRequest>, Reason][] = [
    ['another organisation', { actor: { ...actor, org: 'hospital-c' } }, 'WRONG_GRANTEE'],
    ['another unit', { actor: { ...actor, unit: 'billing' } }, 'WRONG_UNIT'],
    ['no unit', { actor: { org: 'hospital-b', practitioner: 'p-17' } }, 'WRONG_UNIT'],
    ['another practitioner', { actor: { ...actor, practitioner: 'p-18' } }, 'WRONG_PRACTITIONER'],
    ['emergency treatment is not treatment', { purpose: 'ETREAT' }, 'PURPOSE'],
    ['care management is not treatment', { purpose: 'CAREMGT' }, 'PURPOSE'],
    ['copying is not reading', { action: 'copy' }, 'ACTION'],
    ['another grant', { g: fixed('other').slice(0, 16) }, 'WRONG_GRANT'],
    ['an old request', { time: NOON + HOUR / 4 - 600_001 }, 'REQUEST_TIME'],
  ]
  test.each(cases)('%s', (_name, request, reason) => {
    expect(ask(sampleGrant(), { request })).toContain(reason)
  })

  test('a credential must be known, active and of the asker’s own organisation', () => {
    const credentials: DecisionState['credential'][] = [
      undefined,
      { issuer: 'hospital-b', status: 'suspended' },
      { issuer: 'hospital-b', status: 'ended' },
      { issuer: 'hospital-c', status: 'active' },
    ]
    for (const credential of credentials) {
      expect(ask(sampleGrant({}, { credential }))).toEqual(['CREDENTIAL'])
    }
    const { credential: _, ...without } = sampleRequest()
    const { carried, state } = sampleGrant()
    expect(decide(without, carried, state, sampleLabels()).reasons).toEqual(['CREDENTIAL'])
  })

  test('limits per hour count requests and versions', () => {
    const rate = { requests: 2, versions: 1 }
    const used = (requestsLastHour: number, versionsLastHour: number): Partial<DecisionState> => ({
      usage: { requestsLastHour, versionsLastHour, lastSeq: 0, lastRequest: new Uint8Array(32) },
    })
    expect(ask(sampleGrant({ rate }, used(1, 0)))).toEqual([])
    expect(ask(sampleGrant({ rate }, used(2, 0)))).toEqual(['RATE'])
    expect(ask(sampleGrant({ rate }, used(1, 1)))).toEqual(['RATE'])
  })
})

describe('search', () => {
  const request: Partial<ReleaseRequest> = { action: 'search', query: 'Observation?code=718-7' }
  const asSearch = (grant: ReturnType<typeof sampleGrant>, paths: readonly string[] | undefined) => {
    const { oids: _, ...base } = sampleRequest(request)
    const search = paths && [{ name: 'code', paths }]
    return decide(base, grant.carried, { ...grant.state, ...(search && { search }) }, sampleLabels()).reasons
  }
  test('every parameter must read inside the types and outside the masks', () => {
    const narrow = sampleGrant({
      scope: { compartments: ['labs'], filter: { types: ['Observation'] } },
      masks: ['Observation.note', 'Observation.value[x]'],
    })
    expect(asSearch(narrow, ['Observation.code'])).toEqual([])
    expect(asSearch(narrow, ['Observation.note.text'])).toEqual(['SEARCH_PARAMETER'])
    expect(asSearch(narrow, ['Observation.valueQuantity'])).toEqual(['SEARCH_PARAMETER'])
    expect(asSearch(narrow, ['Observation.code', 'Patient.name'])).toEqual(['SEARCH_PARAMETER'])
    expect(asSearch(narrow, undefined)).toEqual(['SEARCH_PARAMETER'])
  })
})

describe('conditions', () => {
  const condition = { kind: 'visit-open', v: 1, args: encode({ visit: 'v-1' }) }
  const kinds = (holds: () => boolean) =>
    conditionKinds([{ kind: 'visit-open', v: 1, say: () => 'the visit is open', holds }])
  test('an unknown kind or version denies, a throwing predicate denies, a true one permits', () => {
    const known = kinds(() => true)
    const text = { conditions: [condition] }
    // The text must name the condition, so terms with it can only be made where the kind is known.
    expect(() => sampleGrant(text)).toThrow('conditions:')
    const made = sampleGrantWith(known, text)
    const run = (k: typeof known): readonly Reason[] =>
      decide(sampleRequest(), made.carried, made.state, sampleLabels(), k).reasons
    expect(run(known)).toEqual([])
    expect(run(kinds(() => false))).toEqual(['CONDITION'])
    expect(
      run(
        kinds(() => {
          throw new Error('broken')
        }),
      ),
    ).toEqual(['CONDITION'])
    expect(run(new Map())).toEqual(['TEXT_MISMATCH', 'CONDITION'])
  })
})

test('property: admit once and decideVersion per version equals decide per version', () => {
  fc.assert(
    fc.property(fc.constantFrom('labs', 'mental', 'medication'), fc.boolean(), (compartment, restricted) => {
      const { carried, state } = sampleGrant()
      const labels = sampleLabels({ compartment, restricted })
      const request = sampleRequest()
      const once = decideVersion(admit(request, carried, state), request, state, labels)
      expect(once).toEqual(decide(request, carried, state, labels))
      expect(once.permit).toBe(compartment !== 'mental' && !restricted)
    }),
  )
})

function sampleGrantWith(
  kinds: Parameters<typeof withText>[1],
  change: object,
): ReturnType<typeof sampleGrant> {
  const base = sampleGrant()
  const terms = withText({ ...sampleTerms(), ...change }, kinds)
  const encoded = encodeTerms(terms)
  const link = { key: linkKey.publicKey, sig: signTermsLink(linkKey, chainId, encoded) }
  const grant = base.state.grant && { ...base.state.grant, c: termsCommitment(salt, encoded) }
  return { terms, carried: { terms: encoded, salt, link }, state: { ...base.state, grant } }
}

function flip(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  out[0] = (out[0] as number) ^ 1
  return out
}

/** Every leaf changed, every member removed, every list shortened and lengthened: one change each. */
function mutantsOf(value: CborValue, path = ''): { path: string; value: CborValue }[] {
  if (value instanceof Uint8Array) return [{ path, value: flip(value) }]
  if (typeof value === 'string')
    return [
      { path, value: `${value}x` },
      { path, value: value.slice(1) },
    ]
  if (typeof value === 'number')
    return [{ path, value: value + 1 }, ...(value > 0 ? [{ path, value: value - 1 }] : [])]
  if (typeof value === 'boolean') return [{ path, value: !value }]
  if (Array.isArray(value)) {
    const items = value as CborValue[]
    const inner = items.flatMap((item, i) =>
      mutantsOf(item, `${path}[${i}]`).map((m) => ({ ...m, value: items.with(i, m.value) })),
    )
    const shorter = items.length > 0 ? [{ path: `${path} shorter`, value: items.slice(1) }] : []
    const longer =
      items.length > 0 ? [{ path: `${path} longer`, value: [...items, items[0] as CborValue] }] : []
    return [...inner, ...shorter, ...longer]
  }
  const node = value as { [name: string]: CborValue }
  return Object.keys(node).flatMap((name) => {
    const { [name]: member, ...rest } = node
    const inner = mutantsOf(member as CborValue, `${path}.${name}`)
    return [
      { path: `${path}.${name} gone`, value: rest },
      ...inner.map((m) => ({ path: m.path, value: { ...node, [name]: m.value } })),
    ]
  })
}
