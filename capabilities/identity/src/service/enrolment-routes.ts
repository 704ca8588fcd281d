import { AppError, bytes, type Infer, object, optional, text, toBase64url, uint } from '@salus/core'
import { json, type Route, route, type Staff } from '@salus/server'
import {
  delegateLinkForm,
  enrolmentForm,
  proofingForm,
  replaceLinkForm,
  sessionForm,
  sessionRequestForm,
  wrappedForm,
} from '../client/forms.ts'
import type { CodeUse, EnrolmentCodes, Proofing } from './enrolment-codes.ts'
import type { Home } from './home.ts'
import { checkEnrolled, type Links } from './links.ts'
import type { OwnerDirectory } from './ports.ts'
import type { Recovery } from './recovery.ts'
import type { HolderSessions } from './sessions.ts'

export interface EnrolmentRoutesParts {
  readonly owners: OwnerDirectory
  readonly codes: EnrolmentCodes
  readonly links: Links
  readonly home: Home
  readonly holders: HolderSessions
  readonly recovery: Recovery
  readonly clock: { now(): number }
}

export const patientText = text('Patient/id as this organisation’s records call the person', {
  min: 9,
  max: 80,
})

const codeRequestForm = object('A person whom staff identified', {
  patient: optional(patientText),
  proofing: proofingForm,
})
const codeForm = object('For the person in front of you, once, today', {
  code: text('Code', { max: 32 }),
  untilMs: uint('Ends, ms UTC'),
  account: optional(bytes('Account that it is for', { length: 16 })),
})

/** Codes from the desk, link keys, sessions. */
export function enrolmentRoutes(parts: EnrolmentRoutesParts): Route[] {
  const { codes, links, holders, home, recovery } = parts
  const desk = (path: string, use: CodeUse, summary: string): Route =>
    route<Infer<typeof codeRequestForm>>({
      method: 'POST',
      path,
      summary,
      audience: 'staff',
      body: codeRequestForm,
      reply: codeForm,
      async handle({ actor, body }) {
        const owner = await ownerFor(parts.owners, body.patient, use)
        const proofing = proofingOf(body.proofing, actor as Staff, parts.clock.now())
        const issued = codes.issue({ use, owner, proofing })
        if (use === 're-enrol') checkEnrolled(parts.owners.byOwner(owner))
        const needsAccount = use === 'recover' || use === 'claim'
        const account = needsAccount ? home.ofOwner(owner)?.keyringId : undefined
        if (needsAccount && account === undefined)
          throw new AppError('NOT_FOUND', 'patient: has no account that is kept here')
        return json({ ...issued, ...(account === undefined ? {} : { account: toBase64url(account) }) })
      },
    })
  return [
    desk('/staff/enrolment-codes', 'enrol', 'A code that ties a person whom staff identified to her device'),
    desk(
      '/staff/re-enrolment-codes',
      're-enrol',
      'A code for a person identified anew, whom neither device nor code nor guardians let in: she begins again',
    ),
    desk('/staff/recovery-codes', 'recover', 'A code for a person identified anew, who lost her devices'),
    desk('/staff/claim-codes', 'claim', 'A code with which a hosted patient takes her account'),
    route<Infer<typeof enrolmentForm>>({
      method: 'POST',
      path: '/enrolments',
      summary: 'Register a first link key with a code from the desk; the write card comes with it',
      audience: 'anyone',
      body: enrolmentForm,
      reply: wrappedForm,
      async handle({ body }) {
        const { wrapped } = await links.enrol(body)
        return json({ wrapped })
      },
    }),
    route<Infer<typeof enrolmentForm>>({
      method: 'POST',
      path: '/re-enrolments',
      summary:
        'Begin again with a code from the desk: a new link key in place of all earlier ones, whose sessions, delegates and grants end',
      audience: 'anyone',
      body: enrolmentForm,
      reply: wrappedForm,
      async handle({ body }) {
        const { owner, linkKey, wrapped } = await links.enrolAgain({
          ...body,
          endAccount(ended) {
            home.setAside(ended)
            recovery.removeOwner(ended)
          },
        })
        holders.closeEverybody(owner, linkKey)
        return json({ wrapped })
      },
    }),
    route<Infer<typeof replaceLinkForm>>({
      method: 'POST',
      path: '/links',
      summary: 'Replace a link key, signed by the old one; the old one’s sessions end',
      audience: 'anyone',
      body: replaceLinkForm,
      reply: wrappedForm,
      async handle({ body }) {
        const { owner, linkKey, wrapped } = await links.replace(body)
        holders.closeOwner(owner, linkKey)
        return json({ wrapped })
      },
    }),
    route<Infer<typeof delegateLinkForm>>({
      method: 'POST',
      path: '/delegates',
      summary: 'Register a delegate’s own link key, endorsed by the patient’s',
      audience: 'anyone',
      body: delegateLinkForm,
      async handle({ body }) {
        await links.addDelegate(body)
        return json({})
      },
    }),
    route<Infer<typeof sessionRequestForm>>({
      method: 'POST',
      path: '/sessions/link',
      summary:
        'Open a session with a registered link key: patient or delegate; 12 hours, or to the delegation’s end',
      audience: 'anyone',
      body: sessionRequestForm,
      reply: sessionForm,
      handle: ({ body }) => json(holders.open(body)),
    }),
  ]
}

/** The owner that staff means. Throws AppError `NOT_FOUND`. */
export function ownerOf(owners: OwnerDirectory, patient: string): Uint8Array {
  const found = owners.findPatient(patient)
  if (found === undefined)
    throw new AppError('NOT_FOUND', 'patient: no such Patient here; import or register her first')
  return found.owner
}

async function ownerFor(owners: OwnerDirectory, patient: string | undefined, use: CodeUse) {
  if (patient !== undefined) return ownerOf(owners, patient)
  if (use === 'enrol') return (await owners.addOwner()).owner
  throw new AppError('BAD_REQUEST', 'patient: name her; only an enrolment can begin without records')
}

export function proofingOf(
  { kind, hash }: Infer<typeof proofingForm>,
  staff: Staff,
  nowMs: number,
): Proofing {
  return {
    level: 'IAL2',
    kind,
    ...(hash === undefined ? {} : { hash }),
    staff: staff.practitioner,
    time: nowMs,
  }
}
