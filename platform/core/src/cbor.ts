import * as dagCbor from '@ipld/dag-cbor'
import { malformed, scanItem } from './cbor-scan.ts'
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
const UINT64_END = 1n << 64n

/**
 * The strict DAG-CBOR bytes of a value. Throws AppError `CBOR` for what has no such form: fractions, integers
 * outside ±2⁶⁴, `undefined`, lone surrogates, text that begins with U+FEFF, other classes, depth above 64.
 */
export function encode(value: CborValue): Uint8Array {
  checkValue(value, MAX_DEPTH)
  const bytes = dagCbor.encode(value)
  // On Node the library hands out a Buffer, often a slice of a shared pool: a small value would keep 64 KiB
  // alive, could not be transferred to a worker, and would slice without copying.
  return bytes.length < bytes.buffer.byteLength
    ? new Uint8Array(bytes)
    : new Uint8Array(bytes.buffer, 0, bytes.length)
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

function checkValue(value: unknown, depthLeft: number): void {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw unencodable('text with a lone surrogate')
      if (value.charCodeAt(0) === 0xfeff) throw unencodable('text that begins with U+FEFF')
      return
    case 'number':
      if (!Number.isSafeInteger(value)) throw unencodable('a number that is not a safe integer')
      return
    case 'bigint':
      if (value >= UINT64_END || value < -UINT64_END) throw unencodable('an integer beyond 64 bits')
      return
    case 'boolean':
      return
    case 'object':
      break
    case 'undefined':
    case 'function':
    case 'symbol':
      throw unencodable(`a value of type ${typeof value}`)
  }
  if (value === null || value instanceof Uint8Array) return
  if (depthLeft <= 0) throw unencodable('more than 64 nested lists and maps')
  if (Array.isArray(value)) {
    for (const item of value) checkValue(item, depthLeft - 1)
    return
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw unencodable('an object of a class')
  for (const key of Object.keys(value)) {
    checkValue(key, depthLeft)
    checkValue((value as Record<string, unknown>)[key], depthLeft - 1)
  }
}

function unencodable(what: string): AppError {
  return new AppError('CBOR', `cbor: ${what} cannot be encoded`)
}
