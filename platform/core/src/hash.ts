import { native } from '#native'
import { type CborValue, tuple } from './cbor.ts'
import { AppError } from './errors.ts'
import type { HkdfOptions } from './native/native.ts'

/** SHA-256 of the bytes as they are; 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return native.sha256(bytes)
}

/**
 * `H(a, b, …)`: SHA-256 over the DAG-CBOR tuple of the parts; 32 bytes. Protocol, Forms.
 * `H(x)` of one byte string is over its bytes as they are: that is `sha256`.
 */
export function hash(...parts: CborValue[]): Uint8Array {
  return native.sha256(tuple(...parts))
}

/** `HMAC(k, (a, b, …))`: HMAC-SHA-256 over the DAG-CBOR tuple of the parts; 32 bytes. Protocol, Forms. */
export function hmac(key: Uint8Array, ...parts: CborValue[]): Uint8Array {
  return native.hmacSha256(key, tuple(...parts))
}

/** HMAC-SHA-256 over the bytes as they are; 32 bytes. RFC 2104. */
export function hmacBytes(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return native.hmacSha256(key, bytes)
}

/** HKDF-SHA-256, extract then expand. RFC 5869. Throws AppError `TOO_LARGE` above 8,160 bytes. */
export function hkdf(options: HkdfOptions): Uint8Array {
  const { lengthBytes } = options
  if (!(lengthBytes > 0 && lengthBytes <= 8160)) {
    throw new AppError('TOO_LARGE', 'lengthBytes: must be from 1 to 8,160', { lengthBytes })
  }
  return native.hkdfSha256(options)
}
