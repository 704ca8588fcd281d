import { sendForJson } from '@salus/sdk'
import { noticesAt } from '../notices.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectThat } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { staffOf } from './enrol.ts'
import { chartOf } from './read.ts'
import { accessesAt } from './who-looked.ts'

/**
 * The clinician at B asks for the patient's records at A without a grant. The answer is no, as it is for everybody; the
 * patient learns who asked, from a notice and from both hospitals' lists.
 */
export async function refused(world: World): Promise<string> {
  const { cast } = world
  const clinician = staffOf(world, 'clinician-b')
  const patient = personOf(world, 'patient')
  const { answer } = (await sendForJson(clinician.connection, 'POST', '/access-requests', {
    json: { custodian: ORGS.a, patient: cast.patient, purpose: 'TREAT' },
  })) as { answer: string }
  expectThat(answer === 'DENIED', 'A refuses')

  const chart = await chartOf(clinician.connection, cast.patient)
  const foreign = chart.entries.flatMap(({ sources }) => sources.filter(({ org }) => org !== ORGS.b))
  expectThat(
    foreign.length === 0 && chart.sources.every(({ org }) => org === ORGS.b),
    'B’s chart shows nothing of A, not even that it holds something',
  )

  const isHers = ({ facts }: Awaited<ReturnType<typeof accessesAt>>[number]): boolean =>
    facts.outcome === 'refused' &&
    facts.requester.org === ORGS.b &&
    facts.requester.practitioner === clinician.practitioner
  const refusal = (await accessesAt(sessionOf(patient, ORGS.a), ORGS.a)).find(isHers)
  expectThat(refusal !== undefined, 'the refusal is on her list at A, with the person at B')
  expectThat(refusal.facts.reasons.includes('NO_GRANT'), 'the list says why: there was no grant')
  expectThat(refusal.facts.versions.length === 0, 'nothing was opened')
  const asking = (await accessesAt(sessionOf(patient, ORGS.b), ORGS.b)).find(isHers)
  expectThat(asking !== undefined, 'B logged that it asked')
  const notice = (await noticesAt(sessionOf(patient, ORGS.a))).find(({ kind }) => kind === 'refusal')
  expectThat(
    notice?.about['org'] === ORGS.b && notice.about['practitioner'] === clinician.practitioner,
    'a notice tells her that B asks',
  )
  return `${ORGS.b} asked for her records at ${ORGS.a}: refused (${refusal.facts.reasons.join(' ')}), on her lists at both and in a notice; her chart at ${ORGS.b} shows its own ${chart.total} entries only`
}
