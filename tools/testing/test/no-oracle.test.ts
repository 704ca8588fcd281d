import { listAccesses } from '@salus/audit/client'
import { showMandate } from '@salus/consent/client'
import { AppError, sealKeyPair, toBase64url } from '@salus/core'
import { acceptDelegation, addDelegate, endorseDelegate, openSession } from '@salus/identity/client'
import { listOwnVersions, openOwnVersions } from '@salus/records/client'
import type { Connection } from '@salus/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addStaff,
  enrolPatient,
  type GrantMade,
  grantTo,
  HOSPITALS,
  importText,
  type Scenario,
  type ScenarioPatient,
  sessionAt,
  startScenario,
} from '../src/index.ts'
import { Asking } from './release-requests.ts'
import { temporaryDir } from './temporary-dir.ts'

// Two patients whose records are the same, word for word, but that one has more of what is withheld. Whatever a reader
// of the granted part is told must be the same for both: else it tells of what is withheld.
const TWINS = ['twin-with', 'twin-sans'] as const
type Twin = (typeof TWINS)[number]
/** What a reader could recognise of the withheld records. */
const WITHHELD = /F32|depressive|severe|2009-|withheld words/

const { dir, remove } = temporaryDir()
let s: Scenario
const patients = new Map<Twin, ScenarioPatient>()
const grants = new Map<Twin, GrantMade>()
const delegates = new Map<Twin, Connection>()

beforeAll(async () => {
  s = await startScenario({ dir })
  for (const twin of TWINS) {
    await importText(
      s.admin.a,
      recordsOf(twin)
        .map((line) => JSON.stringify(line))
        .join('\n'),
    )
    await importText(s.admin.b, JSON.stringify(recordsOf(twin)[0]))
    patients.set(twin, await enrolPatient(s, `Patient/${twin}`, ['a', 'b']))
  }
  for (const twin of TWINS) {
    const patient = patientOf(twin)
    grants.set(
      twin,
      await grantTo(s, patient, {
        scope: { compartments: ['labs', 'medication'], filter: { from: '2015-01-01' } },
      }),
    )
    delegates.set(twin, await delegateOf(patient))
  }
})

afterAll(async () => {
  await s.close()
  remove()
})

