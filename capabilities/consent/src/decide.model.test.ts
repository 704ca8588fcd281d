import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fixed, NOON, sampleGrant, sampleLabels, sampleRequest } from '../testing/sample.ts'
import { decide } from './decide.ts'
import { ACTIONS, COMPARTMENTS, PURPOSES } from './vocabulary.ts'

/** A case in plain words, from which the real inputs are made and which the model judges by itself. */
interface Case {
  readonly grantUnit: string | undefined
  readonly grantPractitioner: string | undefined
  readonly askUnit: string | undefined
  readonly askPractitioner: string | undefined
  readonly credential: 'active' | 'suspended' | 'ended' | 'foreign' | 'unknown'
  readonly grantPurpose: (typeof PURPOSES)[number]
  readonly askPurpose: (typeof PURPOSES)[number]
  readonly grantActions: (typeof ACTIONS)[number][]
  readonly askAction: 'read' | 'copy' | 'write'
  readonly compartments: (typeof COMPARTMENTS)[number][]
  readonly compartment: (typeof COMPARTMENTS)[number]
  readonly types: string[] | undefined
  readonly codes: string[] | undefined
  readonly fromYear: number | undefined
  readonly toYear: number | undefined
  readonly records: string[] | undefined
  readonly type: string
  readonly code: string
  readonly years: readonly [number, number] | undefined
  readonly record: string
  readonly hers: boolean
  readonly restricted: boolean
  readonly headMinute: number
  readonly clockMinute: number
  readonly ledger: 'active' | 'revoked' | 'expired' | 'absent'
  readonly onSight: boolean
  readonly log: 'open' | 'suspect' | 'forked' | 'succeeded'
  readonly requests: number
  readonly versions: number
}

/** The rules of protocol §4, written without looking at the code. Minutes count from the grant's beginning; it lasts 60. */
function modelPermits(c: Case): boolean {
  const sameOrNotAsked = (granted: string | undefined, asked: string | undefined): boolean =>
    granted === undefined ? true : granted === asked
  if (c.ledger !== 'active' || c.onSight) return false
  const began = c.headMinute >= 0 && c.clockMinute >= 0
  const notEnded = c.headMinute < 60 && c.clockMinute < 60
  if (!began || !notEnded) return false
  const ageMinutes = c.clockMinute - c.headMinute
  if (c.askPurpose === 'TREAT' ? ageMinutes > 15 : ageMinutes > 1) return false
  if ((c.log === 'suspect' || c.log === 'forked') && c.askPurpose !== 'TREAT') return false
  if (!sameOrNotAsked(c.grantUnit, c.askUnit)) return false
  if (!sameOrNotAsked(c.grantPractitioner, c.askPractitioner)) return false
  if (c.askPractitioner !== undefined && c.credential !== 'active') return false
  if (c.grantPurpose !== c.askPurpose) return false
  if (c.grantActions.indexOf(c.askAction) === -1) return false
  if (c.requests >= 10 || c.versions >= 10) return false
  if (!c.hers || c.restricted) return false
  if (c.compartments.indexOf(c.compartment) === -1) return false
  if (c.types !== undefined && c.types.indexOf(c.type) === -1) return false
  if (c.codes !== undefined && c.codes.indexOf(c.code) === -1) return false
  if (c.records !== undefined && c.records.indexOf(c.record) === -1) return false
  if (c.fromYear !== undefined && (c.years === undefined || c.years[0] < c.fromYear)) return false
  if (c.toYear !== undefined && (c.years === undefined || c.years[1] > c.toYear)) return false
  return true
}

