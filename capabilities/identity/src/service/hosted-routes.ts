import { bytes, type Infer, object, text, toBase64url, uint } from '@salus/core'
import { type Holder, json, type Route, route, type Staff } from '@salus/server'
import {
  claimedForm,
  claimForm,
  codeText,
  deletionForm,
  orgText,
  proofingForm,
  relayedForm,
  signedJson,
} from '../client/forms.ts'
import type { Claims } from './claims.ts'
import { ownerOf, patientText, proofingOf } from './enrolment-routes.ts'
import { ownerOnly } from './home-routes.ts'
import type { Hosted } from './hosted.ts'
import { type HostedGrants, hostedDraftForm } from './hosted-grants.ts'
import type { OwnerDirectory } from './ports.ts'

export interface HostedRoutesParts {
  readonly owners: OwnerDirectory
  readonly hosted: Hosted
  readonly hostedGrants: HostedGrants
  readonly claims: Claims
  readonly clock: { now(): number }
}

const hostForm = object('A patient without a device', { patient: patientText, proofing: proofingForm })
const linkForm = object('Enrolment of a hosted patient elsewhere', {
  patient: patientText,
  org: orgText,
  code: codeText,
})
const grantForm = object('A grant on the patient’s word', { patient: patientText, draft: hostedDraftForm })
const revokeForm = object('The patient withdraws', {
  patient: patientText,
  g: bytes('Grant', { length: 16 }),
})
const account = bytes('Account', { length: 16 })

/** Hosted custody: staff acts for patients without a device, until they claim their accounts. */
export function hostedRoutes({ owners, hosted, hostedGrants, claims, clock }: HostedRoutesParts): Route[] {
  return [
    route<Infer<typeof hostForm>>({
      method: 'POST',
      path: '/staff/hosted',
      summary: 'Make an account for a patient without a device; its keys are kept here until she claims it',
      audience: 'staff',
      body: hostForm,
      reply: object('The account', { account }),
      async handle({ actor, body }) {
        const proofing = proofingOf(body.proofing, actor as Staff, clock.now())
        const made = await hosted.host(ownerOf(owners, body.patient), proofing)
        return json({ account: toBase64url(made.account) })
      },
    }),
    route<Infer<typeof linkForm>>({
      method: 'POST',
      path: '/staff/hosted/links',
      summary: 'Enrol a hosted patient at another organisation, with a code that its desk gave her',
      audience: 'staff',
      body: linkForm,
      reply: object('Enrolled', {
        sub: bytes('How it knows her', { length: 32 }),
        wrapped: uint('Versions wrapped'),
      }),
      async handle({ actor, body }) {
        const { org, code } = body
        const staff = (actor as Staff).practitioner
        const done = await hosted.enrolAt(ownerOf(owners, body.patient), { org, code, staff })
        return json({ sub: toBase64url(done.sub), wrapped: done.wrapped })
      },
    }),
    route<Infer<typeof grantForm>>({
      method: 'POST',
      path: '/staff/hosted/grant-texts',
      summary: 'The text of a grant, to be read to the patient before she agrees; makes nothing',
      audience: 'staff',
      body: grantForm,
      reply: object('The text', { text: text('Text', { max: 64 * 1024 }) }),
      async handle({ actor, body }) {
        const staff = (actor as Staff).practitioner
        return json({ text: await hostedGrants.text(ownerOf(owners, body.patient), body.draft, staff) })
      },
    }),
    route<Infer<typeof grantForm>>({
      method: 'POST',
      path: '/staff/hosted/grants',
      summary:
        'Make a grant for a hosted patient on her word; its terms name the staff member and the evidence',
      audience: 'staff',
      body: grantForm,
      reply: object('The grant', {
        g: bytes('Grant', { length: 16 }),
        terms: bytes('Encoded terms', { max: 256 * 1024 }),
        delivered: relayedForm.fields.results,
      }),
      async handle({ actor, body }) {
        const staff = (actor as Staff).practitioner
        const made = await hostedGrants.grant(ownerOf(owners, body.patient), body.draft, staff)
        return json({
          g: toBase64url(made.g),
          terms: toBase64url(made.terms),
          delivered: made.delivered.map(({ answer, ...told }) => ({
            ...told,
            ...(answer === undefined ? {} : { answer: toBase64url(answer) }),
          })),
        })
      },
    }),
    route<Infer<typeof revokeForm>>({
      method: 'POST',
      path: '/staff/hosted/revocations',
      summary: 'Withdraw a hosted patient’s grant on her word',
      audience: 'staff',
      body: revokeForm,
      async handle({ actor, body }) {
        await hostedGrants.revoke(ownerOf(owners, body.patient), body.g, (actor as Staff).practitioner)
        return json({})
      },
    }),
    route<Infer<typeof claimForm>>({
      method: 'POST',
      path: '/claims',
      summary: 'Claim a hosted account with a code from the desk: KRK, wrapped to the device',
      audience: 'anyone',
      body: claimForm,
      reply: claimedForm,
      async handle({ body }) {
        const { reply, keyring } = await claims.open(body)
        return json({ reply: signedJson(reply), keyring: toBase64url(keyring) })
      },
    }),
    {
      method: 'POST',
      path: '/me/claim/complete',
      summary: 'My keys are new: the host deletes its copies and signs a receipt',
      audience: 'holder',
      reply: deletionForm,
      async handle({ actor }) {
        return json({ receipt: signedJson(await claims.complete(ownerOnly(actor as Holder))) })
      },
    },
  ]
}