describe('a grantee', () => {
  test('sees the same chart: entries, references, totals, sources, size', async () => {
    const [withMore, without] = await onBoth((twin) =>
      ask(s.clinician.b.connection, `/chart?patient=Patient/${twin}`),
    )
    expect(withMore).toEqual(without)
    expect(withMore.body).toContain('Observation/lab-new')
    expect(withMore.body).not.toMatch(WITHHELD)
  })

  test('is answered the same by every search, of parameters that only withheld records match too', async () => {
    const queries = [
      '*',
      'Observation',
      'Observation?code=http://loinc.org|2345-7',
      'Observation?code=http://loinc.org|4548-4',
      'Observation?date=lt2010',
      'Observation?date=ge2009-01-01&date=lt2010-01-01',
      'Observation?_sort=date',
      'Observation?_count=1',
      'Observation?_total=accurate',
      'Observation?_summary=count',
      'Observation?_lastUpdated=gt2000-01-01',
      'Observation?value-quantity=gt1',
      'Observation?focus=Condition/low-twin',
      'Condition',
      'Condition?code=http://hl7.org/fhir/sid/icd-10|F32.2',
      'Condition?code:text=depressive',
      'Condition?clinical-status=active',
      'QuestionnaireResponse',
      'Patient?_has:Condition:patient:code=F32.2',
      'Observation?patient.name=Twin',
      'Observation?subject:Patient.birthdate=1980-01-01',
      'MedicationRequest?_include=MedicationRequest:reason-reference',
      'Condition?_revinclude=MedicationRequest:reason-reference',
      'List?item=Condition/low-twin',
      'nonsense',
      '?',
    ]
    const asking = new Map(TWINS.map((twin) => [twin, new Asking(s, grantOf(twin))]))
    let released = 0
    for (const query of queries) {
      const [withMore, without] = await onBoth((twin) => asking.get(twin)?.ask({ query }))
      expect({ query, ...withMore, sizeBytes: 0 }).toEqual({ query, ...without, sizeBytes: 0 })
      expect(Math.abs((withMore?.sizeBytes ?? 0) - (without?.sizeBytes ?? 0))).toBeLessThanOrEqual(16)
      released += withMore?.released ?? 0
    }
    expect(released).toBeGreaterThan(10)
  })

  test('cannot tell a withheld version from one that does not exist', async () => {
    const twin = 'twin-with'
    const session = sessionAt(patientOf(twin), 'a')
    const versions = await listOwnVersions(session)
    const { keyring } = patientOf(twin).person
    const opened = await openOwnVersions(session, { keyring, chainId: s.context.chainId, versions })
    const withheld = opened
      .filter(({ recordId }) => !/lab-new|medication-new/.test(recordId))
      .map(({ oid }) => oid)
    expect(withheld.length).toBeGreaterThan(3)
    const asking = new Asking(s, grantOf(twin))
    const none = { action: 'read', query: undefined } as const
    await asking.ask()
    const notThere = await asking.ask({ ...none, oids: withheld.map(() => s.context.random(16)) })
    const hidden = await asking.ask({ ...none, oids: withheld })
    expect(hidden).toEqual({ ...notThere, sizeBytes: expect.any(Number) })
    expect(hidden.released).toBe(0)
    // Numbers in the event may be a digit longer; nothing else differs.
    expect(Math.abs((hidden.sizeBytes ?? 0) - (notThere.sizeBytes ?? 0))).toBeLessThanOrEqual(16)
  })

  test('is refused alike whether the patient has a record, no grant, or is nobody', async () => {
    const clinician = await addStaff(s.admin.b, 'Dr without a grant', ['clinician'])
    const [withMore, without] = await onBoth((twin) =>
      ask(clinician.connection, `/chart?patient=Patient/${twin}`),
    )
    expect(withMore).toEqual(without)
    const nobody = await ask(clinician.connection, '/chart?patient=Patient/not-there')
    const onlyAtA = await ask(clinician.connection, `/chart?patient=Patient/${'only-at-a'}`)
    expect(onlyAtA).toEqual(nobody)
  })
})

describe('a delegate without the withheld categories', () => {
  test.each([
    '/me',
    '/fhir/Observation',
    '/fhir/Condition',
    '/fhir/Condition?_summary=count',
    '/fhir/Condition?code=http://hl7.org/fhir/sid/icd-10|F32.2',
    '/fhir/Condition?_total=accurate&_count=0',
    '/fhir/QuestionnaireResponse',
    '/fhir/Patient?_has:Condition:patient:code=F32.2',
    '/fhir/MedicationRequest?_include=MedicationRequest:reason-reference',
    '/fhir/Condition/low-twin',
    '/fhir/Condition/low-twin/_history',
    '/fhir/Condition/low-twin/_history/1',
    '/fhir/Observation/lab-new-twin',
    '/fhir/Observation/lab-new-twin/_history',
    '/me/grants',
  ])('is answered the same: GET %s', async (path) => {
    const [withMore, without] = await onBoth((twin) => {
      const session = delegates.get(twin)
      if (session === undefined) throw new Error('she has a carer')
      return ask(session, path.replaceAll('-twin', `-${twin}`).replace('=Twin', `=${twin}`))
    })
    expect(withMore).toEqual(without)
    expect(withMore.body).not.toMatch(/F32|depressive/)
  })

  test('is listed as many versions of her record, and the same events about them', async () => {
    const [withMore, without] = await onBoth(async (twin) => {
      const session = delegates.get(twin)
      if (session === undefined) throw new Error('she has a carer')
      const versions = await listOwnVersions(session)
      const events = await listAccesses(session)
      const named = events.flatMap(({ facts }) => facts.versions.map(({ recordId }) => plain(recordId, twin)))
      return { versions: versions.length, named: [...new Set(named)].sort() }
    })
    expect(withMore).toEqual(without)
    expect(withMore.versions).toBeGreaterThan(0)
  })
})

