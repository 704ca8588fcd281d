import { showMandate } from '@salus/consent/client'
import { AppError, sealKeyPair, toBase64url } from '@salus/core'
import { acceptDelegation, addDelegate, endorseDelegate, openSession } from '@salus/identity/client'
import { type Connection, send, sendForJson, withToken } from '@salus/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addStaff,
  enrolPatient,
  HOSPITALS,
  importText,
  SAMPLE_PATIENT,
  type Scenario,
  type ScenarioPatient,
  sessionAt,
  startScenario,
} from '../src/index.ts'
import { sampleOf } from './sample-body.ts'
import { temporaryDir } from './temporary-dir.ts'

const ROLES = [
  'nobody',
  'patient',
  'another patient',
  'delegate',
  'clinician',
  'admin',
  'steward',
  'auditor',
  'other organisation',
] as const
type Role = (typeof ROLES)[number]

/** Who may call what. `proof`: open to the network, and does nothing without a signature or code in the body. */
const MAY = {
  public: ROLES,
  proof: ROLES,
  holder: ['patient', 'another patient', 'delegate'],
  owner: ['patient', 'another patient'],
  clinician: ['clinician'],
  admin: ['admin'],
  staff: ['clinician', 'admin', 'steward'],
  'signed in': ['patient', 'another patient', 'delegate', 'clinician', 'admin', 'steward', 'auditor'],
} as const satisfies Record<string, readonly Role[]>

/** Every route. A new one must be entered here, with a thought about who may call it. */
const EXPECTED: Readonly<Record<string, keyof typeof MAY>> = {
  'GET /health': 'public',
  'GET /ready': 'public',
  'GET /genesis': 'public',
  'GET /organisation': 'public',
  'GET /log/{rest}': 'public',
  'GET /figures': 'admin',
  'GET /ledger/head': 'public',
  'GET /ledger/blocks': 'public',
  'POST /ledger/bundles': 'proof',
  'POST /ledger/cosign': 'proof',
  'GET /ledger/log/{rest}': 'public',
  'GET /ledger/contracts': 'public',
  'GET /ledger/organisations/{org}': 'public',
  'POST /ledger/query/{contract}/{name}': 'public',
  'POST /tx': 'proof',
  'GET /tx/{txId}': 'public',
  'GET /tx/{txId}/receipt': 'public',
  'GET /me/accesses': 'holder',
  'GET /me/accesses/{eventId}/receipt': 'holder',
  'POST /import': 'admin',
  'GET /me': 'holder',
  'PUT /me/card': 'owner',
  'GET /me/versions': 'holder',
  'POST /objects': 'public',
  'POST /governance/proposals': 'admin',
  'POST /governance/proposals/{p}/votes': 'admin',
  'POST /staff': 'admin',
  'GET /staff': 'admin',
  'POST /staff/{practitioner}/sessions': 'admin',
  'PUT /staff/{practitioner}/status': 'admin',
  'POST /staff/enrolment-codes': 'staff',
  'POST /staff/re-enrolment-codes': 'staff',
  'POST /staff/recovery-codes': 'staff',
  'POST /staff/claim-codes': 'staff',
  'POST /enrolments': 'proof',
  'POST /re-enrolments': 'proof',
  'POST /links': 'proof',
  'POST /delegates': 'proof',
  'POST /sessions/link': 'proof',
  'PUT /home/keyring': 'owner',
  'GET /home/keyring': 'owner',
  'GET /home/keyrings/{id}': 'public',
  'GET /home/unlockers': 'owner',
  'POST /home/grants': 'holder',
  'GET /me/notices': 'owner',
  'POST /staff/hosted': 'staff',
  'POST /staff/hosted/links': 'staff',
  'POST /staff/hosted/grant-texts': 'staff',
  'POST /staff/hosted/grants': 'staff',
  'POST /staff/hosted/revocations': 'staff',
  'POST /claims': 'proof',
  'POST /me/claim/complete': 'owner',
  'PUT /home/recovery': 'owner',
  'GET /home/recovery': 'owner',
  'POST /home/recoveries': 'proof',
  'POST /home/recoveries/{r}/start': 'proof',
  'POST /home/recoveries/{r}/requests': 'proof',
  'GET /home/recoveries/{r}/requests/{index}': 'public',
  'POST /home/recoveries/{r}/replies': 'proof',
  'GET /home/recoveries/{r}/replies': 'public',
  'POST /org/recovery-halves': 'proof',
  'POST /staff/matches': 'staff',
  'POST /staff/matches/confirm': 'staff',
  'POST /org/matches': 'proof',
  'POST /org/match-codes': 'proof',
  'POST /me/preview': 'holder',
  'GET /me/grants': 'holder',
  'POST /me/grants/links': 'owner',
  'POST /me/mandate': 'holder',
  'POST /revocations': 'proof',
  'POST /org/release': 'proof',
  'POST /org/grants': 'proof',
  'POST /org/recalls': 'proof',
  'GET /chart': 'clinician',
  'GET /fhir/metadata': 'public',
  'GET /fhir/{rest}': 'signed in',
  'POST /fhir/{rest}': 'signed in',
  'PUT /fhir/{rest}': 'signed in',
  'PATCH /fhir/{rest}': 'signed in',
  'DELETE /fhir/{rest}': 'signed in',
  'POST /fhir': 'signed in',
  'POST /me/records': 'owner',
  'PUT /me/wraps': 'owner',
  'GET /me/export': 'owner',
  'POST /me/import': 'owner',
  'POST /me/erase': 'owner',
  'POST /access-requests': 'clinician',
  'POST /org/access-requests': 'proof',
  'POST /emergencies': 'clinician',
  'GET /emergencies/{b}': 'clinician',
  'POST /emergencies/{b}/second': 'clinician',
  'POST /emergencies/{b}/end': 'clinician',
  'GET /staff/emergencies': 'staff',
  'POST /staff/emergencies/{b}/review': 'staff',
  'POST /org/emergency': 'proof',
  'GET /me/emergency': 'owner',
  'PUT /me/emergency': 'owner',
}

