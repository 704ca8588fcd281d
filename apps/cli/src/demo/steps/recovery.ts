import {
  answerShareRequest,
  armRecovery,
  cancelRecovery,
  completeRecovery,
  fetchKeyring,
  type GuardianShare,
  guardianCard,
  ledgerReader,
  openAccount,
  openOwnSession,
  type Person,
  type RecoveryAttempt,
  recoveryIsCurrent,
  recoveryState,
  startRecovery,
} from '@salus/identity/client'
import { type DeviceKeys, deviceKeys, newDevice, openKeyring } from '@salus/keys'
import { listOwnVersions } from '@salus/records/client'
import { sendForJson } from '@salus/sdk'
import { ownVersions } from '../own-versions.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectRefusal, expectThat } from '../story.ts'
import { connectionTo, everybodyKnows, letTimePass, signInAgain } from '../time.ts'
import { type DemoPerson, ORGS, type World } from '../world.ts'
import { claims } from './claim.ts'
import { codeFor, staffOf } from './enrol.ts'
import { withdraw } from './expiry.ts'
import { grantTo } from './grant.ts'
import { chartOf, grantedIn } from './read.ts'

const HOUR_MS = 3_600_000
const GUARDIANS = 5

/** What guardians hold: their devices, and a share each. */
interface Circle {
  readonly devices: readonly DeviceKeys[]
  readonly shares: readonly GuardianShare[]
}

/**
 * Her device is lost: three of five guardians and home let a new one in after 72 hours, and the old one is out. Then
 * somebody else tries the same with a code from the desk, and her cancel in time stops it. The hosted patient claims.
 */
export async function recoveryAndClaim(world: World): Promise<string> {
  const recovered = await recovers(world)
  const stopped = await stopsAThief(world)
  return `${recovered}; ${stopped}; ${await claims(world)}`
}

async function recovers(world: World): Promise<string> {
  const { cast } = world
  const patient = personOf(world, 'patient')
  const standing = await grantTo(world, patient, { compartments: ['medication'], hours: 14 * 24 })
  const circle = await armed(world, patient)
  const lost = patient.person
  const attempt = await begun(world)
  expectThat(
    (await help(world, circle, [1])).join() === 'too-early',
    'a guardian helps nobody before 72 hours',
  )
  await expectRefusal(finished(world, attempt), ['RECOVERY_NOT_READY'], 'home’s half before 72 hours')

  await letTimePass(world, 73 * HOUR_MS)
  const lostSession = sessionOf(patient, ORGS.a)
  expectThat((await help(world, circle, [1, 3])).join() === 'answered,answered', 'two guardians answer')
  await expectRefusal(finished(world, attempt), ['GUARDIANS_TOO_FEW'], 'two of five')
  expectThat((await help(world, circle, [5])).join() === 'answered', 'a third guardian answers')
  const { person, unfinished } = await finished(world, attempt)
  expectThat(unfinished.length === 0, `every key is new everywhere: ${unfinished[0]?.code}`)
  patient.person = person
  await signInAgain(world)

  const counts = await Promise.all(
    [...patient.sessions.keys()].map(async (org) => (await ownVersions(world, patient, org)).length),
  )
  expectThat(
    counts.every((count) => count > 0),
    'the new device opens her versions at every organisation',
  )
  await isShutOut(world, lost, [...patient.sessions.keys()])
  await expectRefusal(listOwnVersions(lostSession), ['UNAUTHENTICATED'], 'the session of the lost device')
  const clinician = staffOf(world, 'clinician-b').connection
  const opened = grantedIn(await chartOf(clinician, cast.patient)).length
  expectThat(opened === standing.n, `the grant of before goes on: ${opened} of ${standing.n}`)
  const { honoured } = await withdraw(world, standing.g)
  expectThat(honoured, 'the new device withdraws what the old one granted')
  expectThat(grantedIn(await chartOf(clinician, cast.patient)).length === 0, 'and nothing opens any more')
  return `3 of ${GUARDIANS} guardians and home let a new device in after 72 h, not before and not two; it opens ${counts.join(' + ')} versions and withdrew the grant of before; the old one has no session, link key or keyring`
}

