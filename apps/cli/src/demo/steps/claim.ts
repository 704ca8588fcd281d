import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { grantRow, organisationOf, revokeGrant } from '@salus/consent/client'
import { equal, fromBase64url, toBase64url } from '@salus/core'
import { claimHosted, claimTicket, openOwnSession } from '@salus/identity/client'
import { controllerKey, deviceKeys, newDevice } from '@salus/keys'
import { sendForJson } from '@salus/sdk'
import { ownVersions } from '../own-versions.ts'
import { expectRefusal, expectThat } from '../story.ts'
import { connectionTo } from '../time.ts'
import { type DemoPerson, ORGS, type World } from '../world.ts'
import { adminOf, codeFor, staffOf } from './enrol.ts'
import { chartOf, grantedIn } from './read.ts'

const DAY_MS = 86_400_000
const PROOFING = { level: 'IAL2', kind: 'in-person' } as const

/**
 * The patient whose account hospital B kept claims it with a code from the desk: `KRK`, link keys and the controllers of
 * her grants are made anew on her device, B's copies are destroyed and it signs that; its staff can act for her no more.
 */
export async function claims(world: World): Promise<string> {
  const { context, cast } = world
  const g = await hostedGrant(world)
  const clinician = staffOf(world, 'clinician-a').connection
  const opened = grantedIn(await chartOf(clinician, cast.hosted)).length
  expectThat(opened > 0, 'the grant that B made on her word opens records at A')
  const hostKey = (await organisationOf(world.connections.b, ORGS.b)).sign
  const before = { row: await grantRow(world.connections.b, g), generations: keyFiles(world) }

  const device = deviceKeys(newDevice(context.random))
  const claim = async () => {
    const { code, account } = await codeFor(world, 'b', cast.hosted, '/staff/claim-codes')
    return claimHosted(world.connections.b, {
      org: ORGS.b,
      hostKey,
      ticket: claimTicket({ code, account: account ?? '' }, PROOFING),
      device,
      deviceLabel: 'Phone',
      context,
      connectionTo: (org) => connectionTo(world, org),
      sponsor: world.connections.b,
    })
  }
  const { person, unfinished, receipt } = await claim()
  expectThat(unfinished.length === 0, `every key is new everywhere: ${unfinished[0]?.code}`)
  expectThat(
    receipt?.kind === 'deletion' && receipt.what === 'hosted-keys' && receipt.org === ORGS.b,
    'B signs that it deleted her keys',
  )
  const rest = keyFiles(world).filter((file) => before.generations.includes(file))
  expectThat(rest.length === 0, `no keystore file that held them is left: ${rest[0]}`)
  const row = await grantRow(world.connections.b, g)
  const ownKey = controllerKey(person.keyring, g)?.publicKey
  expectThat(
    row !== undefined && before.row !== undefined && !equal(row.k, before.row.k),
    'the ledger has another controller of the grant',
  )
  expectThat(ownKey !== undefined && equal(row.k, ownKey), 'which is hers')
  await expectRefusal(makeHosted(world), ['NOT_HOSTED'], 'a grant by the former host')
  await expectRefusal(revokeHosted(world, g), ['NOT_HOSTED'], 'a withdrawal by the former host')
  await expectRefusal(claim(), ['NOT_HOSTED'], 'a second claim')

  const sessions: DemoPerson['sessions'] = new Map()
  for (const org of [ORGS.a, ORGS.b])
    sessions.set(org, await openOwnSession(connectionTo(world, org), { org, person, context }))
  const hosted = {
    name: cast.displayName(cast.hosted),
    patient: cast.hosted,
    person,
    sessions,
    recoveryCode: undefined,
  }
  world.people.set('hosted', hosted)
  const own = (await ownVersions(world, hosted, ORGS.b)).length
  expectThat(own > 0, 'her device opens what B holds of her')
  expectThat(grantedIn(await chartOf(clinician, cast.hosted)).length === opened, 'her grant goes on')
  const revoked = await revokeGrant(world.connections.b, {
    g,
    keyring: person.keyring,
    custodian: world.connections.b,
    context,
  })
  expectThat(revoked.honoured, 'and only she withdraws it')
  expectThat(grantedIn(await chartOf(clinician, cast.hosted)).length === 0, 'then nothing opens any more')
  return `the hosted patient claimed her account: ${own} versions open on her device, the controller of her grant is hers on the ledger, ${ORGS.b} signed that its copies are ${receipt.method}, and can no more grant or withdraw for her`
}

/** Staff of B enrols her at A with a code from A's desk, and makes a grant from B to A's clinician on her word. */
async function hostedGrant(world: World): Promise<Uint8Array> {
  const patient = world.cast.hosted
  const { code } = await codeFor(world, 'a', patient)
  await sendForJson(adminOf(world, 'b'), 'POST', '/staff/hosted/links', {
    json: { patient, org: ORGS.a, code },
  })
  const { g, delivered } = await makeHosted(world)
  expectThat(
    delivered.every((one) => one.delivered),
    `the terms reach both: ${delivered.find((one) => !one.delivered)?.detail}`,
  )
  return fromBase64url(g)
}

async function makeHosted(world: World) {
  const nowMs = Math.floor(world.context.clock.now())
  const draft = {
    custodian: ORGS.b,
    grantee: { org: ORGS.a, practitioner: staffOf(world, 'clinician-a').practitioner },
    scope: { compartments: ['general', 'labs', 'medication'] },
    purpose: 'TREAT',
    actions: ['read', 'search'],
    notBefore: nowMs - 1_000,
    notAfter: nowMs + DAY_MS,
    lease: 600_000,
    rate: { requests: 60, versions: 10_000 },
    masks: [],
    method: 'in-person',
    evidence: toBase64url(new Uint8Array(32)),
  }
  return (await sendForJson(adminOf(world, 'b'), 'POST', '/staff/hosted/grants', {
    json: { patient: world.cast.hosted, draft },
  })) as { g: string; delivered: { delivered: boolean; detail?: string }[] }
}

function revokeHosted(world: World, g: Uint8Array) {
  return sendForJson(adminOf(world, 'b'), 'POST', '/staff/hosted/revocations', {
    json: { patient: world.cast.hosted, g: toBase64url(g) },
  })
}

/** B's keystore files, one per generation of its sealing key. */
function keyFiles(world: World): string[] {
  return readdirSync(join(world.net.dataDir(ORGS.b), 'keystore')).filter((name) => name.endsWith('.keys'))
}
