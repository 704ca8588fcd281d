import { AppError } from './errors.ts'

/** Joins byte strings into one fresh array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let sizeBytes = 0
  for (const part of parts) sizeBytes += part.length
  const out = new Uint8Array(sizeBytes)
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

/** Equality whose time depends on the length alone, so it is safe for secrets. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}

/** Lexicographic order of bytes; a prefix comes before what it begins. Not constant-time. */
export function compareBytes(a: Uint8Array, b: Uint8Array): -1 | 0 | 1 {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const left = a[i] as number
    const right = b[i] as number
    if (left !== right) return left < right ? -1 : 1
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

/** Reads lower- or upper-case hexadecimal. Throws AppError `ENCODING`. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new AppError('ENCODING', 'hex: needs an even number of digits')
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) {
    const high = hexDigit(text.charCodeAt(2 * i))
    const low = hexDigit(text.charCodeAt(2 * i + 1))
    if (high < 0 || low < 0)
      throw new AppError('ENCODING', 'hex: only 0-9 and a-f are allowed', { at: 2 * i })
    out[i] = (high << 4) | low
  }
  return out
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const FROM_BASE64 = digitValues(BASE64)
const FROM_BASE64URL = digitValues(BASE64URL)

function digitValues(alphabet: string): Int8Array {
  const values = new Int8Array(128).fill(-1)
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i
  return values
}

function toSextets(bytes: Uint8Array, alphabet: string): string {
  let text = ''
  let i = 0
  for (; i + 2 < bytes.length; i += 3) {
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number)
    text +=
      (alphabet[group >> 18] as string) +
      alphabet[(group >> 12) & 63] +
      alphabet[(group >> 6) & 63] +
      alphabet[group & 63]
  }
  if (i + 1 === bytes.length) {
    const last = bytes[i] as number
    text += (alphabet[last >> 2] as string) + alphabet[(last & 3) << 4]
  } else if (i + 2 === bytes.length) {
    const last = ((bytes[i] as number) << 8) | (bytes[i + 1] as number)
    text += (alphabet[last >> 10] as string) + alphabet[(last >> 4) & 63] + alphabet[(last & 15) << 2]
  }
  return text
}

/** `sizeChars` digits of `text`, no padding among them; spare bits of the last digit must be zero. */
function fromSextets(text: string, sizeChars: number, values: Int8Array, name: string): Uint8Array {
  if (sizeChars % 4 === 1) throw new AppError('ENCODING', `${name}: wrong length`)
  const out = new Uint8Array(Math.floor((sizeChars * 3) / 4))
  let held = 0
  let heldBits = 0
  let offset = 0
  for (let i = 0; i < sizeChars; i++) {
    const code = text.charCodeAt(i)
    const value = code < 128 ? (values[code] as number) : -1
    if (value < 0) throw new AppError('ENCODING', `${name}: character outside the alphabet`, { at: i })
    held = ((held << 6) | value) & 0xffff
    heldBits += 6
    if (heldBits >= 8) {
      heldBits -= 8
      out[offset++] = (held >> heldBits) & 0xff
    }
  }
  if ((held & ((1 << heldBits) - 1)) !== 0) throw new AppError('ENCODING', `${name}: spare bits must be zero`)
  return out
}

/** RFC 4648 §5 without padding. */
export function toBase64url(bytes: Uint8Array): string {
  return toSextets(bytes, BASE64URL)
}

/** Strict RFC 4648 §5 without padding: one text per value. Throws AppError `ENCODING`. */
export function fromBase64url(text: string): Uint8Array {
  return fromSextets(text, text.length, FROM_BASE64URL, 'base64url')
}

/** RFC 4648 §4 with padding. */
export function toBase64(bytes: Uint8Array): string {
  const text = toSextets(bytes, BASE64)
  return text.length % 4 === 0 ? text : text + '='.repeat(4 - (text.length % 4))
}

/** Strict RFC 4648 §4 with padding: one text per value. Throws AppError `ENCODING`. */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw new AppError('ENCODING', 'base64: length must be a multiple of 4')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return fromSextets(text, text.length - padding, FROM_BASE64, 'base64')
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 of a text. A lone surrogate has no UTF-8 form: AppError `ENCODING`. */
export function utf8(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new AppError('ENCODING', 'utf8: text holds a lone surrogate')
  return encoder.encode(text)
}

/** Reads UTF-8, keeping a leading U+FEFF. Malformed bytes: AppError `ENCODING`. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new AppError('ENCODING', 'utf8: malformed bytes', {}, { cause })
  }
}
