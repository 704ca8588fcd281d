import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type Choices,
  type Draft,
  draftTerms,
  type MadeGrant,
  makeGrant,
  type Revoked,
  revokeGrant,
  withController,
} from '@salus/consent/client'
import { fromBase64url, fromHex } from '@salus/core'
import type { Network } from '@salus/host'
import { systemNetwork, systemRandom } from '@salus/host/system'
import {
  changeKeyring,
  createAccount,
  type DeviceContext,
  enrolAt,
  type Person,
} from '@salus/identity/client'
import { deviceKeys, newDevice } from '@salus/keys'
import { type Connection, connect, sendForJson, withToken } from '@salus/sdk'
import { Constellation, type ConstellationOptions } from './constellation.ts'

/** The two hospitals of a scenario: the first one orders. */
export const HOSPITALS = { a: 'hospital-a', b: 'hospital-b' } as const
export type Hospital = keyof typeof HOSPITALS

/** `Patient/id` of the shipped sample that a scenario imports. */
export const SAMPLE_PATIENT = 'Patient/0a0768ea-4e2e-4e5e-af3d-3afc764257b6'

const SAMPLES = fileURLToPath(new URL('../../../samples', import.meta.url))
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** A patient with a device, and her sessions where she is enrolled. */
export interface ScenarioPatient {
  readonly patient: string
  /** Changes whenever her keyring does. */
  person: Person
  readonly at: Partial<Record<Hospital, Connection>>
}

export interface ScenarioStaff {
  readonly practitioner: string
  readonly credential: Uint8Array
  readonly token: string
  readonly connection: Connection
}

export interface GrantMade extends MadeGrant {
  readonly draft: Draft
}

/** Two hospitals with their staff, and whoever the test enrols. */
export interface Scenario {
  readonly net: Constellation
  readonly network: Network
  readonly context: DeviceContext
  /** Connections without a session. */
  readonly at: Readonly<Record<Hospital, Connection>>
  readonly admin: Readonly<Record<Hospital, Connection>>
  readonly clinician: Readonly<Record<Hospital, ScenarioStaff>>
  /** The one with the shipped sample: all of it at A, and a few records at B. */
  readonly patient: ScenarioPatient
  close(): Promise<void>
}

export type ScenarioOptions = Omit<ConstellationOptions, 'members' | 'guests'> & {
  /** More text for A's import of the patient, as ndjson lines. */
  readonly more?: readonly string[]
}

/** Starts both hospitals, imports the shipped sample, and enrols its patient at both; A is her home. */
export async function startScenario({ more = [], ...options }: ScenarioOptions): Promise<Scenario> {
  const net = await Constellation.start({
    ...options,
    members: [
      { org: HOSPITALS.a, name: 'Hospital A' },
      { org: HOSPITALS.b, name: 'Hospital B' },
    ],
  })
  const network = systemNetwork()
  const context: DeviceContext = { chainId: fromHex(net.genesisId), random: systemRandom, clock: net.clock }
  const at = {
    a: connect({ url: net.urlOf(HOSPITALS.a), network }),
    b: connect({ url: net.urlOf(HOSPITALS.b), network }),
  }
  // The first admin of a node is the one act that needs its console.
  const admin = {
    a: withToken(at.a, net.node(HOSPITALS.a).identity.staff.addFirstAdmin('Admin A', 30 * DAY_MS).token),
    b: withToken(at.b, net.node(HOSPITALS.b).identity.staff.addFirstAdmin('Admin B', 30 * DAY_MS).token),
  }
  const [clinicianA, clinicianB] = await Promise.all([
    addStaff(admin.a, 'Dr A', ['clinician']),
    addStaff(admin.b, 'Dr B', ['clinician']),
    importText(admin.a, sampleText('organisations-and-practitioners.json'), 'application/fhir+json'),
    importText(admin.a, sampleText('marisol.json'), 'application/fhir+json'),
    importText(admin.b, ownAtB().join('\n')),
  ])
  if (more.length > 0) await importText(admin.a, more.join('\n'))
  const base = { net, network, context, at, admin, clinician: { a: clinicianA, b: clinicianB } }
  const patient = await enrolPatient(base, SAMPLE_PATIENT, ['a', 'b'])
  return { ...base, patient, close: () => net.close() }
}

/** Adds a person who works there. */
export async function addStaff(
  admin: Connection,
  name: string,
  roles: readonly string[],
): Promise<ScenarioStaff> {
  const added = (await sendForJson(admin, 'POST', '/staff', { json: { name, roles } })) as {
    practitioner: string
    credential: string
    token: string
  }
  const { practitioner, token } = added
  const credential = fromBase64url(added.credential)
  return { practitioner, credential, token, connection: withToken(admin, token) }
}