describe('somebody without any right', () => {
  const readers = (): readonly [who: string, connection: Connection][] => [
    ['another patient', sessionAt(s.patient, 'a')],
    ['an administrator', s.admin.a],
    ['nobody', s.at.a],
  ]

  test.each([
    ['GET', '/fhir/Condition/ID'],
    ['GET', '/fhir/Condition/ID/_history'],
    ['GET', '/fhir/Condition/ID/_history/1'],
    ['GET', '/fhir/Condition?_id=ID&patient=Patient/PATIENT'],
    ['GET', '/fhir/Condition?patient=Patient/PATIENT'],
    ['GET', '/fhir/Condition?patient=Patient/PATIENT&_summary=count'],
    ['GET', '/fhir/Condition?patient=Patient/PATIENT&_total=accurate&_count=0'],
    ['GET', '/fhir/Patient/PATIENT'],
    ['GET', '/fhir/Patient/PATIENT/$everything'],
    ['GET', '/fhir/Patient?_id=PATIENT'],
    ['GET', '/fhir/Observation?patient=Patient/PATIENT&_include=*'],
    ['GET', '/fhir/Group?member=Patient/PATIENT'],
    ['GET', '/fhir/AuditEvent?patient=Patient/PATIENT'],
    ['PUT', '/fhir/Condition/ID'],
    ['DELETE', '/fhir/Condition/ID'],
    ['PATCH', '/fhir/Condition/ID'],
    ['POST', '/fhir/Condition'],
    ['POST', '/fhir'],
  ] as const)('%s %s: a record that exists is answered as one that does not', async (method, path) => {
    for (const [who, connection] of readers()) {
      const answer = async (id: string, patient: string) => {
        const made = path.replace('ID', id).replace('PATIENT', patient)
        const { status, body } = await ask(connection, made, method, bodyFor(method, path, id, patient))
        return { who, status, body: body.replaceAll(id, 'ID').replaceAll(patient, 'PATIENT') }
      }
      const there = await answer('low-twin-with', 'twin-with')
      expect(there).toEqual(await answer('low-twin-none', 'twin-none'))
      expect(there.body).not.toMatch(WITHHELD)
    }
  })

  test('another’s accesses, grants and notices are as if they were not there', async () => {
    const [event] = await listAccesses(sessionAt(patientOf('twin-with'), 'a'))
    if (event === undefined) throw new Error('she is on her own list')
    const mine = sessionAt(s.patient, 'a')
    const receipt = (id: Uint8Array) => ask(mine, `/me/accesses/${toBase64url(id)}/receipt`)
    expect(await receipt(event.facts.eventId)).toEqual(await receipt(s.context.random(16)))
    const revoke = (g: Uint8Array) =>
      ask(
        s.admin.a,
        '/staff/hosted/revocations',
        'POST',
        JSON.stringify({ patient: 'Patient/not-there', g: toBase64url(g) }),
      )
    expect(await revoke(grantOf('twin-with').g)).toEqual(await revoke(s.context.random(16)))
  })
})

/** The records of one twin; ids of both have the same length. */
function recordsOf(twin: Twin): readonly Record<string, unknown>[] {
  const subject = { reference: `Patient/${twin}` }
  const laboratory = [
    {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'laboratory' }],
    },
  ]
  const low = { reference: `Condition/low-${twin}`, display: 'withheld words' }
  const observation = (id: string, code: string, day: string, more: Record<string, unknown> = {}) => ({
    resourceType: 'Observation',
    id: `${id}-${twin}`,
    status: 'final',
    category: laboratory,
    code: { coding: [{ system: 'http://loinc.org', code }] },
    subject,
    effectiveDateTime: day,
    ...more,
  })
  const granted = [
    { resourceType: 'Patient', id: twin, name: [{ family: 'Twin' }], birthDate: '1980-01-01' },
    observation('lab-new', '2345-7', '2020-05-05', {
      valueQuantity: { value: 5.4, unit: 'mmol/L' },
      focus: [low],
      text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">withheld words</div>' },
    }),
    observation('lab-new-plain', '2345-7', '2021-05-05', { valueQuantity: { value: 5.9, unit: 'mmol/L' } }),
    {
      resourceType: 'MedicationRequest',
      id: `medication-new-${twin}`,
      status: 'active',
      intent: 'order',
      subject,
      authoredOn: '2020-05-06',
      medicationCodeableConcept: { text: 'Metformin' },
      reasonReference: [low],
    },
  ]
  if (twin === 'twin-sans') return granted
  return [
    ...granted,
    {
      resourceType: 'Condition',
      id: `low-${twin}`,
      clinicalStatus: {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
      },
      code: {
        coding: [
          { system: 'http://hl7.org/fhir/sid/icd-10', code: 'F32.2', display: 'Severe depressive episode' },
        ],
      },
      subject,
      recordedDate: '2020-05-05',
    },
    observation('lab-old', '4548-4', '2009-03-03', { valueQuantity: { value: 7.1, unit: '%' } }),
    {
      resourceType: 'QuestionnaireResponse',
      id: `answers-${twin}`,
      status: 'completed',
      subject,
      authored: '2020-05-05',
    },
    {
      resourceType: 'List',
      id: `list-${twin}`,
      status: 'current',
      mode: 'working',
      subject,
      entry: [{ item: { reference: `Condition/low-${twin}` } }],
    },
  ]
}

