import { fromBase64url, toBase64url } from '@salus/core'
import { createAccount, enrolAt } from '@salus/identity/client'
import { deviceKeys, newDevice } from '@salus/keys'
import { type Connection, sendForJson, withToken } from '@salus/sdk'
import { expectThat } from '../story.ts'
import { type DemoStaff, ORGS, type World } from '../world.ts'

const DAY_MS = 86_400_000

/** Staff of the two hospitals and an auditor; the third organisation admitted by vote of the first two. */
export async function enrolOrganisations(world: World): Promise<string> {
  for (const [key, org] of Object.entries(ORGS) as ['a' | 'b' | 'c', string][]) {
    if (key === 'c') continue
    await addStaff(world, key, {
      name: `Dr ${key === 'a' ? 'Ottoline Brackenbury' : 'Emeka Stroud-Adeyo'}`,
      roles: ['clinician'],
    })
    await addStaff(world, key, {
      name: `Second clinician of ${org}`,
      roles: ['clinician'],
      as: `clinician-${key}-2`,
    })
  }
  await addStaff(world, 'a', { name: 'Network auditor', roles: ['auditor'], as: 'auditor' })
  const card = await world.net.card(ORGS.c)
  const change = {
    kind: 'admit',
    org: card.org,
    name: card.name,
    url: card.url,
    sign: toBase64url(card.sign),
    seal: toBase64url(card.seal),
    log: toBase64url(card.log),
  }
  const { p } = (await sendForJson(adminOf(world, 'a'), 'POST', '/governance/proposals', {
    json: { change },
  })) as { p: string }
  const { height } = (await sendForJson(adminOf(world, 'b'), 'POST', `/governance/proposals/${p}/votes`, {
    json: { yes: true },
  })) as { height: number }
  await world.net.startNode(ORGS.c)
  await firstAdmin(world, 'c')
  expectThat(fromBase64url(p).length === 16, 'the proposal has an id')
  return `${ORGS.a} and ${ORGS.b} are in the genesis, ${ORGS.c} admitted by their votes at block ${height}; four clinicians and an auditor have credentials on the ledger`
}

/** The first admin of a node: the one act that needs its console. */
export async function firstAdmin(world: World, key: 'a' | 'b' | 'c'): Promise<void> {
  const org = ORGS[key]
  const { token } = world.net.node(org).identity.staff.addFirstAdmin(`Administrator of ${org}`, 30 * DAY_MS)
  world.admins.set(key, {
    name: `Administrator of ${org}`,
    org,
    practitioner: 'admin',
    token,
    connection: withToken(world.connections[key], token),
  })
}

export function adminOf(world: World, key: 'a' | 'b' | 'c'): Connection {
  const admin = world.admins.get(key)
  expectThat(admin !== undefined, `${ORGS[key]} has an admin`)
  return admin.connection
}

export function staffOf(world: World, as: string): DemoStaff {
  const staff = world.staff.get(as)
  expectThat(staff !== undefined, `${as} works here`)
  return staff
}

async function addStaff(
  world: World,
  key: 'a' | 'b' | 'c',
  { name, roles, as = `clinician-${key}` }: { name: string; roles: string[]; as?: string },
): Promise<void> {
  const added = (await sendForJson(adminOf(world, key), 'POST', '/staff', { json: { name, roles } })) as {
    practitioner: string
    token: string
  }
  world.staff.set(as, {
    name,
    org: ORGS[key],
    practitioner: added.practitioner,
    token: added.token,
    connection: withToken(world.connections[key], added.token),
  })
}

/** A code from an organisation's desk, for a person whom staff identified. */
export async function codeFor(
  world: World,
  key: 'a' | 'b' | 'c',
  patient: string | undefined,
  path = '/staff/enrolment-codes',
): Promise<{ code: string; account?: string }> {
  return (await sendForJson(adminOf(world, key), 'POST', path, {
    json: { ...(patient === undefined ? {} : { patient }), proofing: { kind: 'in-person' } },
  })) as { code: string; account?: string }
}

/** The desks of both hospitals register the people of the story: their Patient resources come first. */
export async function registerCast(world: World): Promise<void> {
  const { patient, child, hosted, resourcesOf } = world.cast
  const lines = [patient, child, hosted].flatMap((name) =>
    resourcesOf(name).flatMap(({ recordId, text }) => (recordId === name ? [text] : [])),
  )
  for (const key of ['a', 'b'] as const)
    await sendForJson(adminOf(world, key), 'POST', '/import?name=registration.ndjson', {
      raw: { type: 'application/fhir+ndjson', body: lines.join('\n') },
    })
}

/**
 * The patient makes her account on her own device, with hospital A as home, and registers at B. Hospital B keeps an
 * account for a second patient, who has no device yet. The carer and the child's account are made likewise.
 */
export async function enrolPeople(world: World): Promise<string> {
  await enrolPerson(world, 'patient', world.cast.patient)
  const patient = world.people.get('patient')
  expectThat(patient !== undefined && patient.person.keyring.version > 0, 'her keyring is stored at home')
  await enrolPerson(world, 'child', world.cast.child)
  const hosted = (await sendForJson(adminOf(world, 'b'), 'POST', '/staff/hosted', {
    json: { patient: world.cast.hosted, proofing: { kind: 'in-person' } },
  })) as { account?: string }
  expectThat(typeof hosted.account === 'string', 'hospital B keeps an account for the hosted patient')
  return `keys made on her device, keyring version ${patient.person.keyring.version} at ${ORGS.a}; link keys at ${[...patient.sessions.keys()].join(' and ')}; ${ORGS.b} hosts a second patient`
}

async function enrolPerson(world: World, as: string, patient: string): Promise<void> {
  const { context } = world
  const { person, recoveryCode } = await createAccount(context, {
    device: deviceKeys(newDevice(context.random)),
    deviceLabel: 'Phone',
    home: ORGS.a,
    withRecoveryCode: as === 'patient',
  })
  const atHome = await enrolAt(world.connections.a, {
    org: ORGS.a,
    code: (await codeFor(world, 'a', patient)).code,
    person,
    context,
  })
  const atB = await enrolAt(world.connections.b, {
    org: ORGS.b,
    code: (await codeFor(world, 'b', patient)).code,
    person: atHome.person,
    context,
    home: atHome.session,
  })
  world.people.set(as, {
    name: world.cast.displayName(patient),
    patient,
    person: atB.person,
    sessions: new Map([
      [ORGS.a, atHome.session],
      [ORGS.b, atB.session],
    ]),
    recoveryCode,
  })
}
