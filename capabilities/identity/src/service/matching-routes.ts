import { bytes, type Infer, object, oneOf, text, toBase64url, tuple } from '@salus/core'
import { json, type OrgMessages, type Route, bytes as rawAnswer, route, type Staff } from '@salus/server'
import { orgText } from '../client/forms.ts'
import { CODE_DIGITS, matchRequestSchema } from '../matching.ts'
import type { Matching } from './matching.ts'

const CBOR = 'application/cbor'

const askForm = object('Does it know this person?', {
  org: orgText,
  person: matchRequestSchema.fields.person,
})
const requestId = bytes('Question', { length: 16 })
const confirmForm = object('The code that the person was sent', {
  org: orgText,
  requestId,
  code: text('Digits', { min: CODE_DIGITS, max: CODE_DIGITS }),
})

export interface MatchingRoutesParts {
  readonly matching: Matching
  readonly messages: OrgMessages
}

/** Matching of patients between organisations, by a code to the contact on file. */
export function matchingRoutes({ matching, messages }: MatchingRoutesParts): Route[] {
  return [
    route<Infer<typeof askForm>>({
      method: 'POST',
      path: '/staff/matches',
      summary: 'Ask another organisation for a person; it sends a code to the contact it has on file',
      audience: 'staff',
      body: askForm,
      reply: object('Asked', { requestId }),
      async handle({ actor, body }) {
        const asked = await matching.ask(body.org, body.person, (actor as Staff).practitioner)
        return json({ requestId: toBase64url(asked.requestId) })
      },
    }),
    route<Infer<typeof confirmForm>>({
      method: 'POST',
      path: '/staff/matches/confirm',
      summary: 'Return the code that the person received: yes or no',
      audience: 'staff',
      body: confirmForm,
      reply: object('Its answer', { answer: oneOf('Answer', ['yes', 'no']) }),
      async handle({ actor, body }) {
        const staff = (actor as Staff).practitioner
        return json({ answer: await matching.confirm(body.org, body.requestId, body.code, staff) })
      },
    }),
    {
      method: 'POST',
      path: '/org/matches',
      summary: 'Another organisation asks for a person; the answer is the same whether or not she is known',
      audience: 'anyone',
      rawBody: CBOR,
      async handle({ body }) {
        const { from, payload } = messages.open(body, 'match')
        await matching.receive(from, payload)
        return rawAnswer(tuple(true), CBOR)
      },
    },
    {
      method: 'POST',
      path: '/org/match-codes',
      summary: 'Another organisation returns a code: a signed yes or no',
      audience: 'anyone',
      rawBody: CBOR,
      async handle({ body }) {
        const { from, payload } = messages.open(body, 'match-code')
        const { bytes: form, sig } = await matching.receiveCode(from, payload)
        return rawAnswer(tuple(form, sig), CBOR)
      },
    },
  ]
}
