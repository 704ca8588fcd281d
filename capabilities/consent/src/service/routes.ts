import {
  AppError,
  bytes,
  type CborValue,
  decode,
  list,
  object,
  type SignedForm,
  toBase64url,
  tuple,
} from '@salus/core'
import {
  type Answer,
  type Holder,
  json,
  type OrgMessages,
  type Route,
  bytes as rawAnswer,
  route,
} from '@salus/server'
import { heldGrantJson, heldGrantsForm } from '../client/list-grants.ts'
import { type SignedMandate, signedMandateSchema } from '../terms.ts'
import type { Custodian } from './custodian.ts'
import type { Delegations } from './delegations.ts'
import type { Grantee } from './grantee.ts'
import type { Recalled } from './recall.ts'

const CBOR = 'application/cbor'
const MAX_RELEASE_BYTES = 128 * 1024
const MAX_PACKAGE_BYTES = 400 * 1024

export interface ConsentRoutesParts {
  readonly custodian: Custodian
  readonly grantee: Grantee
  readonly delegations: Delegations
  readonly messages: OrgMessages
  /** Tells a grantee to drop what it holds under a grant; undefined where it could not be reached. */
  readonly pushRecall: (org: string, g: Uint8Array) => Promise<Recalled | undefined>
}

/** The HTTP surface of consent. */
export function consentRoutes(parts: ConsentRoutesParts): Route[] {
  const { custodian, grantee, messages } = parts
  return [
    route<{ terms: Uint8Array }>({
      method: 'POST',
      path: '/me/preview',
      summary: 'What draft terms would show of my record here; signed, and logged as my own access',
      audience: 'holder',
      body: object('Draft terms', { terms: bytes('Encoded terms', { max: 256 * 1024 }) }),
      maxBodyBytes: MAX_PACKAGE_BYTES,
      async handle({ actor, body }) {
        const { preview, statement } = await custodian.preview(actor as Holder, body.terms)
        return json({
          n: preview.n,
          m: preview.m,
          shown: preview.shown.map(toBase64url),
          byCompartment: preview.byCompartment,
          byType: preview.byType,
          statement: toBase64url(statement.bytes),
          sig: toBase64url(statement.sig),
        })
      },
    }),
    {
      method: 'GET',
      path: '/me/grants',
      summary: 'My grants of records held here: terms, whether withdrawn, how many requests were counted',
      audience: 'holder',
      reply: heldGrantsForm,
      handle: ({ actor }) => json({ grants: custodian.grantsOf(actor as Holder).map(heldGrantJson) }),
    },
    route<{ links: { g: Uint8Array; sig: Uint8Array }[] }>({
      method: 'POST',
      path: '/me/grants/links',
      summary: 'My link key here is new: the terms of my grants, signed with it, so that they go on',
      audience: 'holder',
      body: object('Grants that go on', {
        links: list(
          object('', {
            g: bytes('Grant', { length: 16 }),
            sig: bytes('Type terms-link, by the link key of this session', { length: 64 }),
          }),
          { min: 1, max: 500 },
        ),
      }),
      handle({ actor, body }) {
        for (const link of body.links) custodian.relink(actor as Holder, link)
        return json({})
      },
    }),
    route<SignedMandate>({
      method: 'POST',
      path: '/me/mandate',
      summary: 'A delegate shows the mandate of her delegation; it says what she may see here',
      audience: 'holder',
      body: signedMandateSchema,
      handle({ actor, body }) {
        const { scope, until } = parts.delegations.keep(actor as Holder, body)
        return json({ compartments: scope.compartments, until })
      },
    }),
    route<{ body: Uint8Array; auth: Uint8Array[] }>({
      method: 'POST',
      path: '/revocations',
      summary: 'Withdraw a grant at its custodian, at once and whether or not the ledger moves',
      audience: 'anyone',
      body: object('A signed consent/revoke', {
        body: bytes('Body', { max: 32 * 1024 }),
        auth: list(bytes('Signature', { length: 64 }), { min: 1, max: 8 }),
      }),
      async handle({ body }) {
        const revoked = await custodian.revoke(body)
        const recalled =
          revoked === undefined ? undefined : await parts.pushRecall(revoked.grantee, revoked.g)
        return json({ honoured: revoked !== undefined, recalled: recalled !== undefined })
      },
    }),
    {
      method: 'POST',
      path: '/org/release',
      summary: 'Release of record versions under a grant (protocol §4)',
      audience: 'anyone',
      rawBody: CBOR,
      maxBodyBytes: MAX_RELEASE_BYTES,
      async handle({ body }) {
        const { from, signed } = readRelease(body)
        const reply = await custodian.release(from, signed)
        return rawAnswer(tuple(reply.bytes, reply.sig), CBOR)
      },
    },
    {
      method: 'POST',
      path: '/org/grants',
      summary: 'A sealed grant package for this organisation, brought by a home',
      audience: 'anyone',
      rawBody: CBOR,
      maxBodyBytes: MAX_PACKAGE_BYTES,
      handle({ body }): Answer {
        const { payload } = messages.open(body, 'grant')
        const { g, role, sealed } = readPackage(payload)
        if (role === 'custodian') {
          custodian.receive(g, sealed)
          return rawAnswer(tuple(true), CBOR)
        }
        const { acceptance } = grantee.accept(g, sealed)
        return rawAnswer(tuple(acceptance.bytes, acceptance.sig), CBOR)
      },
    },
    {
      method: 'POST',
      path: '/org/recalls',
      summary: 'A custodian recalls what was released under a grant',
      audience: 'anyone',
      rawBody: CBOR,
      handle({ body }): Answer {
        const { from, payload } = messages.open(body, 'recall')
        const g = (payload as { readonly g?: CborValue } | null)?.g
        if (!(g instanceof Uint8Array)) throw new AppError('BAD_REQUEST', 'payload.g: must be the grant')
        const recalled = grantee.recall(from, g)
        return rawAnswer(tuple(recalled.bytes, recalled.sig), CBOR)
      },
    },
  ]
}

/** What travels on /org/release: `(from, request, signature)`. */
function readRelease(body: Uint8Array): { from: string; signed: SignedForm } {
  const parts = decode(body, { maxBytes: MAX_RELEASE_BYTES })
  const [from, request, sig] = Array.isArray(parts) ? parts : []
  if (typeof from !== 'string' || !(request instanceof Uint8Array) || !(sig instanceof Uint8Array))
    throw new AppError('BAD_REQUEST', 'body: must be (from, request, signature)')
  return { from, signed: { bytes: request, sig } }
}

function readPackage(payload: CborValue): {
  g: Uint8Array
  role: 'custodian' | 'grantee'
  sealed: Uint8Array
} {
  const { g, role, sealed } = payload as Readonly<Record<string, CborValue>>
  if (
    !(g instanceof Uint8Array) ||
    !(sealed instanceof Uint8Array) ||
    (role !== 'custodian' && role !== 'grantee')
  )
    throw new AppError('BAD_REQUEST', 'payload: must have g, role and sealed')
  return { g, role, sealed }
}
