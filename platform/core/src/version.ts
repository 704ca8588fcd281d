import { type CborValue, decodeFirst, encode } from './cbor.ts'
import { AppError } from './errors.ts'
import { MAX_PLAINTEXT_BYTES } from './object-content.ts'

/** One version of a record as it is sealed. Protocol §3 step 1. */
export interface RecordVersion {
  /** At most 256 UTF-16 units. */
  readonly recordId: string
  /** 1 for the first. */
  readonly version: number
  /** Digest of the version before (32 bytes), null for the first. */
  readonly prev: Uint8Array | null
  /** UTF-8 text made once at write and never serialised again; `digest = H(json)`. */
  readonly json: Uint8Array
}

/**
 * The Padmé length for `lengthBytes`: at most 12 % longer, and lengths of a size class look alike.
 * @see Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, §4
 */
export function padmeLength(lengthBytes: number): number {
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || lengthBytes >= 2 ** 31) {
    throw new AppError('TOO_LARGE', 'lengthBytes: must be an integer from 0 to 2^31 - 1', { lengthBytes })
  }
  if (lengthBytes < 2) return lengthBytes
  const exponent = 31 - Math.clz32(lengthBytes)
  const mantissaBits = 32 - Math.clz32(exponent)
  const step = 2 ** (exponent - mantissaBits)
  return Math.ceil(lengthBytes / step) * step
}

/** DAG-CBOR of the version, then zeros up to the Padmé length. Throws AppError `VERSION`. */
export function encodeVersion(version: RecordVersion): Uint8Array {
  const { recordId, version: number, prev, json } = checkVersion({ ...version })
  const bytes = encode({ recordId, version: number, prev, json })
  const padded = new Uint8Array(padmeLength(bytes.length))
  padded.set(bytes)
  return padded
}

/** Reads what `encodeVersion` made, padding included. Throws AppError `VERSION`, `CBOR` on anything else. */
export function decodeVersion(bytes: Uint8Array): RecordVersion {
  const [value, padding] = decodeFirst(bytes, { maxBytes: MAX_PLAINTEXT_BYTES })
  if (bytes.length !== padmeLength(bytes.length - padding.length) || padding.some((byte) => byte !== 0)) {
    throw malformed('must be followed by zeros up to its Padmé length')
  }
  return checkVersion(value)
}

function checkVersion(value: CborValue): RecordVersion {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value)) {
    throw malformed('must be a map')
  }
  const { recordId, version, prev, json } = value as Record<string, CborValue>
  if (Object.keys(value).length !== 4) throw malformed('must have exactly recordId, version, prev and json')
  if (typeof recordId !== 'string' || recordId.length < 1 || recordId.length > 256) {
    throw malformed('recordId: must be text of 1 to 256 characters')
  }
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) {
    throw malformed('version: must be a safe integer of at least 1')
  }
  if (prev !== null && !(prev instanceof Uint8Array && prev.length === 32)) {
    throw malformed('prev: must be a digest of 32 bytes, or null')
  }
  if (!(json instanceof Uint8Array)) throw malformed('json: must be bytes')
  return { recordId, version, prev, json }
}

function malformed(rule: string): AppError {
  return new AppError('VERSION', `version: ${rule}`)
}