/** Imports a file at the admin's hospital and expects that all of it arrives. */
export async function importText(
  admin: Connection,
  text: string,
  type = 'application/fhir+ndjson',
): Promise<number> {
  const name = type === 'application/fhir+ndjson' ? 'scenario.ndjson' : 'scenario.json'
  const report = (await sendForJson(admin, 'POST', `/import?name=${name}`, {
    raw: { type, body: text },
  })) as {
    imported: number
    rejected: { message: string }[]
  }
  if (report.rejected[0] !== undefined) throw new Error(`import: ${report.rejected[0].message}`)
  return report.imported
}

/** Makes an account on a device of hers and registers it, first at A, which is her home. */
export async function enrolPatient(
  { at, admin, context }: Pick<Scenario, 'at' | 'admin' | 'context'>,
  patient: string,
  hospitals: readonly Hospital[],
): Promise<ScenarioPatient> {
  let { person } = await createAccount(context, {
    device: deviceKeys(newDevice(context.random)),
    deviceLabel: 'Phone',
    home: HOSPITALS.a,
    withRecoveryCode: false,
  })
  const sessions: Partial<Record<Hospital, Connection>> = {}
  for (const key of hospitals) {
    const { code } = (await sendForJson(admin[key], 'POST', '/staff/enrolment-codes', {
      json: { patient, proofing: { kind: 'in-person' } },
    })) as { code: string }
    const { a: home } = sessions
    const enrolled = await enrolAt(at[key], {
      org: HOSPITALS[key],
      code,
      person,
      context,
      ...(home === undefined ? {} : { home }),
    })
    person = enrolled.person
    sessions[key] = enrolled.session
  }
  return { patient, person, at: sessions }
}

/** Drafts terms for A's records of her, to B's clinician, for one hour, unless told otherwise. */
export function draftFor(
  scenario: Scenario,
  { person }: ScenarioPatient,
  choices: Partial<Choices> = {},
): Draft {
  const { context, clinician } = scenario
  const nowMs = context.clock.now()
  return draftTerms(person.keyring, {
    choices: {
      custodian: HOSPITALS.a,
      grantee: { org: HOSPITALS.b, practitioner: clinician.b.practitioner },
      scope: { compartments: ['labs', 'medication'] },
      purpose: 'TREAT',
      actions: ['read', 'search'],
      notBefore: nowMs - 1_000,
      notAfter: nowMs + HOUR_MS,
      ...choices,
    },
    context,
  })
}

/** Makes a grant as her device does: the key stored at home, then the ledger, then the terms brought to both. */
export async function grantTo(
  scenario: Scenario,
  patient: ScenarioPatient,
  choices: Partial<Choices> = {},
): Promise<GrantMade> {
  const { context } = scenario
  const home = sessionAt(patient, 'a')
  const draft = draftFor(scenario, patient, choices)
  patient.person = await changeKeyring(home, {
    person: patient.person,
    context,
    change: (keyring) => withController(keyring, draft.controller),
  })
  const made = await makeGrant(home, { draft, keyring: patient.person.keyring, context })
  return { ...made, draft }
}

export async function withdraw(
  scenario: Scenario,
  patient: ScenarioPatient,
  g: Uint8Array,
): Promise<Revoked> {
  return revokeGrant(sessionAt(patient, 'a'), {
    g,
    keyring: patient.person.keyring,
    custodian: scenario.at.a,
    context: scenario.context,
  })
}

export function sessionAt({ at }: ScenarioPatient, hospital: Hospital): Connection {
  const session = at[hospital]
  if (session === undefined) throw new Error(`she is not enrolled at ${HOSPITALS[hospital]}`)
  return session
}

/** A chart as `GET /chart` answers it. */
export interface Chart {
  readonly entries: readonly {
    readonly resource: { readonly resourceType: string; readonly id: string }
    readonly sources: readonly { readonly org: string; readonly recordId: string; readonly held: string }[]
  }[]
  readonly sources: readonly { readonly org: string; readonly state: string }[]
  readonly total: number
}

export async function chartOf(clinician: Connection, patient: string, purpose = 'TREAT'): Promise<Chart> {
  const path = `/chart?patient=${encodeURIComponent(patient)}&purpose=${purpose}`
  return (await sendForJson(clinician, 'GET', path)) as Chart
}

/** Records in a chart that another organisation released. */
export function grantedIn({ entries }: Chart): string[] {
  return entries.flatMap(({ sources }) =>
    sources.filter(({ held }) => held === 'granted').map(({ recordId }) => recordId),
  )
}

export function sampleText(name: string): string {
  return readFileSync(`${SAMPLES}/${name}`, 'utf8')
}

/** What B itself holds of the patient. */
function ownAtB(): string[] {
  const { entry } = JSON.parse(sampleText('marisol.json')) as {
    entry: { resource: { resourceType: string } }[]
  }
  const patient = entry.find(({ resource }) => resource.resourceType === 'Patient')?.resource
  const own = {
    resourceType: 'Condition',
    id: 'condition-at-b',
    clinicalStatus: {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
    },
    code: { text: 'Seasonal hay fever' },
    subject: { reference: SAMPLE_PATIENT },
    recordedDate: '2021-04-01',
  }
  return [JSON.stringify(patient), JSON.stringify(own)]
}
