import { native } from '#native'
import { concat } from './bytes.ts'
import { AppError } from './errors.ts'
import type { Encapsulated } from './native/native.ts'
import type { Random } from './random.ts'

/** IANA HPKE KEM identifier of X-Wing. */
export const XWING_KEM_ID = 0x647a
export const XWING_PUBLIC_KEY_BYTES = 1216
export const XWING_ENC_BYTES = 1120

const MLKEM_PUBLIC_KEY_BYTES = 1184
const MLKEM_CIPHERTEXT_BYTES = 1088
/** `\.//^\` */
const LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c)

/** The private half of an X-Wing key, parsed once. */
export interface SealKeyPair {
  /** 1,216 bytes. */
  readonly publicKey: Uint8Array
  /** 32 bytes; secret. The X-Wing decapsulation key itself. */
  readonly seed: Uint8Array
  /** Shared secret (32 bytes) for an encapsulation of 1,120 bytes; undefined when it has no valid form. */
  decapsulate(enc: Uint8Array): Uint8Array | undefined
}

/** X-Wing key pair from its 32-byte seed (draft-connolly-cfrg-xwing-kem §5.2). Throws AppError `KEY`. */
export function sealKeyPair(seed: Uint8Array): SealKeyPair {
  if (seed.length !== 32) throw new AppError('KEY', 'seed: must be 32 bytes', { lengthBytes: seed.length })
  const expanded = native.shake256(seed, 96)
  const mlkem = native.mlkem768Key(expanded.subarray(0, 64))
  const x25519 = native.x25519Key(expanded.subarray(64))
  return {
    publicKey: concat(mlkem.publicKey, x25519.publicKey),
    seed: seed.slice(),
    decapsulate(enc) {
      if (enc.length !== XWING_ENC_BYTES) return undefined
      const x25519Enc = enc.subarray(MLKEM_CIPHERTEXT_BYTES)
      const x25519Shared = x25519.agree(x25519Enc)
      if (x25519Shared === undefined) return undefined
      const mlkemShared = mlkem.decapsulate(enc.subarray(0, MLKEM_CIPHERTEXT_BYTES))
      return combine(mlkemShared, x25519Shared, x25519Enc, x25519.publicKey)
    },
  }
}

/**
 * Encapsulates to a public key (1,216 bytes); the ciphertext has 1,120 bytes (draft §5.4). With a repeatable `random`
 * the 64 bytes drawn decide everything (draft §5.4.1 EncapsulateDerand).
 * Throws AppError `KEY` on a public key of the wrong length or content.
 */
export function encapsulate(to: Uint8Array, random: Random): Encapsulated {
  if (to.length !== XWING_PUBLIC_KEY_BYTES) {
    throw new AppError('KEY', 'to: must be an X-Wing public key of 1,216 bytes', { lengthBytes: to.length })
  }
  const mlkemPublic = to.subarray(0, MLKEM_PUBLIC_KEY_BYTES)
  const x25519Public = to.subarray(MLKEM_PUBLIC_KEY_BYTES)
  const mlkem =
    random.operatingSystem === true
      ? native.mlkem768Encapsulate(mlkemPublic)
      : native.mlkem768EncapsulateFrom(mlkemPublic, random(32))
  const ephemeral = native.x25519Key(random(32))
  const x25519Shared = ephemeral.agree(x25519Public)
  if (mlkem === undefined || x25519Shared === undefined) {
    throw new AppError('KEY', 'to: is not a valid X-Wing public key; ask its holder for the current one')
  }
  return {
    ciphertext: concat(mlkem.ciphertext, ephemeral.publicKey),
    sharedSecret: combine(mlkem.sharedSecret, x25519Shared, ephemeral.publicKey, x25519Public),
  }
}

/** draft §5.3 */
function combine(
  mlkemShared: Uint8Array,
  x25519Shared: Uint8Array,
  x25519Enc: Uint8Array,
  x25519Public: Uint8Array,
): Uint8Array {
  return native.sha3x256(concat(mlkemShared, x25519Shared, x25519Enc, x25519Public, LABEL))
}
