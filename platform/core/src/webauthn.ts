import { native } from '#native'
import { concat, fromUtf8, toBase64url } from './bytes.ts'
import { fromDer } from './ecdsa-der.ts'

/** A WebAuthn assertion as the authenticator and browser gave it. */
export interface AssertionAuth {
  /** At most 512 bytes. */
  readonly authenticatorData: Uint8Array
  /** At most 1,024 bytes. */
  readonly clientDataJSON: Uint8Array
  /** ECDSA-Sig-Value in DER, as WebAuthn gives it (WebAuthn Level 2 §6.5.6); at most 72 bytes. */
  readonly sig: Uint8Array
}

const MAX_AUTHENTICATOR_DATA_BYTES = 512
const MAX_CLIENT_DATA_BYTES = 1024
const USER_PRESENT = 0x01

/**
 * Whether the assertion is by the compressed P-256 key (33 bytes) over `challenge` (32 bytes), type
 * `webauthn.get`, user present. Origin and rpIdHash are not read: the challenge binds chain, purpose and
 * bytes, and a ledger has no origin. Both high and low s hold, as authenticators make both. Never throws.
 * @see WebAuthn Level 2 §7.2
 */
export function verifyAssertion(publicKey: Uint8Array, challenge: Uint8Array, auth: AssertionAuth): boolean {
  const { authenticatorData, clientDataJSON, sig } = auth
  if (publicKey.length !== 33) return false
  // rpIdHash(32) ‖ flags(1) ‖ signCount(4) ‖ extensions
  if (authenticatorData.length < 37 || authenticatorData.length > MAX_AUTHENTICATOR_DATA_BYTES) return false
  if (((authenticatorData[32] as number) & USER_PRESENT) === 0) return false
  if (clientDataJSON.length > MAX_CLIENT_DATA_BYTES || !isFor(clientDataJSON, challenge)) return false
  const signature = fromDer(sig)
  if (signature === undefined) return false
  return native.p256Verify(publicKey, concat(authenticatorData, native.sha256(clientDataJSON)), signature)
}

function isFor(clientDataJSON: Uint8Array, challenge: Uint8Array): boolean {
  let data: unknown
  try {
    data = JSON.parse(fromUtf8(clientDataJSON))
  } catch {
    return false
  }
  if (typeof data !== 'object' || data === null) return false
  const { type, challenge: given } = data as { type?: unknown; challenge?: unknown }
  return type === 'webauthn.get' && given === toBase64url(challenge)
}
