import {
  AppError,
  bytes,
  compareBytes,
  decodeForm,
  encodeForm,
  equal,
  hmac,
  type Infer,
  leafHash,
  list,
  object,
  oneOf,
  openCheckpoint,
  openForm,
  openSealed,
  optional,
  type Random,
  type SealKeyPair,
  type SignedForm,
  type SigningKey,
  sealTo,
  sha256,
  signForm,
  text,
  toHex,
  tuple,
  uint,
  type VerifierKey,
  variant,
  verifyInclusion,
} from '@salus/core'
import { REQUEST_MAX_VERSIONS, type ReleaseRequest } from './release-request.ts'
import { SUITES } from './vocabulary.ts'

/** A reply with this many bytes of views is the most a custodian sends; ask for fewer versions. */
export const REPLY_MAX_BYTES = 64 * 1024 * 1024
const VIEW_MAX_BYTES = 8 * 1024 * 1024

const oid = bytes('Object', { length: 16 })

/** One version: its data key where the grantee may see all of it, else a view; a storing node gives a share. */
export const releaseItemSchema = variant('What is released of one version', 'kind', {
  dek: {
    oid,
    dek: bytes('Data key', { length: 32 }),
    address: bytes('H of the ciphertext, which may be fetched from anywhere', { length: 32 }),
  },
  view: { oid, view: text('FHIR JSON', { max: VIEW_MAX_BYTES }) },
  share: { oid, share: bytes('HMAC(rs, oid), protocol §4 Deposit', { length: 32 }) },
})
export type ReleaseItem = Infer<typeof releaseItemSchema>

/** The opening in the custodian's log, with all that the grantee needs to check it before use. */
export const loggedOpeningSchema = object('The opening, logged', {
  eventId: bytes('AuditEvent', { length: 16 }),
  event: bytes('AuditEvent, canonical JSON', { max: 1024 * 1024 }),
  salt: bytes('Salt of the leaf', { length: 32 }),
  proof: list(bytes('Hash', { length: 32 }), { max: 64, doc: 'From the leaf’s sibling up' }),
  checkpoint: text('Signed checkpoint', { max: 16_384 }),
})
export type LoggedOpening = Infer<typeof loggedOpeningSchema>

export const releaseContentSchema = object('What is sealed to the reply key', {
  v: uint('Form version'),
  items: list(releaseItemSchema, { max: REQUEST_MAX_VERSIONS }),
  opening: loggedOpeningSchema,
  leaseUntil: uint('Keys and plaintext are dropped then, ms UTC'),
  withheld: optional(uint('How many versions are withheld; only where the patient shows it')),
  marked: optional(oneOf('A log is in doubt', ['log-suspect', 'log-forked'])),
})
export type ReleaseContent = Infer<typeof releaseContentSchema>

/** Step 4 of Release: custodian → grantee, type `reply`. Outside the seal stands only what opening needs. */
export const releaseReplySchema = object('Reply to a request', {
  v: uint('Form version'),
  g: bytes('Grant', { length: 16 }),
  request: bytes('H(request)', { length: 32 }),
  leafIndex: uint('Leaf of the opening'),
  suite: uint('Sealing suite', { max: 65_535 }),
  sealed: bytes('HPKE to the reply key', { max: REPLY_MAX_BYTES }),
})
export type ReleaseReply = Infer<typeof releaseReplySchema>

/** `info` binds grant, terms, request, leaf and suite, so a reply fits no other of any of them. Protocol §4. */
export function replyInfo(input: {
  readonly g: Uint8Array
  readonly termsHash: Uint8Array
  readonly requestHash: Uint8Array
  readonly leafIndex: number
  readonly suite: number
}): Uint8Array {
  return tuple(input.g, input.termsHash, input.requestHash, input.leafIndex, input.suite)
}

/** Leaf of kind 2: `HMAC(salt, (2, eventId, H(event)))`; 32 bytes. Protocol, Forms. */
export function openingLeaf(opening: Pick<LoggedOpening, 'eventId' | 'event' | 'salt'>): Uint8Array {
  return hmac(opening.salt, 2, opening.eventId, sha256(opening.event))
}

/** Seals and signs a reply. The leaf must be durable and in the checkpoint before this is called. */
export function sealReply(input: {
  readonly request: ReleaseRequest
  readonly requestHash: Uint8Array
  readonly termsHash: Uint8Array
  readonly leafIndex: number
  readonly content: ReleaseContent
  readonly key: SigningKey
  readonly chainId: Uint8Array
  readonly random: Random
}): SignedForm {
  const { request, requestHash, termsHash, leafIndex } = input
  const { g, suite } = request
  const info = replyInfo({ g, termsHash, requestHash, leafIndex, suite })
  const plaintext = encodeForm(releaseContentSchema, input.content)
  const sealed = sealTo({ to: request.replyKey, info, plaintext, random: input.random })
  const reply = { v: 1, g, request: requestHash, leafIndex, suite, sealed }
  return signForm(releaseReplySchema, reply, { key: input.key, type: 'reply', chainId: input.chainId })
}

