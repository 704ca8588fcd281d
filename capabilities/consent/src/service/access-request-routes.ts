import { type Infer, object, oneOf, optional, text, tuple } from '@salus/core'
import { json, type OrgMessages, type Route, bytes as rawAnswer, route, type Staff } from '@salus/server'
import { PURPOSES } from '../vocabulary.ts'
import type { AccessRequests } from './access-requests.ts'

const askForm = object('Ask another organisation for a patient’s records', {
  custodian: text('Organisation asked', { min: 1, max: 63 }),
  patient: text('Patient/id here', { min: 3, max: 160 }),
  purpose: optional(oneOf('Purpose', PURPOSES)),
})

/** Asking without a grant: for clinicians, and between organisations. */
export function accessRequestRoutes(parts: {
  readonly requests: AccessRequests
  readonly messages: OrgMessages
}): Route[] {
  return [
    route<Infer<typeof askForm>>({
      method: 'POST',
      path: '/access-requests',
      summary:
        'Ask for a patient’s records without a grant: always refused, and the patient is told who asked',
      audience: 'clinician',
      body: askForm,
      async handle({ actor, body }) {
        const { custodian, patient, purpose } = body
        const answer = await parts.requests.ask(actor as Staff, {
          custodian,
          patient,
          purpose: purpose ?? 'TREAT',
        })
        return json({ answer })
      },
    }),
    {
      method: 'POST',
      path: '/org/access-requests',
      summary:
        'A member asks for records without a grant; the answer never depends on whether anybody is here',
      audience: 'anyone',
      rawBody: 'application/cbor',
      async handle({ body }) {
        const { from, payload } = parts.messages.open(body, 'access-request')
        return rawAnswer(tuple(await parts.requests.receive(from, payload)), 'application/cbor')
      },
    },
  ]
}
