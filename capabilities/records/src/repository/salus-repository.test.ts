import type { Bundle, Resource } from '@medplum/fhirtypes'
import { utf8 } from '@salus/core'
import type { Actor, Role } from '@salus/server'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import {
  encounter,
  glucose,
  type House,
  medication,
  openHouse,
  patient,
  practitioner,
} from '../../testing/house.ts'
import { ridOf } from '../owner-keys.ts'
import { organisationPolicy, type RecordAccess } from './access.ts'
import { fhirRoutes } from './fhir-routes.ts'
import { type RepositoryParts, withRepository } from './salus-repository.ts'

interface Told {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string>>
  // biome-ignore lint/suspicious/noExplicitAny: answers are judged member by member
  readonly json: any
}

let house: House
let log: RecordAccess[]
let withheld: ReadonlySet<string>

const staff = (...roles: Role[]): Actor => ({ kind: 'staff', practitioner: 'd1', name: 'Dr', roles })
const clinician = staff('clinician')
const holder = (id: string, delegation?: Uint8Array): Actor => ({
  kind: 'holder',
  owner: house.owner(id).owner,
  linkKey: new Uint8Array(32),
  ...(delegation === undefined ? {} : { delegation }),
})

function parts(): RepositoryParts {
  const policy = organisationPolicy(() => new Set(['general', 'labs']))
  return {
    ...house,
    permits: (question) =>
      policy(question) && !(question.labels !== undefined && withheld.has(question.labels.compartment)),
    logAccess: async (access) => void log.push(access),
  }
}