/** Calls that would truly do it for those who may: tested where they belong, not here. */
const NOT_TRIED_BY_THOSE_WHO_MAY = new Set(['POST /me/erase', 'POST /me/claim/complete'])

interface Operation {
  readonly name: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly content: Readonly<Record<string, { readonly schema?: object }>> | undefined
}

const { dir, remove } = temporaryDir()
let s: Scenario
let other: ScenarioPatient
let operations: Operation[]
let as: Readonly<Record<Role, Connection>>

beforeAll(async () => {
  s = await startScenario({ dir })
  await importText(
    s.admin.a,
    JSON.stringify({ resourceType: 'Patient', id: 'other', name: [{ family: 'Else' }] }),
  )
  other = await enrolPatient(s, 'Patient/other', ['a'])
  const steward = await addStaff(s.admin.a, 'Steward', ['steward'])
  const auditor = await addStaff(s.admin.a, 'Auditor', ['auditor'])
  as = {
    nobody: s.at.a,
    patient: sessionAt(s.patient, 'a'),
    'another patient': sessionAt(other, 'a'),
    delegate: await delegateOf(s.patient),
    clinician: s.clinician.a.connection,
    admin: s.admin.a,
    steward: steward.connection,
    auditor: auditor.connection,
    'other organisation': withToken(s.at.a, s.clinician.b.token),
  }
  operations = await describedOperations()
})

afterAll(async () => {
  await s.close()
  remove()
})

test('every route has an entry, and every entry a route', () => {
  const names = operations.map(({ name }) => name)
  expect(names.filter((name) => EXPECTED[name] === undefined)).toEqual([])
  expect(Object.keys(EXPECTED).filter((name) => !names.includes(name))).toEqual([])
  expect(operations.length).toBeGreaterThan(70)
})

