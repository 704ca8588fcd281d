import { describe, expect, test } from 'vitest'
import { chainId, fixed, granteeKey, HOUR, keyOf, NOON, replyKey } from '../testing/sample.ts'
import {
  decideEmergency,
  type EmergencyRequest,
  type EmergencyState,
  emergencyArgs,
  encodeEmergencyStatement,
  openEmergencyRequest,
  signAsStaff,
  signEmergencyRequest,
} from './emergency.ts'
import { emergencySummary, type SummarySource } from './emergency-summary.ts'
import { requestHashOf } from './release-request.ts'

const h = fixed('credential')
const salt = fixed('salt')
const statement = encodeEmergencyStatement({
  v: 1,
  org: 'hospital-b',
  practitioner: 'p-17',
  credential: h,
  reason: 'unconscious',
  time: NOON,
  until: NOON + 4 * HOUR,
})
const { b, c, na } = emergencyArgs(statement, salt)
const request: EmergencyRequest = {
  v: 1,
  b,
  requestId: fixed('id').slice(0, 16),
  time: NOON,
  actor: { org: 'hospital-b', practitioner: 'p-17' },
  credential: h,
  statement,
  salt,
  patient: { kind: 'locator', locator: fixed('locator') },
  replyKey: replyKey.publicKey,
  suite: 1,
}
const summary = { compartment: 'emergency' as const, restricted: false }
const state: EmergencyState = {
  chainId,
  clockMs: NOON + HOUR,
  head: { timeMs: NOON + HOUR },
  glass: { org: 'hospital-b', c, na },
  credential: { issuer: 'hospital-b', status: 'active' },
  optedOut: false,
  overridesOptOut: false,
}
const reasons = (
  change: { request?: Partial<EmergencyRequest>; state?: Partial<EmergencyState>; labels?: object } = {},
) =>
  decideEmergency(
    { ...request, ...change.request },
    { ...state, ...change.state },
    { ...summary, ...change.labels },
  ).reasons

describe('break-glass', () => {
  test('releases the summary, and nothing else', () => {
    expect(decideEmergency(request, state, summary)).toEqual({ permit: true, reasons: [] })
    expect(reasons({ labels: { compartment: 'general' } })).toEqual(['NOT_SUMMARY'])
    expect(reasons({ labels: { compartment: 'mental' } })).toEqual(['NOT_SUMMARY'])
  })
  test('needs the ledger’s event first, by this organisation, for this statement, not ended', () => {
    expect(reasons({ state: { glass: undefined } })).toEqual(['NOT_FINAL'])
    expect(reasons({ state: { glass: { org: 'hospital-c', c, na } } })).toEqual(['WRONG_ORG'])
    expect(reasons({ state: { glass: { org: 'hospital-b', c: fixed('x'), na } } })).toEqual(['COMMITMENT'])
    expect(reasons({ request: { salt: fixed('x') } })).toContain('COMMITMENT')
    expect(reasons({ request: { b: fixed('x').slice(0, 16) } })).toContain('COMMITMENT')
    expect(reasons({ request: { actor: { org: 'hospital-b', practitioner: 'p-18' } } })).toContain(
      'COMMITMENT',
    )
    for (const late of [{ clockMs: na }, { head: { timeMs: na } }])
      expect(reasons({ state: late })).toEqual(['ENDED'])
  })
  test('honours the opt-out except where law overrides it, and needs an active credential', () => {
    expect(reasons({ state: { optedOut: true } })).toEqual(['OPTED_OUT'])
    expect(reasons({ state: { optedOut: true, overridesOptOut: true } })).toEqual([])
    expect(reasons({ state: { credential: undefined } })).toEqual(['CREDENTIAL'])
    expect(reasons({ state: { credential: { issuer: 'hospital-b', status: 'suspended' } } })).toEqual([
      'CREDENTIAL',
    ])
  })
  test('a statement of more than 24 hours cannot be made', () => {
    const long = {
      v: 1,
      org: 'b',
      practitioner: 'p',
      credential: h,
      reason: 'other' as const,
      time: 0,
      until: 24 * HOUR + 1,
    }
    expect(() => encodeEmergencyStatement(long)).toThrow('until:')
  })
  test('a request is signed by the organisation that it names', () => {
    const signed = signEmergencyRequest(granteeKey, chainId, request)
    const open = { org: 'hospital-b', orgKey: granteeKey.publicKey, chainId }
    expect(openEmergencyRequest(signed, open)).toEqual(request)
    expect(() => openEmergencyRequest(signed, { ...open, org: 'hospital-c' })).toThrow('actor.org:')
  })
})