/** Nothing that the lost device holds opens anything: no session, no envelope, no newer keyring. */
async function isShutOut(world: World, lost: Person, orgs: readonly string[]): Promise<void> {
  const { context } = world
  const { keyringId } = lost.keyring
  const home = world.connections.a
  for (const org of orgs)
    await expectRefusal(
      openOwnSession(connectionTo(world, org), { org, person: lost, context }),
      ['UNAUTHENTICATED'],
      `the lost device’s link key at ${org}`,
    )
  await expectRefusal(
    openAccount(home, { keyringId, device: lost.device, home: ORGS.a }),
    ['NOT_AN_UNLOCKER'],
    'the lost device at home',
  )
  const { keyring } = await fetchKeyring(home, keyringId)
  const opening = Promise.resolve().then(() => openKeyring({ bytes: keyring, krk: lost.krk }))
  await expectRefusal(opening, ['OPEN_FAILED'], 'the newest keyring under the old KRK')
}

/** Somebody gets a code from the desk in her name; her device sees the start on the ledger, and she cancels. */
async function stopsAThief(world: World): Promise<string> {
  const { context } = world
  const patient = personOf(world, 'patient')
  const ledger = ledgerReader(world.connections.b)
  expectThat(
    !(await recoveryIsCurrent(sessionOf(patient, ORGS.a), patient.person)),
    'the old shares open nothing',
  )
  const circle = await armed(world, patient)
  expectThat(await recoveryIsCurrent(sessionOf(patient, ORGS.a), patient.person), 'the new ones do')
  const theft = await begun(world)
  const { notices } = (await sendForJson(sessionOf(patient, ORGS.a), 'GET', '/me/notices')) as {
    notices: { kind: string }[]
  }
  expectThat(notices.at(-1)?.kind === 'recovery-started', 'home tells her at once')
  await letTimePass(world, 71 * HOUR_MS)
  expectThat(
    (await recoveryState(ledger, patient.person))?.state === 'started',
    'her device sees it on the ledger',
  )
  await cancelRecovery(world.connections.b, { person: patient.person, context })
  await letTimePass(world, 2 * HOUR_MS)
  expectThat((await recoveryState(ledger, patient.person))?.state === 'armed', 'the recovery is armed again')
  const answers = await help(world, circle, [1, 2, 3])
  expectThat(
    answers.every((answer) => answer === 'nobody-asks'),
    'no guardian helps the thief',
  )
  await expectRefusal(finished(world, theft), ['RECOVERY'], 'home’s half for the thief')
  expectThat((await ownVersions(world, patient, ORGS.a)).length > 0, 'her own device goes on')
  return 'a thief’s start was seen and cancelled at 71 h: neither guardians nor home helped'
}

async function armed(world: World, patient: DemoPerson): Promise<Circle> {
  const { context } = world
  const devices = Array.from({ length: GUARDIANS }, () => deviceKeys(newDevice(context.random)))
  const { person, shares } = await armRecovery(sessionOf(patient, ORGS.a), {
    person: patient.person,
    context,
    guardians: devices.map((device, at) => guardianCard(device, `Guardian ${at + 1}`)),
    copyHome: ORGS.b,
    sponsor: sessionOf(patient, ORGS.a),
    ledger: ledgerReader(world.connections.a),
  })
  patient.person = person
  return { devices, shares }
}

/** Whoever convinces the desk at home starts a recovery. */
async function begun(world: World): Promise<RecoveryAttempt> {
  const { code } = await codeFor(world, 'a', world.cast.patient, '/staff/recovery-codes')
  const ledger = ledgerReader(world.connections.a)
  const attempt = await startRecovery(world.connections.a, { code, context: world.context, ledger })
  await everybodyKnows(world)
  return attempt
}

/** Guardians look at the ledger through another organisation than her home. */
function help(world: World, { devices, shares }: Circle, numbers: readonly number[]) {
  return Promise.all(
    numbers.map((number) =>
      answerShareRequest(world.connections.a, {
        share: shares[number - 1] as GuardianShare,
        device: devices[number - 1] as DeviceKeys,
        context: world.context,
        ledger: ledgerReader(world.connections.b),
      }),
    ),
  )
}

function finished(world: World, attempt: RecoveryAttempt) {
  return completeRecovery(world.connections.a, {
    attempt,
    device: deviceKeys(newDevice(world.context.random)),
    deviceLabel: 'New phone',
    context: world.context,
    ledger: ledgerReader(world.connections.a),
    connectionTo: (org) => connectionTo(world, org),
    sponsor: world.connections.a,
  })
}