async function ask(
  actor: Actor,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Told> {
  const [path = '', queryText = ''] = url.split('?')
  const wanted = path === '' ? '/fhir' : '/fhir/*'
  const route = fhirRoutes(parts()).find((each) => each.method === method && each.path === wanted)
  if (route === undefined) throw new Error(`no route ${method} ${wanted}`)
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
  const answer = await route.handle({
    actor,
    params: { '*': path },
    query: {},
    queryText,
    headers,
    body: utf8(text) as never,
    requestId: 'test',
  })
  const raw = answer.raw?.body ?? ''
  const told = typeof raw === 'string' ? raw : new TextDecoder().decode(raw)
  return {
    status: answer.status ?? 200,
    text: told,
    headers: answer.headers ?? {},
    json: told === '' ? undefined : JSON.parse(told),
  }
}

const ids = (bundle: Bundle): string[] =>
  (bundle.entry ?? []).map(
    ({ resource }) => `${(resource as Resource).resourceType}/${(resource as Resource).id}`,
  )

beforeEach(async () => {
  house = await openHouse()
  log = []
  withheld = new Set()
  await house.take(
    patient('p1'),
    patient('p2'),
    practitioner('d1'),
    encounter('e1', 'p1', { participant: [{ individual: { reference: 'Practitioner/d1' } }] }),
    glucose('o1', 'p1', 6.3, { encounter: { reference: 'Encounter/e1' } }),
    glucose('o2', 'p1', 9.1),
    glucose('o3', 'p2', 5),
    medication('m1', 'p1'),
  )
})

test('a read returns the stored bytes, with version and date, and is logged first', async () => {
  const answer = await ask(clinician, 'GET', 'Observation/o1')
  const row = house.custody.versionByRid(ridOf(house.ridKey, 'Observation/o1'))
  if (row === undefined) throw new Error('unreachable')
  expect(utf8(answer.text)).toEqual((await house.reader.open(row)).json)
  expect(answer.headers).toEqual({ etag: 'W/"1"', 'last-modified': 'Mon, 21 Sep 2026 14:13:20 GMT' })
  expect(log).toMatchObject([
    {
      outcome: 'permitted',
      action: 'read',
      purpose: 'TREAT',
      versions: [{ recordId: 'Observation/o1', version: 1 }],
    },
  ])
  expect(log[0]?.owner).toEqual(house.owner('p1').owner)
  expect(
    (await ask(clinician, 'GET', 'Observation/o1', undefined, { 'if-none-match': 'W/"1"' })).status,
  ).toBe(304)
})

test('nothing leaves when it cannot be logged', async () => {
  const failing = { ...parts(), logAccess: () => Promise.reject(new Error('log is full')) }
  const context = { actor: clinician, purpose: 'TREAT' as const, requestId: new Uint8Array(16) }
  await expect(
    withRepository(failing, context, (repository) => repository.readResource('Observation', 'o1')),
  ).rejects.toThrow('log is full')
})

test('not there and not permitted look the same, and the owner learns of the second', async () => {
  withheld = new Set(['labs'])
  const hidden = await ask(clinician, 'GET', 'Observation/o1')
  const absent = await ask(clinician, 'GET', 'Observation/nope')
  expect(hidden).toEqual(absent)
  expect(hidden.status).toBe(404)
  expect(await ask(clinician, 'GET', 'Observation/o1/_history')).toEqual(
    await ask(clinician, 'GET', 'Observation/nope/_history'),
  )
  expect(await ask(clinician, 'GET', 'Observation/o1/_history/1')).toEqual(
    await ask(clinician, 'GET', 'Observation/nope/_history/1'),
  )
  expect(log.every(({ outcome, versions }) => outcome === 'denied' && versions.length === 0)).toBe(true)
  expect(log).toHaveLength(3)
})

test('restricted and erased owners do not exist', async () => {
  for (const status of ['restricted', 'erased'] as const) {
    house.custody.setStatus(house.owner('p1').owner, status)
    expect((await ask(clinician, 'GET', 'Observation/o1')).status).toBe(404)
    const found = await ask(clinician, 'GET', 'Observation?patient=Patient/p1&_total=accurate')
    const nobody = await ask(clinician, 'GET', 'Observation?patient=Patient/nobody&_total=accurate')
    expect(found.json).toEqual(nobody.json)
    expect((await ask(clinician, 'PUT', 'Observation/o1', glucose('o1', 'p1', 1))).status).toBe(404)
  }
})

test.each([
  ['Observation?patient=Patient/p1', ['Observation/o1', 'Observation/o2']],
  ['Observation?patient=p1&value-quantity=gt7', ['Observation/o2']],
  [
    'Observation?subject=Patient/p1&code=http://loinc.org|2339-0&date=ge2019&date=le2019-12',
    ['Observation/o1', 'Observation/o2'],
  ],
  ['Observation?patient=p1&date=ge2020&date=le2021', []],
  ['Observation?patient=p1&code-value-quantity=2339-0$6.3', ['Observation/o1']],
  ['Observation?patient=Patient/p1&_sort=-_lastUpdated&_count=1', ['Observation/o2']],
  ['Patient?_id=p2', ['Patient/p2']],
  ['Practitioner?family=doctor', ['Practitioner/d1']],
  ['Observation?patient=Patient/nobody', []],
])('search %s', async (url, expected) => {
  const { json, status } = await ask(clinician, 'GET', url)
  expect(status).toBe(200)
  expect(ids(json)).toEqual(expected)
  expect(json.total).toBeUndefined()
})

test.each([
  ['Observation?code=2339-0', 'must name its patient'],
  ['Patient?family=Family', 'names one by _id'],
  ['Observation?patient=p1,p2', 'one patient at a time'],
  ['Observation?patient=p1&_summary=true', 'not supported'],
  ['Observation?patient=p1&_sort=code', 'not supported'],
  ['Observation?patient.name=x', 'not answered here'],
  ['Observation?patient=p1&nope=1', 'no search parameter'],
])('what is not answered says so: %s', async (url, text) => {
  const { status, json } = await ask(clinician, 'GET', url)
  expect(status).toBe(400)
  expect(json.resourceType).toBe('OperationOutcome')
  expect(JSON.stringify(json)).toContain(text)
})

test('a search by form, totals on request, and includes that are decided anew', async () => {
  const posted = await ask(
    clinician,
    'POST',
    'Observation/_search',
    'patient=Patient%2Fp1&_total=accurate&_count=1',
  )
  expect(posted.json.total).toBe(2)
  expect(ids(posted.json)).toEqual(['Observation/o1'])
  expect(posted.json.link[0].url).toContain('_offset=1')
  const url =
    'Observation?patient=Patient/p1&_include=Observation:encounter&_include:iterate=Encounter:participant'
  expect(ids((await ask(clinician, 'GET', url)).json)).toEqual([
    'Observation/o1',
    'Observation/o2',
    'Encounter/e1',
    'Practitioner/d1',
  ])
  const reverse = 'Encounter?patient=p1&_revinclude=Observation:encounter'
  expect(ids((await ask(clinician, 'GET', reverse)).json)).toEqual(['Encounter/e1', 'Observation/o1'])
  withheld = new Set(['general'])
  expect(ids((await ask(clinician, 'GET', url)).json)).toEqual(['Observation/o1', 'Observation/o2'])
})

test('property: no oracle — withheld records change no search, count, include or history', async () => {
  const kinds = fc.constantFrom('labs', 'medication', 'general')
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(kinds), fc.integer({ min: 1, max: 4 }), async (hide, count) => {
      const hidden = new Set<string>(hide)
      const urls = ['Observation', 'MedicationRequest', 'Encounter'].flatMap((type) => [
        `${type}?patient=Patient/p1&_total=accurate&_count=${count}`,
        `${type}?patient=Patient/p1&_include=${type}:encounter`,
        `${type}?patient=Patient/p1&_revinclude=Observation:encounter&_total=accurate`,
      ])
      const others = [
        'Observation/o1',
        'Observation/o1/_history',
        'MedicationRequest/m1',
        'Encounter/e1/_history/1',
        'Encounter/e1',
      ]
      withheld = hidden
      const present = []
      for (const url of [...urls, ...others]) present.push(await ask(clinician, 'GET', url))
      const full = house
      house = await openHouse()
      withheld = new Set()
      const records = [
        {
          kind: 'general',
          resource: encounter('e1', 'p1', {
            participant: [{ individual: { reference: 'Practitioner/d1' } }],
          }),
        },
        { kind: 'labs', resource: glucose('o1', 'p1', 6.3, { encounter: { reference: 'Encounter/e1' } }) },
        { kind: 'labs', resource: glucose('o2', 'p1', 9.1) },
        { kind: 'medication', resource: medication('m1', 'p1') },
      ].flatMap(({ kind, resource }) => (hidden.has(kind) ? [] : [resource]))
      if (!hidden.has('general')) await house.take(patient('p1'))
      await house.take(practitioner('d1'), ...records)
      const never = []
      for (const url of [...urls, ...others]) never.push(await ask(clinician, 'GET', url))
      house = full
      expect(present).toEqual(never)
    }),
    { numRuns: 8 },
  )
})

