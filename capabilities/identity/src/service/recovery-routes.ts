import { AppError, type Infer, object, toBase64url, toJson } from '@salus/core'
import { type Holder, json, type OrgMessages, type Route, bytes as rawAnswer, route } from '@salus/server'
import { signedJson } from '../client/forms.ts'
import {
  armForm,
  askedForm,
  guardianReplyForm,
  openedRecoveryForm,
  openRecoveryForm,
  recoveryStateForm,
  repliesForm,
  shareRequestSigned,
  startedRecoveryForm,
  startRecoveryForm,
  waitingRequestForm,
} from '../client/recovery-forms.ts'
import { idIn, ownerOnly } from './home-routes.ts'
import type { Recovery } from './recovery.ts'

const CBOR = 'application/cbor'
const DONE = new Uint8Array([0xf5])
const askForm = object('A share request', { request: shareRequestSigned })

export interface RecoveryRoutesParts {
  readonly recovery: Recovery
  readonly messages: OrgMessages
}

/** Recovery: arming, starting after the desk, guardians' mail, the home half. */
export function recoveryRoutes({ recovery, messages }: RecoveryRoutesParts): Route[] {
  return [
    route<Infer<typeof armForm>>({
      method: 'PUT',
      path: '/home/recovery',
      summary: 'Keep home’s half of a recovery that I armed on the ledger, in place of an earlier one',
      audience: 'holder',
      body: armForm,
      reply: object('Kept', { r: recoveryStateForm.fields.r }),
      async handle({ actor, body }) {
        const { r } = await recovery.arm(ownerOnly(actor as Holder), body)
        return json({ r: toBase64url(r) })
      },
    }),
    {
      method: 'GET',
      path: '/home/recovery',
      summary: 'State of my recovery: my devices watch it',
      audience: 'holder',
      reply: recoveryStateForm,
      handle({ actor }) {
        const state = recovery.state(ownerOnly(actor as Holder))
        if (state === undefined) throw new AppError('NOT_FOUND', 'recovery: none is armed for this account')
        return json(toJson(recoveryStateForm, state))
      },
    },
    route<Infer<typeof openRecoveryForm>>({
      method: 'POST',
      path: '/home/recoveries',
      summary:
        'Begin a recovery with a code from the desk; the start on the ledger follows within ten minutes',
      audience: 'anyone',
      body: openRecoveryForm,
      reply: openedRecoveryForm,
      handle: async ({ body }) => json(toJson(openedRecoveryForm, await recovery.open(body))),
    }),
    route<Infer<typeof startRecoveryForm>>({
      method: 'POST',
      path: '/home/recoveries/:r/start',
      summary: 'Start it on the ledger: home signs too; from now the owner’s devices can cancel for 72 hours',
      audience: 'anyone',
      body: startRecoveryForm,
      reply: startedRecoveryForm,
      handle: async ({ params, body }) => json(await recovery.start(idIn(params['r']), body)),
    }),
    route<Infer<typeof askForm>>({
      method: 'POST',
      path: '/home/recoveries/:r/requests',
      summary: 'Ask a guardian, or home for its half; home answers once the delay has passed',
      audience: 'anyone',
      body: askForm,
      reply: askedForm,
      async handle({ params, body }) {
        const reply = await recovery.ask(idIn(params['r']), body.request)
        return json(reply === undefined ? {} : { reply: signedJson(reply) })
      },
    }),
    {
      method: 'GET',
      path: '/home/recoveries/:r/requests/:index',
      summary: 'What waits for a guardian',
      audience: 'anyone',
      reply: waitingRequestForm,
      handle({ params }) {
        const request = recovery.waitingFor(idIn(params['r']), Number(params['index']) || 0)
        return json(request === undefined ? {} : { request: signedJson(request) })
      },
    },
    route<Infer<typeof guardianReplyForm>>({
      method: 'POST',
      path: '/home/recoveries/:r/replies',
      summary: 'A guardian’s answer, sealed to the new device',
      audience: 'anyone',
      body: guardianReplyForm,
      handle({ params, body }) {
        recovery.answer(idIn(params['r']), body.index, body.reply)
        return json({})
      },
    }),
    {
      method: 'GET',
      path: '/home/recoveries/:r/replies',
      summary: 'The guardians’ answers so far; they open on the new device only',
      audience: 'anyone',
      reply: repliesForm,
      handle: ({ params }) =>
        json({
          replies: recovery.mail
            .replies(idIn(params['r']))
            .map(({ index, reply }) => ({ index, reply: signedJson(reply) })),
        }),
    },
    {
      method: 'POST',
      path: '/org/recovery-halves',
      summary: 'Another home’s copy of a recovery half',
      audience: 'anyone',
      rawBody: CBOR,
      async handle({ body }) {
        const { from, payload } = messages.open(body, 'recovery-half')
        await recovery.receiveHalf(from, payload)
        return rawAnswer(DONE, CBOR)
      },
    },
  ]
}
