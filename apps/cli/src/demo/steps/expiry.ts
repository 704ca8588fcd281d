import { grantRow, revokeGrant } from '@salus/consent/client'
import { personOf, sessionOf } from '../people.ts'
import { expectThat } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { staffOf } from './enrol.ts'
import { grantTo } from './grant.ts'
import { chartOf, grantedIn } from './read.ts'
import { accessesAt } from './who-looked.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/**
 * After the hour the first grant opens nothing. A second one is withdrawn while ordering stands still: A honours it on
 * sight, B drops what it held at once, and what a recall could not reach would end with its lease.
 */
export async function expiryAndRevocation(world: World): Promise<string> {
  const { net, cast, connections } = world
  const clinician = staffOf(world, 'clinician-b').connection
  const before = grantedIn(await chartOf(clinician, cast.patient)).length
  expectThat(before > 0, 'the first grant still opens records')
  await net.advance(HOUR_MS)
  expectThat(
    grantedIn(await chartOf(clinician, cast.patient)).length === 0,
    'after the hour nothing of A opens',
  )

  const patient = personOf(world, 'patient')
  const second = await grantTo(world, patient, { compartments: ['medication'], hours: 2 })
  const opened = grantedIn(await chartOf(clinician, cast.patient)).length
  expectThat(opened === second.n, `the second grant opens its ${second.n} versions, ${opened} did`)
  net.pauseOrdering()
  try {
    const startMs = performance.now()
    const revoked = await withdraw(world, second.g)
    const honouredMs = Math.round(performance.now() - startMs)
    expectThat(
      revoked.honoured && revoked.recalled,
      'A honours the withdrawal on sight and B signs that it dropped everything',
    )
    const row = await grantRow(connections.a, second.g)
    expectThat(row?.state === 'active', 'the ledger stands still and does not know yet')
    expectThat(
      grantedIn(await chartOf(clinician, cast.patient)).length === 0,
      'B holds nothing of A any more and gets nothing new',
    )
    world.figures['revokedOnSightMs'] = honouredMs
  } finally {
    net.resumeOrdering()
  }
  await net.advance(MINUTE_MS)
  expectThat(
    (await grantRow(connections.a, second.g))?.state === 'revoked',
    'the withdrawal is final once ordering goes on',
  )

  const third = await grantTo(world, patient, { compartments: ['medication'], hours: 4 })
  expectThat(grantedIn(await chartOf(clinician, cast.patient)).length === third.n, 'a third grant opens')
  await net.stopNode(ORGS.b)
  const out = await withdraw(world, third.g)
  expectThat(out.honoured && !out.recalled, 'B cannot be reached, A honours the withdrawal all the same')
  await net.startNode(ORGS.b)
  expectThat(
    grantedIn(await chartOf(clinician, cast.patient)).length === 0,
    'a node that was away has nothing left in memory',
  )
  const refusals = (await accessesAt(sessionOf(patient, ORGS.a), ORGS.a)).filter(
    ({ facts }) => facts.outcome === 'refused',
  )
  return `after the hour: refused; withdrawn on sight in ${String(world.figures['revokedOnSightMs'])} ms with ordering stopped, ${opened} versions dropped by B with its signature; a third grant withdrawn while B was down opens nothing when it is back; ${refusals.length} refusals on her list`
}

/** The patient withdraws a grant at A, on sight and on the ledger. */
export function withdraw(world: World, g: Uint8Array) {
  const patient = personOf(world, 'patient')
  return revokeGrant(sessionOf(patient, ORGS.a), {
    g,
    keyring: patient.person.keyring,
    custodian: world.connections.a,
    context: world.context,
    // The ledger may stand still here; what counts is that the custodian honours it on sight.
    waitMs: 300,
  })
}
