import { fromUtf8 } from './bytes.ts'
import { AppError } from './errors.ts'

/** @internal The error every CBOR check throws; says where, never what. */
export function malformed(rule: string, offset: number): AppError {
  return new AppError('CBOR', `cbor: ${rule} (byte ${offset})`, { offset })
}

/**
 * @internal Walks one item from `start` and returns the offset behind it, or throws AppError `CBOR` unless
 * the bytes are the one strict DAG-CBOR form of a value: shortest heads, definite lengths, map keys text,
 * ordered (shorter first, then by byte) and unique, well-formed UTF-8, no float, tag or undefined.
 * What passes is byte-identical when decoded and encoded again (property-tested), and its depth is bounded,
 * so the decoder behind it cannot be made to overflow its stack or to reserve memory for absent items.
 */
export function scanItem(bytes: Uint8Array, start: number, depthLeft: number): number {
  if (start >= bytes.length) throw malformed('ends inside a value', start)
  const head = bytes[start] as number
  const major = head >> 5
  if (major === 7) {
    if (head === 0xf4 || head === 0xf5 || head === 0xf6) return start + 1
    throw malformed('floats, undefined and simple values are not allowed', start)
  }
  if (major === 6) throw malformed('tags are not allowed', start)
  const minor = head & 31
  if (minor > 27) throw malformed('indefinite lengths are not allowed', start)
  const body = minor < 24 ? start + 1 : start + 1 + (1 << (minor - 24))
  if (body > bytes.length) throw malformed('ends inside a head', start)
  const argument = minor < 24 ? minor : longArgument(bytes, start, minor)
  if (major < 2) return body
  const left = bytes.length - body
  if (argument > left) throw malformed('length exceeds the input', start)
  if (major === 2) return body + argument
  if (major === 3) {
    checkText(bytes, body, body + argument, start)
    return body + argument
  }
  if (depthLeft <= 0) throw malformed('nested too deeply', start)
  return major === 4
    ? scanArray(bytes, body, argument, depthLeft - 1)
    : scanMap(bytes, body, argument, depthLeft - 1)
}

function longArgument(bytes: Uint8Array, start: number, minor: number): number {
  let argument = 0
  const sizeBytes = 1 << (minor - 24)
  for (let i = 1; i <= sizeBytes; i++) argument = argument * 256 + (bytes[start + i] as number)
  const shortest = minor === 24 ? 24 : minor === 25 ? 0x100 : minor === 26 ? 0x10000 : 0x100000000
  if (argument < shortest) throw malformed('integer or length is not in its shortest form', start)
  return argument
}

function checkText(bytes: Uint8Array, from: number, to: number, start: number): void {
  let at = from
  while (at < to && (bytes[at] as number) < 0x80) at++
  if (at === to) return
  // The decoder underneath would drop a leading byte order mark, so such a text would have two forms.
  if (bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf)
    throw malformed('text must not begin with U+FEFF', start)
  try {
    fromUtf8(bytes.subarray(from, to))
  } catch {
    throw malformed('text is not well-formed UTF-8', start)
  }
}

function scanArray(bytes: Uint8Array, body: number, count: number, depthLeft: number): number {
  let at = body
  for (let i = 0; i < count; i++) at = scanItem(bytes, at, depthLeft)
  return at
}

function scanMap(bytes: Uint8Array, body: number, count: number, depthLeft: number): number {
  let at = body
  let previousStart = -1
  let previousEnd = -1
  for (let i = 0; i < count; i++) {
    if (at < bytes.length && (bytes[at] as number) >> 5 !== 3) throw malformed('map keys must be text', at)
    const end = scanItem(bytes, at, depthLeft)
    // Heads are shortest, so comparing whole encoded keys bytewise is "shorter first, then by byte".
    if (previousStart >= 0 && !isBefore(bytes, previousStart, previousEnd, at, end))
      throw malformed('map keys must be unique and in order', at)
    previousStart = at
    previousEnd = end
    at = scanItem(bytes, end, depthLeft)
  }
  return at
}

function isBefore(bytes: Uint8Array, aFrom: number, aTo: number, bFrom: number, bTo: number): boolean {
  const shared = Math.min(aTo - aFrom, bTo - bFrom)
  for (let i = 0; i < shared; i++) {
    const a = bytes[aFrom + i] as number
    const b = bytes[bFrom + i] as number
    if (a !== b) return a < b
  }
  return aTo - aFrom < bTo - bFrom
}