test('who may: holders their own, delegates their categories, administrators nothing of patients', async () => {
  expect((await ask(holder('p1'), 'GET', 'Observation/o1')).status).toBe(200)
  expect((await ask(holder('p1'), 'GET', 'Observation/o3')).status).toBe(404)
  expect(ids((await ask(holder('p1'), 'GET', 'Observation')).json)).toEqual([
    'Observation/o1',
    'Observation/o2',
  ])
  expect(ids((await ask(holder('p1'), 'GET', 'Observation?patient=Patient/p2')).json)).toEqual([])
  expect((await ask(holder('p1'), 'PUT', 'Observation/o1', glucose('o1', 'p1', 1))).status).toBe(403)
  expect((await ask(holder('p1'), 'POST', 'Observation', glucose('x', 'p1', 1))).status).toBe(403)
  const carer = holder('p1', new Uint8Array(16))
  expect((await ask(carer, 'GET', 'Observation/o1')).status).toBe(200)
  expect((await ask(carer, 'GET', 'MedicationRequest/m1')).status).toBe(404)
  expect(log.find(({ purpose }) => purpose === 'FAMRQT')).toBeDefined()
  for (const role of ['admin', 'steward', 'auditor'] as const) {
    expect((await ask(staff(role), 'GET', 'Observation/o1')).status).toBe(404)
    expect(ids((await ask(staff(role), 'GET', 'Observation?patient=p1')).json)).toEqual([])
    expect((await ask(staff(role), 'GET', 'Practitioner/d1')).status).toBe(200)
  }
  expect((await ask(clinician, 'GET', 'Observation/o1', undefined, { 'x-purpose': 'HRESCH' })).status).toBe(
    404,
  )
  expect((await ask(clinician, 'GET', 'Observation/o1', undefined, { 'x-purpose': 'PATRQT' })).status).toBe(
    400,
  )
})

test('create: the server names it; digits stay; the owner decides where it goes', async () => {
  const text = JSON.stringify(glucose('mine', 'p1', 4.5)).replace('4.5', '4.500')
  const made = await ask(clinician, 'POST', 'Observation', text)
  expect(made.status).toBe(201)
  expect(made.json.id).not.toBe('mine')
  expect(made.text).toContain('"value":4.500')
  expect(made.headers['location']).toBe(`/fhir/Observation/${made.json.id}/_history/1`)
  expect((await ask(clinician, 'GET', `Observation/${made.json.id}`)).text).toBe(made.text)
  expect(log[0]).toMatchObject({ action: 'create', versions: [{ version: 1 }] })
  expect(ids((await ask(clinician, 'GET', 'Observation?patient=p1&value-quantity=4.5')).json)).toHaveLength(1)
})