describe('with the ledger stopped', () => {
  const requestHash = requestHashOf(signEmergencyRequest(granteeKey, chainId, request))
  const [ana, ben] = [keyOf('ana'), keyOf('ben')]
  const [hAna, hBen] = [fixed('h ana'), fixed('h ben')]
  const known = (h: Uint8Array, practitioner: string, cnf: Uint8Array, status = 'active') => ({
    h,
    practitioner,
    cnf,
    status,
    issuer: 'hospital-b',
  })
  const credentials = [known(hAna, 'p-1', ana.publicKey), known(hBen, 'p-2', ben.publicKey)]
  const signatures = [
    signAsStaff(ana, chainId, hAna, requestHash),
    signAsStaff(ben, chainId, hBen, requestHash),
  ]
  const degraded = (change: object) =>
    decideEmergency(
      request,
      { ...state, glass: undefined, degraded: { requestHash, signatures, credentials, ...change } },
      summary,
    )

  test('two staff signatures release it, flagged, with the ledger’s event due in 24 hours', () => {
    expect(degraded({})).toEqual({
      permit: true,
      reasons: [],
      degraded: { ledgerDueMs: state.clockMs + 24 * HOUR },
    })
  })
  test('one person twice, one suspended, a foreign key or another request do not', () => {
    const refused = { permit: false, reasons: ['TWO_SIGNATURES'] }
    expect(degraded({ signatures: signatures.slice(1) })).toEqual(refused)
    const twin = known(hBen, 'p-1', ben.publicKey)
    expect(degraded({ credentials: [known(hAna, 'p-1', ana.publicKey), twin] })).toEqual(refused)
    const suspended = known(hBen, 'p-2', ben.publicKey, 'suspended')
    expect(degraded({ credentials: [known(hAna, 'p-1', ana.publicKey), suspended] })).toEqual(refused)
    expect(
      degraded({ credentials: [known(hAna, 'p-1', ana.publicKey), known(hBen, 'p-2', ana.publicKey)] }),
    ).toEqual(refused)
    expect(degraded({ requestHash: fixed('x') })).toEqual(refused)
  })
})

describe('the emergency summary', () => {
  const source = (recordId: string, compartment: string, rest: object): SummarySource => ({
    recordId,
    compartment,
    resource: { resourceType: recordId.split('/')[0], id: recordId.split('/')[1], ...rest },
  })
  const active = {
    clinicalStatus: { coding: [{ code: 'active' }] },
    verificationStatus: { coding: [{ code: 'confirmed' }] },
  }
  const subject = { reference: 'Patient/p', display: 'Mary Secret' }
  const sources = [
    source('Patient/p', 'general', {
      name: [{ family: 'Hill' }],
      birthDate: '1970-01-01',
      identifier: [{ value: 'SSN' }],
    }),
    source('AllergyIntolerance/a', 'general', { ...active, patient: subject, code: { text: 'Penicillin' } }),
    source('AllergyIntolerance/b', 'general', {
      ...active,
      clinicalStatus: { coding: [{ code: 'resolved' }] },
      code: { text: 'Nuts' },
    }),
    source('Condition/c', 'general', {
      ...active,
      subject,
      code: { text: 'Asthma' },
      encounter: { reference: 'Encounter/e', display: 'Clinic' },
    }),
    source('Condition/d', 'mental', { ...active, subject, code: { text: 'Depression' } }),
    source('MedicationRequest/m', 'medication', {
      status: 'active',
      subject,
      medicationReference: { reference: 'Medication/x', display: 'Salbutamol' },
      reasonReference: [{ reference: 'Condition/d', display: 'Depression' }],
      reasonCode: [{ text: 'Depression' }],
      note: [{ text: 'Depression' }],
    }),
    source('MedicationRequest/n', 'medication', {
      status: 'stopped',
      medicationCodeableConcept: { text: 'Old drug' },
    }),
    source('Immunization/i', 'general', {
      status: 'completed',
      patient: subject,
      vaccineCode: { text: 'Tetanus' },
    }),
    source('Observation/o', 'labs', {
      status: 'final',
      subject,
      code: { coding: [{ system: 'http://loinc.org', code: '882-1' }] },
      valueCodeableConcept: { text: 'A Rh positive' },
    }),
    source('Observation/x', 'labs', { status: 'final', code: { coding: [{ code: '718-7' }] } }),
  ]
  const make = (exclusions = { compartments: ['mental'], records: [] as string[] }, of = sources) =>
    emergencySummary({
      sources: of,
      exclusions,
      ids: {
        bundle: '00000000-0000-4000-8000-000000000001',
        composition: '00000000-0000-4000-8000-000000000002',
      },
      custodian: { org: 'hospital-a', name: 'Hospital A' },
      timeMs: NOON,
    })

  test('holds allergies, medication, problems, immunisations and blood group that are active and true', () => {
    const text = JSON.stringify(make())
    for (const word of ['Penicillin', 'Asthma', 'Salbutamol', 'Tetanus', 'A Rh positive', 'Hill'])
      expect(text).toContain(word)
    for (const word of ['Nuts', 'Old drug', '718-7', 'SSN']) expect(text).not.toContain(word)
  })
  test('omits what the patient excludes, also where another record says why', () => {
    expect(JSON.stringify(make())).not.toContain('Depression')
    const without = JSON.stringify(make({ compartments: ['mental'], records: ['Immunization/i'] }))
    expect(without).not.toContain('Tetanus')
    expect(JSON.stringify(make({ compartments: [], records: [] }))).toContain('Depression')
  })
  test('is closed in itself: every reference in it leads to an entry of it', () => {
    const bundle = make() as { entry: { fullUrl: string }[] }
    const urls = new Set(bundle.entry.map(({ fullUrl }) => fullUrl))
    expect(urls.size).toBe(bundle.entry.length)
    const references = [...JSON.stringify(bundle).matchAll(/"reference":"([^"]*)"/g)].map(([, url]) => url)
    expect(references.length).toBeGreaterThan(5)
    for (const url of references) expect(urls.has(String(url))).toBe(true)
  })
  test('is the same whatever the order of the records', () => {
    expect(JSON.stringify(make(undefined, sources.toReversed()))).toBe(JSON.stringify(make()))
  })
  test('says of an empty section that nothing is known, not that there is nothing', () => {
    const empty = JSON.stringify(make(undefined, []))
    expect(empty).toContain('unavailable')
    expect(empty).toContain('48765-2')
  })
})
