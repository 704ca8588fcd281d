import { AppError, hkdf, type SealKeyPair, sealKeyPair, sha256, utf8 } from '@salus/core'
import { type KeyUnlocker, readEnvelope, unwrapKrk } from './envelope.ts'

/** Input to the passkey's PRF extension (`eval.first`), the same for every passkey. 32 B. */
export const PASSKEY_PRF_INPUT: Uint8Array = sha256(utf8('salus/passkey-prf/v1'))

/** The key pair of a passkey unlocker. `prfOutput` is the extension's `results.first`, 32 B. Errors: PASSKEY_PRF. */
export function passkeyKey(prfOutput: Uint8Array, unlockerId: Uint8Array): SealKeyPair {
  if (prfOutput.length !== 32) {
    throw new AppError(
      'PASSKEY_PRF',
      'prfOutput: must be 32 bytes; this passkey has no PRF, use another unlocker',
      {},
    )
  }
  const info = utf8('salus/passkey-kek/v1')
  return sealKeyPair(hkdf({ ikm: prfOutput, salt: unlockerId, info, lengthBytes: 32 }))
}

/** The passkey as the keyring lists it. `id` is random (16 B), `credential` its WebAuthn credential id. */
export function passkeyUnlocker(options: {
  readonly id: Uint8Array
  readonly prfOutput: Uint8Array
  readonly credential: Uint8Array
  readonly label: string
  readonly nowMs: number
}): KeyUnlocker {
  const { id, credential, label, nowMs } = options
  const { publicKey } = passkeyKey(options.prfOutput, id)
  return { kind: 'passkey', id, label, publicKey, credential, addedMs: nowMs }
}

/** `KRK` from a passkey's envelope. Errors: OPEN_FAILED, PASSKEY_PRF. */
export const openWithPasskey = (envelope: Uint8Array, prfOutput: Uint8Array): Uint8Array =>
  unwrapKrk(envelope, passkeyKey(prfOutput, readEnvelope(envelope).id))