test('what may not be written is refused and changes nothing', async () => {
  const before = house.custody.countVersions()
  const refusals = [
    [{ ...glucose('x', 'p1'), status: 'nope' }, 422, 'required value set'],
    [glucose('x', 'unknown'), 400, 'not held here'],
    [glucose('x', 'p1', 5, { encounter: { reference: 'Observation/o3' } }), 400, "another patient's record"],
    [
      {
        resourceType: 'Group',
        type: 'person',
        actual: true,
        member: ['p1', 'p2'].map((id) => ({ entity: { reference: `Patient/${id}` } })),
      },
      400,
      'more than one patient',
    ],
  ] as const
  for (const [resource, status, text] of refusals) {
    const answer = await ask(clinician, 'POST', resource.resourceType, resource)
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(text)])
  }
  expect((await ask(clinician, 'POST', 'Observation', '{"resourceType":')).status).toBe(400)
  expect((await ask(clinician, 'PUT', 'Observation/o3', glucose('o3', 'p1'))).status).toBe(409)
  expect(house.custody.countVersions()).toBe(before)
})

test('update, If-Match, patch, unchanged', async () => {
  const updated = await ask(clinician, 'PUT', 'Observation/o1', glucose('o1', 'p1', 7), {
    'if-match': 'W/"1"',
  })
  expect(updated).toMatchObject({ status: 200, headers: { etag: 'W/"2"' } })
  expect(
    (await ask(clinician, 'PUT', 'Observation/o1', glucose('o1', 'p1', 8), { 'if-match': 'W/"1"' })).status,
  ).toBe(412)
  expect((await ask(clinician, 'PUT', 'Observation/o1', glucose('o1', 'p1', 7))).headers['etag']).toBe(
    'W/"2"',
  )
  const patched = await ask(clinician, 'PATCH', 'Observation/o1', [
    { op: 'replace', path: '/status', value: 'amended' },
  ])
  expect(patched.json).toMatchObject({ status: 'amended', meta: { versionId: '3' } })
  expect(
    (await ask(clinician, 'PATCH', 'Observation/o1', [{ op: 'replace', path: '/id', value: 'z' }])).status,
  ).toBe(400)
  expect((await ask(clinician, 'PATCH', 'Observation/o1', { resourceType: 'Parameters' })).status).toBe(400)
  const history = (await ask(clinician, 'GET', 'Observation/o1/_history')).json
  expect(history.entry.map(({ response }: { response: { etag: string } }) => response.etag)).toEqual([
    'W/"3"',
    'W/"2"',
    'W/"1"',
  ])
  expect((await ask(clinician, 'GET', 'Observation/o1/_history/2')).json.valueQuantity.value).toBe(7)
  expect((await ask(clinician, 'PUT', 'Observation/new', glucose('new', 'p1', 7))).headers['etag']).toBe(
    'W/"1"',
  )
})

test('a deletion is a version: gone to who could read it, absent to others, and undone by an update', async () => {
  expect((await ask(clinician, 'DELETE', 'Observation/o1')).status).toBe(204)
  expect((await ask(clinician, 'GET', 'Observation/o1')).status).toBe(410)
  expect((await ask(staff('admin'), 'GET', 'Observation/o1')).status).toBe(404)
  expect(ids((await ask(clinician, 'GET', 'Observation?patient=p1')).json)).toEqual(['Observation/o2'])
  expect(house.source.current(house.owner('p1').owner).map(({ labels }) => labels.recordId)).not.toContain(
    'Observation/o1',
  )
  const { entry } = (await ask(clinician, 'GET', 'Observation/o1/_history')).json
  expect(entry[0]).toMatchObject({ request: { method: 'DELETE' } })
  expect(entry[0].resource).toBeUndefined()
  expect((await ask(clinician, 'GET', 'Observation/o1/_history/1')).status).toBe(200)
  expect((await ask(clinician, 'DELETE', 'Observation/o1')).status).toBe(404)
  expect((await ask(clinician, 'DELETE', 'Patient/p1')).status).toBe(400)
  expect((await ask(clinician, 'PUT', 'Observation/o1', glucose('o1', 'p1', 2))).headers['etag']).toBe(
    'W/"3"',
  )
  expect((await ask(clinician, 'GET', 'Observation/o1')).status).toBe(200)
})

