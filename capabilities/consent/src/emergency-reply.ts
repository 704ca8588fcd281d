import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  equal,
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
  signForm,
  text,
  tuple,
  uint,
  type VerifierKey,
  verifyInclusion,
} from '@salus/core'
import { staffSignatureSchema } from './emergency.ts'
import { loggedOpeningSchema, openingLeaf } from './release-reply.ts'

const MAX_SUMMARY_BYTES = 4 * 1024 * 1024
const MAX_ENVELOPE_BYTES = 64 * 1024
const MAX_REPLY_BYTES = MAX_SUMMARY_BYTES + 2 * 1024 * 1024

const v = uint('Form version')

/** A staff member's credential, shown so that a custodian can hold her signature to it. */
export const shownCredentialSchema = object('A credential with its salt', {
  credential: bytes('As its issuer signed it', { max: 8_192 }),
  sig: bytes('Signature of the issuer', { length: 64 }),
  salt: bytes('Salt of h', { length: 32 }),
})
export type ShownCredential = Infer<typeof shownCredentialSchema>

/** A break-glass request as it travels: it names a person, so it is sealed to each custodian asked. */
export const emergencyEnvelopeSchema = object('A break-glass request on its way', {
  v,
  request: bytes('The request', { max: 32_768 }),
  sig: bytes('Signature of the organisation', { length: 64 }),
  staff: list(staffSignatureSchema, { max: 2, doc: 'Only where the ledger stands still' }),
  credentials: list(shownCredentialSchema, { max: 2 }),
})
export type EmergencyEnvelope = Infer<typeof emergencyEnvelopeSchema>

const envelopeInfo = (chainId: Uint8Array, from: string, to: string): Uint8Array =>
  tuple('salus/emergency/v1', chainId, from, to)

export function sealEnvelope(
  envelope: EmergencyEnvelope,
  to: {
    readonly seal: Uint8Array
    readonly chainId: Uint8Array
    readonly from: string
    readonly org: string
    readonly random: Random
  },
): Uint8Array {
  const plaintext = encodeForm(emergencyEnvelopeSchema, envelope)
  const { seal, chainId, from, org, random } = to
  return sealTo({ to: seal, info: envelopeInfo(chainId, from, org), plaintext, random })
}

/** Throws AppError `OPEN_FAILED`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function openEnvelope(
  sealed: Uint8Array,
  parts: {
    readonly key: SealKeyPair
    readonly chainId: Uint8Array
    readonly from: string
    readonly org: string
  },
): EmergencyEnvelope {
  const { key, chainId, from, org } = parts
  const plaintext = openSealed({ key, info: envelopeInfo(chainId, from, org), sealed })
  return decodeForm(emergencyEnvelopeSchema, plaintext, { maxBytes: MAX_ENVELOPE_BYTES, version: 1 })
}

export const emergencyContentSchema = object('What is sealed to the reply key', {
  v,
  summary: text('FHIR JSON of the emergency summary', { max: MAX_SUMMARY_BYTES }),
  opening: loggedOpeningSchema,
  until: uint('Dropped then, ms UTC'),
})
export type EmergencyContent = Infer<typeof emergencyContentSchema>

/**
 * A custodian's answer, type `reply`. `none` stands alike for nobody found, several found, an opt-out, nothing to
 * show and every refusal: only the patient's list tells them apart.
 */
export const emergencyReplySchema = object('Answer to a break-glass request', {
  v,
  b: bytes('Emergency', { length: 16 }),
  request: bytes('H(request)', { length: 32 }),
  outcome: oneOf('Outcome', ['summary', 'none']),
  leafIndex: uint('Leaf of the opening or of the refusal'),
  suite: uint('Sealing suite', { max: 65_535 }),
  sealed: optional(bytes('HPKE to the reply key', { max: MAX_REPLY_BYTES })),
})

interface Bound {
  readonly b: Uint8Array
  readonly requestHash: Uint8Array
  readonly custodian: string
  readonly suite: number
}

const replyInfo = ({ b, requestHash, custodian, suite }: Bound, leafIndex: number): Uint8Array =>
  tuple('salus/emergency-reply/v1', b, requestHash, custodian, leafIndex, suite)

/** Seals and signs a summary, or signs that there is none. The leaf must be durable before this is called. */
export function sealEmergencyReply(
  input: Bound & {
    readonly leafIndex: number
    readonly answer: { readonly content: EmergencyContent; readonly replyKey: Uint8Array } | undefined
    readonly key: SigningKey
    readonly chainId: Uint8Array
    readonly random: Random
  },
): SignedForm {
  const { b, requestHash, suite, leafIndex, answer, key, chainId, random } = input
  const sealed =
    answer === undefined
      ? undefined
      : sealTo({
          to: answer.replyKey,
          info: replyInfo(input, leafIndex),
          plaintext: encodeForm(emergencyContentSchema, answer.content),
          random,
        })
  const reply = {
    v: 1,
    b,
    request: requestHash,
    outcome: sealed === undefined ? ('none' as const) : ('summary' as const),
    leafIndex,
    suite,
    ...(sealed === undefined ? {} : { sealed }),
  }
  return signForm(emergencyReplySchema, reply, { key, type: 'reply', chainId })
}

/**
 * Opens an answer and checks it before use: signature, request, seal, the leaf under the custodian's checkpoint, the
 * event's naming of this request. Undefined for `none`. Throws AppError `BAD_SIGNATURE`, `REPLY`, `OPEN_FAILED`, `CBOR`…
 */
export function openEmergencyReply(
  signed: SignedForm,
  expected: Bound & {
    readonly replyKey: SealKeyPair
    readonly custodianKey: Uint8Array
    readonly log: { readonly origin: string; readonly key: VerifierKey }
    readonly chainId: Uint8Array
    readonly requestHashIn: (event: Uint8Array) => Uint8Array | undefined
  },
): EmergencyContent | undefined {
  const fail = (field: string, rule: string): never => {
    throw new AppError('REPLY', `${field}: ${rule}`, { field })
  }
  const { custodianKey, chainId, requestHash, log } = expected
  const reply = openForm(emergencyReplySchema, signed, {
    publicKey: custodianKey,
    type: 'reply',
    chainId,
    maxBytes: MAX_REPLY_BYTES,
    version: 1,
  })
  if (!equal(reply.b, expected.b) || !equal(reply.request, requestHash))
    fail('request', 'answers another request')
  if (reply.suite !== expected.suite) fail('suite', 'is not the one asked for')
  if (reply.outcome === 'none' || reply.sealed === undefined) return undefined
  const info = replyInfo(expected, reply.leafIndex)
  const plaintext = openSealed({ key: expected.replyKey, info, sealed: reply.sealed })
  const content = decodeForm(emergencyContentSchema, plaintext, { maxBytes: MAX_REPLY_BYTES, version: 1 })
  const { opening } = content
  const { checkpoint } = openCheckpoint(opening.checkpoint, [log.key])
  if (checkpoint.origin !== log.origin) fail('checkpoint', 'is of another log')
  const proven = verifyInclusion({
    leafHash: leafHash(openingLeaf(opening)),
    index: reply.leafIndex,
    size: checkpoint.size,
    proof: opening.proof,
    root: checkpoint.root,
  })
  if (!proven) fail('proof', 'does not put the opening into the log')
  const named = expected.requestHashIn(opening.event)
  if (named === undefined || !equal(named, requestHash)) fail('event', 'records another request')
  return content
}
