import { native } from '#native'
import { concat, utf8 } from './bytes.ts'
import { ed25519Verify } from './ed25519-rule.ts'
import { AppError } from './errors.ts'
import { type AssertionAuth, verifyAssertion } from './webauthn.ts'

export { checkSignatureAcceptance } from './acceptance.ts'
export { ed25519Verify } from './ed25519-rule.ts'
export type { AssertionAuth } from './webauthn.ts'

/** What a signature is for; part of the signed message, so none can stand in for another. */
export type SignatureType =
  | 'tx'
  | 'bundle'
  | 'terms-link'
  | 'accept'
  | 'request'
  | 'reply'
  | 'card'
  | 'receipt'
  | 'mandate'
  | 'keyring'
  | 'statement'

/** One entry of `auth` (protocol, Forms): 64 bytes Ed25519, or a WebAuthn assertion for an ES256 key. */
export type AuthItem = Uint8Array | AssertionAuth

/** An Ed25519 key that can sign. Holds the parsed key, so keep it rather than make it anew. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 32 bytes; secret. */
  readonly seed: Uint8Array
  /** RFC 8032 signature of the message as it is; 64 bytes. Prefer `signAs`. */
  sign(message: Uint8Array): Uint8Array
}

const prefixes = new Map<SignatureType, Uint8Array>()

/**
 * `"salus/<type>/v1\0" ‖ chainId ‖ H(bytes)`: what Ed25519 keys sign. Protocol, Forms.
 * @param chainId 32 bytes
 */
export function signedMessage(type: SignatureType, chainId: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (chainId.length !== 32) {
    throw new AppError('KEY', 'chainId: must be the 32 bytes of H(genesis)', { lengthBytes: chainId.length })
  }
  let prefix = prefixes.get(type)
  if (prefix === undefined) {
    prefix = utf8(`salus/${type}/v1\0`)
    prefixes.set(type, prefix)
  }
  return concat(prefix, chainId, native.sha256(bytes))
}

/** `H("salus/tx/v1\0" ‖ chainId ‖ H(body))`; 32 bytes. Keys sign the message, not this id. Protocol, Forms. */
export function txIdOf(chainId: Uint8Array, body: Uint8Array): Uint8Array {
  return native.sha256(signedMessage('tx', chainId, body))
}

/** Ed25519 key from its 32-byte seed (RFC 8032 §5.1.5). Throws AppError `KEY`. */
export function signingKey(seed: Uint8Array): SigningKey {
  if (seed.length !== 32) throw new AppError('KEY', 'seed: must be 32 bytes', { lengthBytes: seed.length })
  const { publicKey, sign } = native.ed25519Key(seed)
  return { publicKey, seed: seed.slice(), sign }
}

/** Signs `bytes` for one purpose on one chain; 64 bytes. */
export function signAs(
  key: SigningKey,
  type: SignatureType,
  chainId: Uint8Array,
  bytes: Uint8Array,
): Uint8Array {
  return key.sign(signedMessage(type, chainId, bytes))
}

/** Checks what `signAs` made. False on any malformed key or signature. */
export function verifyAs(
  publicKey: Uint8Array,
  type: SignatureType,
  chainId: Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  return ed25519Verify(publicKey, signedMessage(type, chainId, bytes), signature)
}

/**
 * Checks one `auth` entry: a 32-byte key is Ed25519 with a 64-byte signature, a 33-byte key is
 * compressed P-256 with a WebAuthn assertion whose challenge is SHA-256 of the signed message.
 * False on anything else.
 */
export function verifyAuth(
  publicKey: Uint8Array,
  type: SignatureType,
  chainId: Uint8Array,
  bytes: Uint8Array,
  auth: AuthItem,
): boolean {
  const message = signedMessage(type, chainId, bytes)
  if (auth instanceof Uint8Array) return ed25519Verify(publicKey, message, auth)
  return verifyAssertion(publicKey, native.sha256(message), auth)
}
