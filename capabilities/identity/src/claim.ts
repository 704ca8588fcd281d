import {
  AppError,
  bytes,
  equal,
  type Infer,
  object,
  oneOf,
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
  tuple,
  uint,
} from '@salus/core'

const org = text('Organisation', { min: 1, max: 63 })
const v = uint('Form version')
const account = bytes('Account at the host', { length: 16 })

/** A device asks its host for the account it keeps, type `request`, signed by the device's own key. Protocol §2. */
export const claimRequestSchema = object('Claim of a hosted account', {
  v,
  host: org,
  account,
  deviceKey: bytes('Key of the device, Ed25519; signs this', { length: 32 }),
  sealKey: bytes('X-Wing public key of the device', { length: 1_216 }),
  proofing: object('How the person was identified for this', {
    level: oneOf('NIST SP 800-63A', ['IAL2']),
    kind: oneOf('Evidence', ['id-document', 'national-eid', 'in-person']),
    hash: optional(bytes('Hash of the evidence on file', { length: 32 })),
  }),
  time: uint('ms UTC'),
})
export type ClaimRequest = Infer<typeof claimRequestSchema>

/** The host's answer, type `reply`: KRK for the device, bound to this very request. */
export const claimReplySchema = object('KRK wrapped to the device', {
  v,
  account,
  request: bytes('H(request)', { length: 32 }),
  keyringVersion: uint('Version of the keyring that KRK opens'),
  sealed: bytes('HPKE to sealKey', { max: 2_048 }),
})
export type ClaimReply = Infer<typeof claimReplySchema>

export function signClaimRequest(key: SigningKey, chainId: Uint8Array, request: ClaimRequest): SignedForm {
  if (!equal(key.publicKey, request.deviceKey))
    throw new AppError('CLAIM', 'deviceKey: must be the key that signs')
  return signForm(claimRequestSchema, request, { key, type: 'request', chainId })
}

export function openClaimRequest(
  deviceKey: Uint8Array,
  chainId: Uint8Array,
  signed: SignedForm,
): ClaimRequest {
  const limits = { maxBytes: 4_096, version: 1 }
  const request = openForm(claimRequestSchema, signed, {
    publicKey: deviceKey,
    type: 'request',
    chainId,
    ...limits,
  })
  if (!equal(request.deviceKey, deviceKey))
    throw new AppError('CLAIM', 'deviceKey: must be the key that signs')
  return request
}

function claimInfo(
  chainId: Uint8Array,
  host: string,
  accountId: Uint8Array,
  request: Uint8Array,
): Uint8Array {
  return tuple('salus/claim/v1', chainId, host, accountId, request)
}

/** At the host: wraps KRK to the device and signs. */
export function replyToClaim(input: {
  readonly request: ClaimRequest
  readonly signedRequest: SignedForm
  readonly krk: Uint8Array
  readonly keyringVersion: number
  readonly hostKey: SigningKey
  readonly chainId: Uint8Array
  readonly random: Random
}): SignedForm {
  const { request, chainId, keyringVersion } = input
  const hash = sha256(input.signedRequest.bytes)
  const info = claimInfo(chainId, request.host, request.account, hash)
  const sealed = sealTo({ to: request.sealKey, info, plaintext: input.krk, random: input.random })
  const reply = { v: 1, account: request.account, request: hash, keyringVersion, sealed }
  return signForm(claimReplySchema, reply, { key: input.hostKey, type: 'reply', chainId })
}

/** At the device. Throws AppError `BAD_SIGNATURE`, `OPEN_FAILED`, `CLAIM`, `CBOR`, `SCHEMA`. */
export function openClaimReply(input: {
  readonly signed: SignedForm
  readonly request: ClaimRequest
  readonly signedRequest: SignedForm
  readonly hostKey: Uint8Array
  readonly key: SealKeyPair
  readonly chainId: Uint8Array
}): { readonly krk: Uint8Array; readonly keyringVersion: number } {
  const { request, chainId } = input
  const options = { publicKey: input.hostKey, type: 'reply', chainId, maxBytes: 4_096, version: 1 } as const
  const reply = openForm(claimReplySchema, input.signed, options)
  const hash = sha256(input.signedRequest.bytes)
  if (!equal(reply.request, hash)) throw new AppError('CLAIM', 'request: answers another request')
  const info = claimInfo(chainId, request.host, request.account, hash)
  return {
    krk: openSealed({ key: input.key, info, sealed: reply.sealed }),
    keyringVersion: reply.keyringVersion,
  }
}
