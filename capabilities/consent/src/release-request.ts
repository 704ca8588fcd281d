import {
  AppError,
  bytes,
  type Infer,
  list,
  object,
  oneOf,
  openForm,
  optional,
  type SignedForm,
  type SigningKey,
  sha256,
  signForm,
  text,
  uint,
} from '@salus/core'
import { ACTIONS, PURPOSES } from './vocabulary.ts'

/** A request, and so an AuditEvent, names at most this many versions. Architecture §10. */
export const REQUEST_MAX_VERSIONS = 1_000
export const REQUEST_MAX_BYTES = 64 * 1024

const id = (doc: string) => text(doc, { min: 1, max: 64 })

/** Who asks: always an organisation, and the person in it where there is one. */
export const actorSchema = object('Who asks', {
  org: id('Organisation'),
  unit: optional(id('Unit')),
  practitioner: optional(id('Practitioner, opaque')),
})

/** Step 1 of Release: grantee → custodian, type `request`. Protocol §4. */
export const releaseRequestSchema = object('Request for record versions', {
  v: uint('Form version'),
  g: bytes('Grant', { length: 16 }),
  seq: uint('Counts requests under this grant, from 1'),
  prev: bytes('H of the request before; zeros for the first', { length: 32 }),
  requestId: bytes('Random', { length: 16 }),
  time: uint('ms UTC at the grantee'),
  actor: actorSchema,
  credential: optional(bytes('h of the practitioner’s credential', { length: 32 })),
  purpose: oneOf('Purpose', PURPOSES),
  action: oneOf('What is asked', ACTIONS),
  oids: optional(
    list(bytes('Object', { length: 16 }), { min: 1, max: REQUEST_MAX_VERSIONS, doc: 'Versions asked for' }),
  ),
  query: optional(text('FHIR search, Type?parameters', { min: 1, max: 8_192 })),
  replyKey: bytes('Fresh X-Wing public key', { length: 1_216 }),
  suite: uint('Sealing suite of the reply', { max: 65_535 }),
})
export type ReleaseRequest = Infer<typeof releaseRequestSchema>

export const FIRST_PREV = new Uint8Array(32)

/** `H(request)`: 32 bytes; the next request names it in `prev`. */
export function requestHashOf(signed: SignedForm): Uint8Array {
  return sha256(signed.bytes)
}

function checkRequest(request: ReleaseRequest): ReleaseRequest {
  const fail = (field: string, rule: string): never => {
    throw new AppError('REQUEST', `${field}: ${rule}`, { field })
  }
  if (request.seq === 0) fail('seq', 'counts from 1')
  if (request.action === 'search') {
    if (request.query === undefined || request.oids !== undefined)
      fail('query', 'a search names a query and no oids')
  } else if (request.oids === undefined || request.query !== undefined) {
    fail('oids', 'name the versions, and no query')
  }
  return request
}

/** Throws AppError `SCHEMA` or `REQUEST`. */
export function signRequest(key: SigningKey, chainId: Uint8Array, request: ReleaseRequest): SignedForm {
  return signForm(releaseRequestSchema, checkRequest(request), { key, type: 'request', chainId })
}

/**
 * Checks the organisation's signature and reads the request; `orgKey` is the current `sign` key of the
 * organisation that the connection claims to be, and the request must name it.
 * Throws AppError `BAD_SIGNATURE`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`, `REQUEST`.
 */
export function openRequest(
  signed: SignedForm,
  {
    org,
    orgKey,
    chainId,
  }: { readonly org: string; readonly orgKey: Uint8Array; readonly chainId: Uint8Array },
): ReleaseRequest {
  const limits = { maxBytes: REQUEST_MAX_BYTES, version: 1 }
  const request = openForm(releaseRequestSchema, signed, {
    publicKey: orgKey,
    type: 'request',
    chainId,
    ...limits,
  })
  if (request.actor.org !== org)
    throw new AppError('REQUEST', 'actor.org: is not the organisation that signed')
  return checkRequest(request)
}