describe.each(ROLES)('%s', (role) => {
  test('may call exactly what the table says', async () => {
    const wrong: string[] = []
    for (const operation of operations) {
      const kind = EXPECTED[operation.name]
      if (kind === undefined) continue
      const may = (MAY[kind] as readonly Role[]).includes(role)
      if (may && NOT_TRIED_BY_THOSE_WHO_MAY.has(operation.name)) continue
      const { status, code } = await call(as[role], operation)
      const expected = role === 'nobody' || role === 'other organisation' ? [401] : [403]
      if (!may && !expected.includes(status))
        wrong.push(`${operation.name}: ${status} ${code}, not ${expected}`)
      if (may && kind !== 'proof' && (status === 401 || status === 403))
        wrong.push(`${operation.name}: ${status} ${code}, though ${role} may`)
      // A made-up body proves nothing, so nothing may come of it.
      if (kind === 'proof' && status < 400)
        wrong.push(`${operation.name}: ${status} for a body that proves nothing`)
      if (status >= 500 && status !== 502 && status !== 503)
        wrong.push(`${operation.name}: ${status} ${code}`)
    }
    expect(wrong).toEqual([])
  })
})

test('a session says nothing once it has ended, and a token of nobody says the same', async () => {
  const gone = await addStaff(s.admin.a, 'Leaves', ['clinician'])
  const chart = `/chart?patient=${encodeURIComponent(SAMPLE_PATIENT)}`
  await sendForJson(gone.connection, 'GET', chart)
  await sendForJson(s.admin.a, 'PUT', `/staff/${gone.practitioner}/status`, { json: { status: 'ended' } })
  const answers = await Promise.all(
    [gone.token, toBase64url(s.context.random(32)), 'x', ''].map((token) =>
      send(withToken(s.at.a, token), 'GET', chart).catch(
        (error: AppError) => `${error.code}: ${error.message}`,
      ),
    ),
  )
  expect(new Set(answers).size).toBe(1)
  expect(answers[0]).toMatch(/^UNAUTHENTICATED/)
})

async function describedOperations(): Promise<Operation[]> {
  const document = (await sendForJson(s.at.a, 'GET', '/openapi.json')) as {
    paths: Record<string, Record<string, { requestBody?: { content: Operation['content'] } }>>
  }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase() as Operation['method'],
      path,
      content: requestBody?.content,
    })),
  )
}

/** Calls an operation with ids that lead nowhere and a body that its schema accepts. */
async function call(connection: Connection, { method, path, content }: Operation) {
  const id = toBase64url(s.context.random(16))
  const made = path
    .replace('{rest}', path.startsWith('/fhir') ? 'Basic/none' : 'nothing')
    .replace(/\{\w+\}/g, id)
  const [type, { schema } = {}] = Object.entries(content ?? {})[0] ?? []
  const body = schema === undefined ? (type?.includes('json') ? '{}' : new Uint8Array([0x80])) : undefined
  try {
    const { status } = await send(connection, method, made, {
      ...(schema === undefined ? {} : { json: sampleOf(schema) }),
      ...(body === undefined || type === undefined ? {} : { raw: { type, body } }),
    })
    return { status, code: '' }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { status: Number(error.data['status']), code: `${error.code} ${error.message}` }
  }
}

/** A carer with a delegation of the patient's, and her session at A. */
async function delegateOf(patient: ScenarioPatient): Promise<Connection> {
  const { context } = s
  const device = sealKeyPair(context.random(32))
  const home = sessionAt(patient, 'a')
  const added = await addDelegate(home, {
    person: patient.person,
    context,
    scope: { compartments: ['general'], actions: ['read', 'search'] },
    untilMs: context.clock.now() + 30 * 86_400_000,
    evidence: { kind: 'patient-choice', hash: context.random(32) },
    to: device.publicKey,
    sponsor: s.at.a,
  })
  patient.person = added.person
  // B takes her only once it has executed the block.
  await s.net.advance(1)
  const { delegate, statements } = await acceptDelegation(s.at.a, { gift: added.gift, key: device, context })
  await endorseDelegate({
    person: patient.person,
    context,
    d: added.d,
    statements,
    connectionTo: (org) => (org === HOSPITALS.a ? s.at.a : s.at.b),
  })
  const place = delegate.places.find(({ org }) => org === HOSPITALS.a)
  if (place === undefined) throw new Error('she is enrolled at A')
  const session = await openSession(s.at.a, { org: HOSPITALS.a, key: place.key, context })
  await showMandate(session, delegate)
  return session
}
