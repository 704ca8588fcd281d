import {
  AppError,
  bytes,
  equal,
  hmacBytes,
  type Infer,
  list,
  object,
  oneOf,
  openForm,
  openSealed,
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
import { recoveryStateAt } from '../contract/states.ts'

const v = uint('Form version')
const r = bytes('Recovery: first 16 B of H(cancelKey)', { length: 16 })

/** What `c` commits to: how the account is put together again. Protocol §6. */
export const recoveryPlanSchema = object('Recovery plan', {
  v,
  home: text('Organisation that holds the home half', { min: 1, max: 63 }),
  copyHome: text('Organisation that holds its copy', { min: 1, max: 63 }),
  threshold: uint('Guardians needed', { max: 16 }),
  guardians: list(bytes('Guardian’s key, Ed25519', { length: 32 }), { min: 2, max: 16 }),
  check: bytes('Check value of the guardians’ secret', { length: 32 }),
})
export type RecoveryPlan = Infer<typeof recoveryPlanSchema>

/** Arguments of `identity/armRecovery`. */
export function recoveryArgs(
  encodedPlan: Uint8Array,
  salt: Uint8Array,
  cancelKey: Uint8Array,
): { r: Uint8Array; cancelKey: Uint8Array; c: Uint8Array } {
  return { r: sha256(cancelKey).slice(0, 16), cancelKey, c: hmacBytes(salt, sha256(encodedPlan)) }
}

/** The new device asks a guardian or the home for its part, type `request`, signed by the ledger's `newKey`. */
export const shareRequestSchema = object('Request for a part of the recovery', {
  v,
  r,
  part: oneOf('Which part', ['guardian', 'home']),
  index: uint('Guardian’s number, from 1; 0 for home', { max: 16 }),
  newKey: bytes('Key on the ledger, Ed25519', { length: 32 }),
  sealKey: bytes('X-Wing public key of the new device', { length: 1_216 }),
  time: uint('ms UTC'),
})
export type ShareRequest = Infer<typeof shareRequestSchema>

/** The part, sealed to the new device; type `reply`. */
export const shareReplySchema = object('A part of the recovery', {
  v,
  r,
  index: uint('As asked', { max: 16 }),
  request: bytes('H(request)', { length: 32 }),
  sealed: bytes('HPKE to sealKey', { max: 4_096 }),
})
export type ShareReply = Infer<typeof shareReplySchema>

/** The recovery as final on the ledger. */
export interface LedgerRecovery {
  readonly newKey?: Uint8Array | undefined
  readonly startedMs?: number | undefined
  readonly readyMs?: number | undefined
}

/**
 * Whether a guardian or the home may help: block time (not its own clock alone) is past the delay, nobody cancelled,
 * and the asker is the device that the ledger names. Protocol §6.
 */
export function mayHelp(
  recovery: LedgerRecovery | undefined,
  request: ShareRequest,
  now: { readonly headTimeMs: number; readonly clockMs: number },
): boolean {
  if (recovery?.newKey === undefined || !equal(recovery.newKey, request.newKey)) return false
  // The earlier of both clocks: neither a fast guardian nor a fast ledger shortens the delay.
  return recoveryStateAt(recovery, Math.min(now.headTimeMs, now.clockMs)) === 'complete'
}

export function signShareRequest(key: SigningKey, chainId: Uint8Array, request: ShareRequest): SignedForm {
  if (!equal(key.publicKey, request.newKey))
    throw new AppError('RECOVERY', 'newKey: must be the key that signs')
  return signForm(shareRequestSchema, request, { key, type: 'request', chainId })
}

export function openShareRequest(newKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): ShareRequest {
  const limits = { maxBytes: 4_096, version: 1 }
  const request = openForm(shareRequestSchema, signed, {
    publicKey: newKey,
    type: 'request',
    chainId,
    ...limits,
  })
  if (!equal(request.newKey, newKey)) throw new AppError('RECOVERY', 'newKey: must be the key that signs')
  return request
}

function shareInfo(
  chainId: Uint8Array,
  recovery: Uint8Array,
  index: number,
  request: Uint8Array,
): Uint8Array {
  return tuple('salus/recovery/v1', chainId, recovery, index, request)
}

/** At a guardian or the home, after `mayHelp`. */
export function replyToShareRequest(input: {
  readonly request: ShareRequest
  readonly signedRequest: SignedForm
  readonly part: Uint8Array
  readonly key: SigningKey
  readonly chainId: Uint8Array
  readonly random: Random
}): SignedForm {
  const { request, chainId } = input
  const hash = sha256(input.signedRequest.bytes)
  const info = shareInfo(chainId, request.r, request.index, hash)
  const sealed = sealTo({ to: request.sealKey, info, plaintext: input.part, random: input.random })
  const reply = { v: 1, r: request.r, index: request.index, request: hash, sealed }
  return signForm(shareReplySchema, reply, { key: input.key, type: 'reply', chainId })
}

/** At the new device. Throws AppError `BAD_SIGNATURE`, `OPEN_FAILED`, `RECOVERY`, `CBOR`, `SCHEMA`. */
export function openShareReply(input: {
  readonly signed: SignedForm
  readonly request: ShareRequest
  readonly signedRequest: SignedForm
  readonly helperKey: Uint8Array
  readonly key: SealKeyPair
  readonly chainId: Uint8Array
}): Uint8Array {
  const { request, chainId } = input
  const options = { publicKey: input.helperKey, type: 'reply', chainId, maxBytes: 8_192, version: 1 } as const
  const reply = openForm(shareReplySchema, input.signed, options)
  const hash = sha256(input.signedRequest.bytes)
  if (!equal(reply.request, hash) || !equal(reply.r, request.r) || reply.index !== request.index) {
    throw new AppError('RECOVERY', 'request: answers another request')
  }
  const info = shareInfo(chainId, request.r, request.index, hash)
  return openSealed({ key: input.key, info, sealed: reply.sealed })
}