const transaction = (...entry: object[]) => ({ resourceType: 'Bundle', type: 'transaction', entry })
const post = (resource: { resourceType: string }, fullUrl?: string) => ({
  ...(fullUrl === undefined ? {} : { fullUrl }),
  resource,
  request: { method: 'POST', url: resource.resourceType },
})

test('a transaction arrives as one: references are resolved, digits stay, one event for each patient', async () => {
  const urn = 'urn:uuid:7d0d2a5e-7a52-4a6c-9a4e-1f6d3c2b1a00'
  const bundle = transaction(
    post(patient('ignored'), urn),
    post({ ...glucose('x', 'p1', 1.5), subject: { reference: urn } } as never),
    { request: { method: 'GET', url: 'Observation/o2' } },
  )
  const answer = await ask(clinician, 'POST', '', JSON.stringify(bundle).replace('1.5', '1.50'))
  expect(answer.status).toBe(200)
  const statuses = answer.json.entry.map(({ response }: { response: { status: string } }) => response.status)
  expect(statuses).toEqual(['201', '201', '200'])
  const [made, observed] = answer.json.entry
  expect(observed.resource.subject.reference).toBe(`Patient/${made.resource.id}`)
  const stored = await ask(clinician, 'GET', `Observation/${observed.resource.id}`)
  expect(stored.text).toContain('1.50')
  expect(answer.text).toContain(stored.text)
  expect(
    log
      .slice(0, 2)
      .map(({ action, versions }) => [action, versions.length])
      .sort(),
  ).toEqual([
    ['create', 2],
    ['read', 1],
  ])
})

test('a transaction with one bad entry changes nothing; a batch keeps its good ones', async () => {
  const before = house.custody.countVersions()
  const leaves = house.log.leaves.length
  const entries = [post(glucose('x', 'p1', 1)), post({ ...glucose('y', 'p1', 2), status: 'nope' } as never)]
  const failed = await ask(clinician, 'POST', '', transaction(...entries))
  expect(failed.status).toBeGreaterThanOrEqual(400)
  expect(house.custody.countVersions()).toBe(before)
  expect(house.log.leaves).toHaveLength(leaves)
  const batch = await ask(clinician, 'POST', '', { ...transaction(...entries), type: 'batch' })
  expect(
    batch.json.entry.map(({ response }: { response: { status: string } }) => response.status[0]),
  ).toEqual(['2', '4'])
  expect(house.custody.countVersions()).toBe(before + 1)
})

test('conditional writes go by the same search', async () => {
  const identified = (value: number) => {
    const { id: _id, ...nameless } = glucose('x', 'p1', value, {
      identifier: [{ system: 'urn:lab', value: 'n1' }],
    })
    return nameless
  }
  const url = 'Observation?patient=Patient/p1&identifier=urn:lab|n1'
  const none = { 'if-none-exist': url.slice(12) }
  expect((await ask(clinician, 'POST', 'Observation', identified(1), none)).status).toBe(201)
  const again = await ask(clinician, 'POST', 'Observation', identified(1), none)
  expect([again.status, again.json?.id]).toEqual([200, expect.any(String)])
  expect((await ask(clinician, 'PUT', url, identified(2))).headers['etag']).toBe('W/"2"')
  expect((await ask(clinician, 'DELETE', url)).status).toBe(204)
  expect(ids((await ask(clinician, 'GET', url)).json)).toEqual([])
})

test('unknown types and paths are answered in FHIR; the statement tells what there is', async () => {
  for (const url of ['Observatoin/1', 'metadatas', '_history', '$graphql', 'Observation/o1/$everything']) {
    const answer = await ask(clinician, 'GET', url)
    expect([url, answer.status, answer.json.resourceType]).toEqual([url, 404, 'OperationOutcome'])
  }
  const statement = fhirRoutes(parts()).find(({ path }) => path === '/fhir/metadata')
  const answer = await statement?.handle({
    actor: undefined,
    params: {},
    query: {},
    headers: {},
    body: undefined as never,
    requestId: '',
  })
  const { rest } = JSON.parse(String(answer?.raw?.body))
  expect(rest[0].resource).toHaveLength(146)
})