/**
 * Opens a reply and checks it before anything in it is used (step 5): signature, request, suite, seal, the leaf under
 * the custodian's signed checkpoint, the event's naming of this very request, and that nothing unasked came.
 * `requestHashIn` reads `H(request)` from the event; the audit capability has it.
 * Throws AppError `BAD_SIGNATURE`, `OPEN_FAILED`, `CBOR`, `SCHEMA`, `UNKNOWN_VERSION`, `NOTE…` or `REPLY`.
 */
export function openReply(
  signed: SignedForm,
  expected: {
    readonly request: ReleaseRequest
    readonly requestHash: Uint8Array
    readonly termsHash: Uint8Array
    readonly replyKey: SealKeyPair
    readonly custodianKey: Uint8Array
    readonly log: { readonly origin: string; readonly key: VerifierKey }
    readonly chainId: Uint8Array
    readonly requestHashIn: (event: Uint8Array) => Uint8Array | undefined
  },
): ReleaseContent & { readonly leafIndex: number } {
  const fail = (field: string, rule: string): never => {
    throw new AppError('REPLY', `${field}: ${rule}`, { field })
  }
  const { request, requestHash, termsHash, chainId } = expected
  const options = {
    publicKey: expected.custodianKey,
    type: 'reply',
    chainId,
    maxBytes: REPLY_MAX_BYTES + 4_096,
  } as const
  const reply = openForm(releaseReplySchema, signed, { ...options, version: 1 })
  if (!equal(reply.g, request.g)) fail('g', 'is another grant')
  if (!equal(reply.request, requestHash)) fail('request', 'answers another request')
  if (reply.suite !== request.suite || !SUITES.includes(reply.suite))
    fail('suite', 'is not the one asked for')

  const { g, leafIndex, suite, sealed } = reply
  const info = replyInfo({ g, termsHash, requestHash, leafIndex, suite })
  const plaintext = openSealed({ key: expected.replyKey, info, sealed })
  const content = decodeForm(releaseContentSchema, plaintext, { maxBytes: REPLY_MAX_BYTES, version: 1 })

  const { opening } = content
  const { checkpoint } = openCheckpoint(opening.checkpoint, [expected.log.key])
  if (checkpoint.origin !== expected.log.origin) fail('checkpoint', 'is of another log')
  const proven = verifyInclusion({
    leafHash: leafHash(openingLeaf(opening)),
    index: leafIndex,
    size: checkpoint.size,
    proof: opening.proof,
    root: checkpoint.root,
  })
  if (!proven) fail('proof', 'does not put the opening into the log')
  const named = expected.requestHashIn(opening.event)
  if (named === undefined || !equal(named, requestHash)) fail('event', 'records another request')
  checkItems(request, content.items, fail)
  return { ...content, leafIndex }
}

function checkItems(
  request: ReleaseRequest,
  items: readonly ReleaseItem[],
  fail: (field: string, rule: string) => never,
): void {
  const asked = request.oids && new Set(request.oids.map(toHex))
  const sorted = items.map((item) => item.oid).sort(compareBytes)
  for (const [i, id] of sorted.entries()) {
    const next = sorted[i + 1]
    if (next && equal(id, next)) fail('items', 'name a version twice')
    if (asked && !asked.has(toHex(id))) fail('items', 'hold a version that was not asked for')
  }
}

/** What a refused grantee learns: that it is refused, or why trying again may help; never which rule. */
export const REFUSALS = ['DENIED', 'LEDGER_STALE', 'RATE', 'BAD_REQUEST', 'SEQUENCE'] as const
export const refusalSchema = object('Refusal of a request', {
  v: uint('Form version'),
  request: bytes('H(request)', { length: 32 }),
  code: oneOf('Code', REFUSALS),
  leafIndex: optional(uint('Leaf of the refusal')),
  last: optional(
    object('Told to the grant’s own grantee only: the request that the custodian counts last', {
      seq: uint('Its place; 0 before the first'),
      request: bytes('H of it; zeros before the first', { length: 32 }),
    }),
  ),
})
export type Refusal = Infer<typeof refusalSchema>

export function signRefusal(key: SigningKey, chainId: Uint8Array, refusal: Refusal): SignedForm {
  return signForm(refusalSchema, refusal, { key, type: 'reply', chainId })
}

export function openRefusal(publicKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): Refusal {
  return openForm(refusalSchema, signed, { publicKey, type: 'reply', chainId, maxBytes: 4_096, version: 1 })
}
