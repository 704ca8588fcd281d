/**
 * The primitives that differ between Node and the browser. Both implementations are synchronous
 * and one suite runs each against the other. Sizes are checked by the callers in this package.
 */
export interface Native {
  readonly name: 'node' | 'browser'
  sha256(bytes: Uint8Array): Uint8Array
  sha3x256(bytes: Uint8Array): Uint8Array
  shake256(bytes: Uint8Array, lengthBytes: number): Uint8Array
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array
  /** RFC 5869, both steps. */
  hkdfSha256(options: HkdfOptions): Uint8Array
  /** RFC 5869 §2.3, second step only; at most 8,160 bytes. */
  hkdfExpandSha256(prk: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array
  /** AES-128/192/256-GCM by key length; returns ciphertext ‖ tag(16). */
  gcmSeal(options: GcmOptions): Uint8Array
  /** `bytes` is ciphertext ‖ tag(16); undefined when the tag does not match. */
  gcmOpen(options: GcmOptions): Uint8Array | undefined
  ed25519Key(seed: Uint8Array): NativeSigner
  /** RFC 8032 §5.1.7 without the cofactor; points of small order are the caller's to refuse. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** ECDSA P-256 with SHA-256; `publicKey` compressed (33), `signature` r ‖ s (64). High s is accepted. */
  p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** RFC 7748. */
  x25519Key(secret: Uint8Array): X25519Key
  /** FIPS 203 from `d ‖ z` (64 bytes). */
  mlkem768Key(seed: Uint8Array): MlkemKey
  /**
   * FIPS 203 with the implementation's own operating-system randomness.
   * Undefined when the public key fails the modulus check (FIPS 203 §7.2).
   */
  mlkem768Encapsulate(publicKey: Uint8Array): Encapsulated | undefined
  /** The same from 32 bytes of given randomness `m`; slower, for what must be repeatable. */
  mlkem768EncapsulateFrom(publicKey: Uint8Array, m: Uint8Array): Encapsulated | undefined
}

export interface HkdfOptions {
  readonly ikm: Uint8Array
  readonly salt: Uint8Array
  readonly info: Uint8Array
  readonly lengthBytes: number
}

export interface GcmOptions {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly aad: Uint8Array
  readonly bytes: Uint8Array
}

export interface NativeSigner {
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Uint8Array
}

export interface X25519Key {
  readonly publicKey: Uint8Array
  /** The shared secret; undefined when it is all zero (RFC 9180 §7.1.4). */
  agree(publicKey: Uint8Array): Uint8Array | undefined
}

export interface MlkemKey {
  /** 1,184 bytes. */
  readonly publicKey: Uint8Array
  /** `ciphertext` of 1,088 bytes; a wrong one gives a pseudorandom secret, never an error. */
  decapsulate(ciphertext: Uint8Array): Uint8Array
}

export interface Encapsulated {
  /** 1,088 bytes. */
  readonly ciphertext: Uint8Array
  /** 32 bytes. */
  readonly sharedSecret: Uint8Array
}
