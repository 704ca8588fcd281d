import { concat, utf8 } from '../src/bytes.ts'
import { labeledExpand, labeledExtract, u16 } from '../src/hpke-schedule.ts'
import type { Native } from '../src/native/native.ts'

/** DHKEM(X25519, HKDF-SHA256), RFC 9180 §4.1: only to run that RFC's vectors through our key schedule. */
export const DHKEM_X25519_ID = 0x20
const SUITE_ID = concat(utf8('KEM'), u16(DHKEM_X25519_ID))
const EMPTY = new Uint8Array(0)

export function deriveSecret(ikm: Uint8Array): Uint8Array {
  return labeledExpand(SUITE_ID, labeledExtract(SUITE_ID, EMPTY, 'dkp_prk', ikm), 'sk', EMPTY, 32)
}

export function encapsulate(native: Native, to: Uint8Array, ephemeral: Uint8Array) {
  const key = native.x25519Key(ephemeral)
  return { enc: key.publicKey, sharedSecret: shared(key.agree(to), key.publicKey, to) }
}

export function decapsulate(native: Native, secret: Uint8Array, enc: Uint8Array): Uint8Array {
  const key = native.x25519Key(secret)
  return shared(key.agree(enc), enc, key.publicKey)
}

function shared(dh: Uint8Array | undefined, enc: Uint8Array, publicKey: Uint8Array): Uint8Array {
  if (dh === undefined) throw new Error('X25519 gave zero')
  const prk = labeledExtract(SUITE_ID, EMPTY, 'eae_prk', dh)
  return labeledExpand(SUITE_ID, prk, 'shared_secret', concat(enc, publicKey), 32)
}
