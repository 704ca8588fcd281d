import { native } from '#native'
import { concat, utf8 } from './bytes.ts'
import { AppError, assert } from './errors.ts'

/** An AEAD as HPKE wants it. RFC 9180 §7.3. */
export interface HpkeAead {
  readonly id: number
  readonly keyBytes: number
  readonly nonceBytes: number
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** Undefined when it does not open. */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
}

/** What both sides hold after the key schedule. Seals or opens in order, never both. */
export interface HpkeContext {
  seal(aad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** Undefined when it does not open; the sequence then stays where it was. */
  open(aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
  /** RFC 9180 §5.3; `lengthBytes` at most 8,160. */
  exportSecret(context: Uint8Array, lengthBytes: number): Uint8Array
  /** For vectors. Secret. */
  readonly secrets: {
    readonly key: Uint8Array
    readonly baseNonce: Uint8Array
    readonly exporterSecret: Uint8Array
    readonly keyScheduleContext: Uint8Array
    readonly secret: Uint8Array
  }
}

/** HKDF-SHA256, RFC 9180 §7.2. The only KDF here. */
const KDF_ID = 1
const HPKE = utf8('HPKE')
const VERSION = utf8('HPKE-v1')
const EMPTY = new Uint8Array(0)

/** Base mode with HKDF-SHA256. RFC 9180 §5.1. */
export function keySchedule(options: {
  readonly kemId: number
  readonly aead: HpkeAead
  readonly sharedSecret: Uint8Array
  readonly info: Uint8Array
}): HpkeContext {
  const { kemId, aead, sharedSecret, info } = options
  const suiteId = concat(HPKE, u16(kemId), u16(KDF_ID), u16(aead.id))
  const pskIdHash = labeledExtract(suiteId, EMPTY, 'psk_id_hash', EMPTY)
  const infoHash = labeledExtract(suiteId, EMPTY, 'info_hash', info)
  const keyScheduleContext = concat(Uint8Array.of(0), pskIdHash, infoHash)
  const secret = labeledExtract(suiteId, sharedSecret, 'secret', EMPTY)
  const expand = (label: string, lengthBytes: number) =>
    labeledExpand(suiteId, secret, label, keyScheduleContext, lengthBytes)
  const key = expand('key', aead.keyBytes)
  const baseNonce = expand('base_nonce', aead.nonceBytes)
  const exporterSecret = expand('exp', 32)

  let sequence = 0
  const nonce = (): Uint8Array => {
    // RFC 9180 allows 2^96 messages; 2^32 keep the counter in one word and are more than any use here.
    if (sequence >= 0xffff_ffff) throw new AppError('TOO_LARGE', 'context: no more than 2^32 - 1 messages')
    const out = baseNonce.slice()
    const view = new DataView(out.buffer)
    view.setUint32(out.length - 4, view.getUint32(out.length - 4) ^ sequence)
    return out
  }
  return {
    seal(aad, plaintext) {
      const sealed = aead.seal(key, nonce(), aad, plaintext)
      sequence += 1
      return sealed
    },
    open(aad, sealed) {
      const opened = aead.open(key, nonce(), aad, sealed)
      if (opened !== undefined) sequence += 1
      return opened
    },
    exportSecret: (context, lengthBytes) =>
      labeledExpand(suiteId, exporterSecret, 'sec', context, lengthBytes),
    secrets: { key, baseNonce, exporterSecret, keyScheduleContext, secret },
  }
}

/** RFC 9180 §4; `suiteId` begins with "HPKE" or "KEM". */
export function labeledExtract(
  suiteId: Uint8Array,
  salt: Uint8Array,
  label: string,
  ikm: Uint8Array,
): Uint8Array {
  return native.hmacSha256(salt, concat(VERSION, suiteId, utf8(label), ikm))
}

/** RFC 9180 §4. */
export function labeledExpand(
  suiteId: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  lengthBytes: number,
): Uint8Array {
  assert(lengthBytes <= 255 * 32, 'labeledExpand: at most 8,160 bytes')
  return native.hkdfExpandSha256(
    prk,
    concat(u16(lengthBytes), VERSION, suiteId, utf8(label), info),
    lengthBytes,
  )
}

/** I2OSP(n, 2) */
export function u16(n: number): Uint8Array {
  return Uint8Array.of(n >> 8, n & 0xff)
}