async function onBoth<T>(work: (twin: Twin) => Promise<T> | T): Promise<[T, T]> {
  return [await work(TWINS[0]), await work(TWINS[1])]
}

interface Told {
  readonly status: number
  readonly body: string
  readonly sizeBytes: number
}

/** The answer to a request, with names of twins, times and random ids taken out; its size as it came. */
async function ask(
  { url, token }: Connection,
  path: string,
  method = 'GET',
  body: string | undefined = undefined,
): Promise<Told> {
  const answer = await s.network.fetch(`${url}${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/fhir+json' }),
    },
    ...(body === undefined ? {} : { body }),
  })
  const text = await answer.text()
  return {
    status: answer.status,
    body: TWINS.reduce((so, twin) => plain(so, twin), text),
    sizeBytes: text.length - (path.includes('not-there') || path.includes('only-at-a') ? path.length : 0),
  }
}

function plain(text: string, twin: Twin): string {
  return text
    .replaceAll(twin, 'twin')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
    .replace(/"(?=[^"]*[A-Z])(?=[^"]*[0-9])[A-Za-z0-9_-]{22,}"/g, '"RANDOM"')
}

function bodyFor(method: string, path: string, id: string, patient: string): string | undefined {
  if (method === 'GET' || method === 'DELETE') return undefined
  const condition = {
    resourceType: 'Condition',
    subject: { reference: `Patient/${patient}` },
    code: { text: 'x' },
  }
  if (method === 'PUT') return JSON.stringify({ ...condition, id })
  if (method === 'PATCH') return JSON.stringify([{ op: 'replace', path: '/code/text', value: 'y' }])
  if (path === '/fhir')
    return JSON.stringify({
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        { request: { method: 'GET', url: `Condition/${id}` } },
        { request: { method: 'GET', url: `Condition?patient=Patient/${patient}` } },
      ],
    })
  return JSON.stringify(condition)
}

function patientOf(twin: Twin): ScenarioPatient {
  const patient = patients.get(twin)
  if (patient === undefined) throw new Error('she is enrolled')
  return patient
}

function grantOf(twin: Twin): GrantMade {
  const grant = grants.get(twin)
  if (grant === undefined) throw new Error('she made a grant')
  return grant
}

/** A carer for medication only. */
async function delegateOf(patient: ScenarioPatient): Promise<Connection> {
  const { context } = s
  const device = sealKeyPair(context.random(32))
  const added = await addDelegate(sessionAt(patient, 'a'), {
    person: patient.person,
    context,
    scope: { compartments: ['medication'], actions: ['read', 'search'] },
    untilMs: context.clock.now() + 30 * 86_400_000,
    evidence: { kind: 'patient-choice' },
    to: device.publicKey,
    sponsor: s.at.a,
  })
  patient.person = added.person
  await s.net.advance(1)
  const { delegate, statements } = await acceptDelegation(s.at.a, { gift: added.gift, key: device, context })
  const connectionTo = (org: string) => (org === HOSPITALS.a ? s.at.a : s.at.b)
  await endorseDelegate({ person: patient.person, context, d: added.d, statements, connectionTo })
  const place = delegate.places.find(({ org }) => org === HOSPITALS.a)
  if (place === undefined) throw new AppError('TEST', 'she is enrolled at A')
  const session = await openSession(s.at.a, { org: HOSPITALS.a, key: place.key, context })
  await showMandate(session, delegate)
  return session
}
