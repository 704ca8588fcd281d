import * as dagCbor from '@ipld/dag-cbor'
import { malformed, scanItem } from './cbor-scan.ts'
import { writeCbor } from './cbor-write.ts'
import { AppError } from './errors.ts'

/** A value with exactly one strict DAG-CBOR form. Integers: −2⁶⁴ … 2⁶⁴−1, bigint beyond the safe range. */
export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue }

/** `maxBytes`: input size, 16 MiB unless told. `maxDepth`: nested lists and maps, 64 unless told. */
export interface DecodeLimits {
  readonly maxBytes?: number
  readonly maxDepth?: number
}

const MAX_BYTES = 16 * 1024 * 1024
const MAX_DEPTH = 64

/**
 * The strict DAG-CBOR bytes of a value. Throws AppError `CBOR` for what has no such form: fractions, integers
 * outside ±2⁶⁴, `undefined`, lone surrogates, text that begins with U+FEFF, other classes, depth above 64.
 */
export function encode(value: CborValue): Uint8Array {
  return writeCbor(value, MAX_DEPTH)
}

/** Decodes one value that fills `bytes`. Throws AppError `CBOR` unless encoding it again gives the same bytes. */
export function decode(bytes: Uint8Array, limits: DecodeLimits = {}): CborValue {
  checkSize(bytes, limits)
  const end = scanItem(bytes, 0, limits.maxDepth ?? MAX_DEPTH)
  if (end !== bytes.length) throw malformed('bytes follow the value', end)
  return dagCbor.decode(bytes)
}

/** Decodes the value at the front of `bytes`; the rest is a view, not a copy. Limits and errors as `decode`. */
export function decodeFirst(
  bytes: Uint8Array,
  limits: DecodeLimits = {},
): [value: CborValue, rest: Uint8Array] {
  checkSize(bytes, limits)
  const end = scanItem(bytes, 0, limits.maxDepth ?? MAX_DEPTH)
  return [dagCbor.decode(bytes.subarray(0, end)), bytes.subarray(end)]
}

/** `tuple(a, b, …)` of the protocol: the encoded list of its parts. */
export function tuple(...parts: readonly CborValue[]): Uint8Array {
  return encode(parts)
}

function checkSize(bytes: Uint8Array, limits: DecodeLimits): void {
  const maxBytes = limits.maxBytes ?? MAX_BYTES
  if (bytes.length > maxBytes)
    throw new AppError('CBOR', `cbor: input is larger than ${maxBytes} bytes`, { sizeBytes: bytes.length })
}