function decided(c: Case): boolean {
  const limits = {
    ...(c.types && { types: c.types }),
    ...(c.codes && { codes: c.codes.map((code) => ({ system: 'http://loinc.org', code })) }),
    ...(c.fromYear !== undefined && { from: `${c.fromYear}-01-01` }),
    ...(c.toYear !== undefined && { to: `${c.toYear}-12-31` }),
    ...(c.records && { records: c.records }),
  }
  const { carried, state } = sampleGrant({
    grantee: {
      org: 'hospital-b',
      ...(c.grantUnit !== undefined && { unit: c.grantUnit }),
      ...(c.grantPractitioner !== undefined && { practitioner: c.grantPractitioner }),
    },
    purpose: c.grantPurpose,
    actions: c.grantActions,
    scope: { compartments: c.compartments, ...(Object.keys(limits).length > 0 && { filter: limits }) },
    rate: { requests: 10, versions: 10 },
  })
  const clockMs = NOON + c.clockMinute * 60_000
  const { credential: _, ...base } = sampleRequest()
  const request = {
    ...base,
    time: clockMs,
    purpose: c.askPurpose,
    action: c.askAction,
    actor: {
      org: 'hospital-b',
      ...(c.askUnit !== undefined && { unit: c.askUnit }),
      ...(c.askPractitioner !== undefined && { practitioner: c.askPractitioner }),
    },
    ...(c.askPractitioner !== undefined && { credential: fixed('credential') }),
  }
  const credential =
    c.credential === 'unknown'
      ? undefined
      : c.credential === 'foreign'
        ? ({ issuer: 'hospital-c', status: 'active' } as const)
        : { issuer: 'hospital-b', status: c.credential }
  const labels = sampleLabels({
    recordId: c.record,
    type: c.type,
    compartment: c.compartment,
    codes: [{ system: 'http://loinc.org', code: c.code }],
    dates: c.years && { startMs: Date.UTC(c.years[0], 0, 1), endMs: Date.UTC(c.years[1] + 1, 0, 1) - 1 },
    owner: c.hers ? 'owner-1' : 'owner-2',
    restricted: c.restricted,
  })
  const grant = state.grant && c.ledger !== 'absent' ? { ...state.grant, state: c.ledger } : undefined
  return decide(
    request,
    carried,
    {
      ...state,
      clockMs,
      head: { height: 1, timeMs: NOON + c.headMinute * 60_000 },
      grant,
      revokedOnSight: c.onSight,
      credential,
      log: c.log,
      usage: { ...state.usage, requestsLastHour: c.requests, versionsLastHour: c.versions },
    },
    labels,
  ).permit
}

/** Mostly what permits, so that both answers come up often. */
const often = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(usual, ...others) },
  )
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
const some = <T>(of: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...of], { minLength: 1 })

const cases = fc.record({
  grantUnit: maybe(often('cardiology', 'billing')),
  grantPractitioner: maybe(often('p-17', 'p-18')),
  askUnit: often<string | undefined>('cardiology', 'billing', undefined),
  askPractitioner: often<string | undefined>('p-17', 'p-18', undefined),
  credential: often<Case['credential']>('active', 'suspended', 'ended', 'foreign', 'unknown'),
  grantPurpose: often<Case['grantPurpose']>('TREAT', ...PURPOSES),
  askPurpose: often<Case['askPurpose']>('TREAT', ...PURPOSES),
  grantActions: fc.oneof(fc.constant<(typeof ACTIONS)[number][]>([...ACTIONS]), some(ACTIONS)),
  askAction: often<Case['askAction']>('read', 'copy', 'write'),
  compartments: fc.oneof(fc.constant<(typeof COMPARTMENTS)[number][]>([...COMPARTMENTS]), some(COMPARTMENTS)),
  compartment: fc.constantFrom(...COMPARTMENTS),
  types: maybe(some(['Observation', 'Condition', 'MedicationRequest'])),
  codes: maybe(some(['1-1', '2-2', '3-3'])),
  fromYear: maybe(fc.integer({ min: 1930, max: 2010 })),
  toYear: maybe(fc.integer({ min: 2011, max: 2026 })),
  records: maybe(some(['Observation/a', 'Observation/b', 'Condition/c'])),
  type: fc.constantFrom('Observation', 'Condition', 'MedicationRequest'),
  code: fc.constantFrom('1-1', '2-2', '3-3'),
  years: maybe(
    fc.tuple(fc.integer({ min: 1920, max: 2026 }), fc.nat(3)).map(([y, n]) => [y, y + n] as const),
  ),
  record: fc.constantFrom('Observation/a', 'Observation/b', 'Condition/c'),
  hers: often(true, false),
  restricted: often(false, true),
  headMinute: fc.oneof(fc.constant(30), fc.integer({ min: -2, max: 62 })),
  clockMinute: fc.oneof(fc.constant(30), fc.constant(31), fc.integer({ min: -2, max: 62 })),
  ledger: often<Case['ledger']>('active', 'revoked', 'expired', 'absent'),
  onSight: often(false, true),
  log: often<Case['log']>('open', 'suspect', 'forked', 'succeeded'),
  requests: fc.constantFrom(0, 9, 9, 9, 10),
  versions: fc.constantFrom(0, 9, 9, 9, 10),
})

test('property: the decision agrees with an independent model', () => {
  let permitted = 0
  fc.assert(
    fc.property(cases, (c) => {
      const expected = modelPermits(c)
      if (expected) permitted++
      expect(decided(c)).toBe(expected)
    }),
    { numRuns: 2_000 },
  )
  // A model that always denies would agree too: both answers must have come up.
  expect(permitted).toBeGreaterThan(20)
})
