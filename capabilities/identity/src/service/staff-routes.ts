import { bytes, type Infer, list, object, oneOf, optional, text, toBase64url, uint } from '@salus/core'
import { json, type Route, route } from '@salus/server'
import { credentialSchema } from '../credential.ts'
import type { StaffDesk, StaffMember } from './staff.ts'

const practitioner = text('Practitioner, opaque', { min: 1, max: 64 })
const roles = list(oneOf('Role', ['admin', 'clinician', 'steward', 'auditor']), { min: 1, max: 4 })
const status = oneOf('Status', ['active', 'suspended', 'ended'])

const newStaffForm = object('A person who works here', {
  name: text('Name', { min: 1, max: 128 }),
  practitioner: optional(practitioner),
  roles,
  licence: credentialSchema.fields.licence,
  cnf: optional(bytes('Key that the person holds, Ed25519 or P-256', { min: 32, max: 33 })),
})
const member = {
  practitioner,
  name: text('Name', { max: 128 }),
  roles,
  status,
  credential: optional(bytes('Handle of the credential on the ledger', { length: 32 })),
}
const session = { token: text('Bearer token', { max: 64 }), untilMs: uint('Ends, ms UTC') }
const statusForm = object('', { status })

/** Accounts of the people who work here. */
export function staffRoutes(staff: StaffDesk): Route[] {
  return [
    route<Infer<typeof newStaffForm>>({
      method: 'POST',
      path: '/staff',
      summary: 'Add a person: signs her credential, makes it active on the ledger, opens a session for her',
      audience: 'admin',
      body: newStaffForm,
      reply: object('Added', { ...member, ...session }),
      async handle({ body }) {
        const { member: added, token, untilMs } = await staff.add(body)
        return json({ ...memberJson(added), token, untilMs })
      },
    }),
    {
      method: 'GET',
      path: '/staff',
      summary: 'Everybody who works here',
      audience: 'admin',
      reply: object('', { staff: list(object('A person', member), { max: 100_000 }) }),
      handle: () => json({ staff: staff.list().map(memberJson) }),
    },
    {
      method: 'POST',
      path: '/staff/:practitioner/sessions',
      summary: 'Open a new session for a person who works here',
      audience: 'admin',
      reply: object('A session', session),
      handle: ({ params }) => json(staff.openSession(params['practitioner'] ?? '')),
    },
    route<Infer<typeof statusForm>>({
      method: 'PUT',
      path: '/staff/:practitioner/status',
      summary: 'Suspend, end or reinstate a person: sessions end here, the ledger tells everybody',
      audience: 'admin',
      body: statusForm,
      async handle({ params, body }) {
        await staff.setStatus(params['practitioner'] ?? '', body.status)
        return json({})
      },
    }),
  ]
}

function memberJson({ credential, ...rest }: StaffMember) {
  return { ...rest, ...(credential === undefined ? {} : { credential: toBase64url(credential) }) }
}
