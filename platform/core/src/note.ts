import { concat, fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from './bytes.ts'
import { AppError } from './errors.ts'
import { sha256 } from './hash.ts'
import { ed25519Verify, type SigningKey } from './sign.ts'

// C2SP signed-note (c2sp.org/signed-note@v1).

/** Signature type byte of a plain Ed25519 note signature. */
export const NOTE_ED25519 = 0x01
/** Signature type byte of a timestamped cosignature (c2sp.org/tlog-cosignature). */
export const NOTE_COSIGNATURE = 0x04

export type NoteKeyType = typeof NOTE_ED25519 | typeof NOTE_COSIGNATURE

/** Who may have signed a note, and how. */
export interface VerifierKey {
  /** Non-empty, without spaces and without `+`; by custom a URL without its scheme. */
  readonly name: string
  /** Unsigned 32 bits; finds the key, proves nothing. */
  readonly keyId: number
  readonly type: NoteKeyType
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

export interface NoteSigner {
  readonly name: string
  readonly key: SigningKey
}

export interface NoteSignature {
  readonly name: string
  readonly keyId: number
  /** What the key made; the key id in front of it on the line is not part of it. */
  readonly bytes: Uint8Array
}

export interface Note {
  /** Ends with a newline. Not to be believed before a signature is verified. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

const MAX_NOTE_BYTES = 256 * 1024
const MAX_SIGNATURES = 1000
const MAX_NAME_CHARS = 255
const DASH = '\u2014 '

/** First 4 bytes of `H(name ‖ 0x0A ‖ type ‖ publicKey)`, big-endian. */
export function noteKeyId(name: string, type: NoteKeyType, publicKey: Uint8Array): number {
  return readKeyId(sha256(concat(utf8(name), new Uint8Array([0x0a, type]), publicKey)))
}

/** A verifier key from its parts. Throws AppError `NOTE` for a name or key that notes cannot carry. */
export function verifierKey(
  name: string,
  publicKey: Uint8Array,
  type: NoteKeyType = NOTE_ED25519,
): VerifierKey {
  checkName(name)
  if (publicKey.length !== 32) throw new AppError('NOTE', 'note key: an Ed25519 public key has 32 bytes')
  return { name, keyId: noteKeyId(name, type, publicKey), type, publicKey }
}

/** The text form `name+keyId+base64(type ‖ publicKey)`, called vkey. */
export function formatVerifierKey(key: VerifierKey): string {
  return `${key.name}+${toHex(writeKeyId(key.keyId))}+${toBase64(concat(new Uint8Array([key.type]), key.publicKey))}`
}

/** Reads a vkey; the key id must match. Throws AppError `NOTE`. */
export function parseVerifierKey(text: string): VerifierKey {
  const nameEnd = text.indexOf('+')
  const idEnd = text.indexOf('+', nameEnd + 1)
  if (text.length > MAX_NAME_CHARS + 64 || nameEnd < 1 || idEnd !== nameEnd + 9)
    throw new AppError('NOTE', 'vkey: must be name+8 hex digits+base64')
  const name = text.slice(0, nameEnd)
  const idText = text.slice(nameEnd + 1, idEnd)
  if (idText !== idText.toLowerCase()) throw new AppError('NOTE', 'vkey: the key id must be lower-case hex')
  const id = readKeyId(decoded('vkey', () => fromHex(idText)))
  const material = decoded('vkey', () => fromBase64(text.slice(idEnd + 1)))
  const type = material[0]
  if (type !== NOTE_ED25519 && type !== NOTE_COSIGNATURE)
    throw new AppError('NOTE', 'vkey: only Ed25519 (type 1) and cosignature (type 4) keys are known')
  const key = verifierKey(name, material.slice(1), type)
  if (key.keyId !== id) throw new AppError('NOTE', 'vkey: the key id does not match name and key')
  return key
}

/** The signed note: the text, an empty line, one line per signer. Throws AppError `NOTE` if it cannot be a note. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  return formatNote({ text, signatures: signers.map((signer) => noteSignature(text, signer)) })
}

/** A plain Ed25519 signature over the note text. */
export function noteSignature(text: string, { name, key }: NoteSigner): NoteSignature {
  return { name, keyId: noteKeyId(name, NOTE_ED25519, key.publicKey), bytes: key.sign(utf8(text)) }
}

/** Whether a plain Ed25519 signature is this key's and holds for the text. */
export function verifyNoteSignature(text: string, signature: NoteSignature, key: VerifierKey): boolean {
  return (
    key.type === NOTE_ED25519 &&
    signature.name === key.name &&
    signature.keyId === key.keyId &&
    ed25519Verify(key.publicKey, utf8(text), signature.bytes)
  )
}

/** Writes a note. At least one signature. Throws AppError `NOTE`. */
export function formatNote({ text, signatures }: Note): string {
  checkText(text)
  if (signatures.length === 0) throw new AppError('NOTE', 'note: at least one signature is needed')
  const out = `${text}\n${signatures.map(formatNoteSignature).join('')}`
  checkSize(out.length, signatures.length)
  return out
}

/** One signature line, with its newline. */
export function formatNoteSignature({ name, keyId, bytes }: NoteSignature): string {
  checkName(name)
  if (bytes.length === 0) throw new AppError('NOTE', 'note: a signature must not be empty')
  return `${DASH}${name} ${toBase64(concat(writeKeyId(keyId), bytes))}\n`
}

/** Reads one signature line, with its newline. Throws AppError `NOTE`. */
export function parseNoteSignature(line: string): NoteSignature {
  const space = line.indexOf(' ', DASH.length)
  if (!line.startsWith(DASH) || !line.endsWith('\n') || space < 0)
    throw new AppError('NOTE', 'note: a signature line is an em dash, a name, base64 and a newline')
  const name = line.slice(DASH.length, space)
  checkName(name)
  const bytes = decoded('note', () => fromBase64(line.slice(space + 1, -1)))
  if (bytes.length < 5)
    throw new AppError('NOTE', 'note: a signature has a key id and at least one more byte')
  return { name, keyId: readKeyId(bytes), bytes: bytes.slice(4) }
}

/**
 * Reads a signed note without verifying it. At most 256 KiB and 1,000 signatures (Go's reference stops at 100).
 * Throws AppError `NOTE`.
 */
export function parseNote(input: string | Uint8Array): Note {
  checkSize(input.length, 0)
  const whole = typeof input === 'string' ? input : decoded('note', () => fromUtf8(input))
  checkCharacters(whole)
  const blank = whole.lastIndexOf('\n\n')
  if (blank < 0 || !whole.endsWith('\n'))
    throw new AppError('NOTE', 'note: needs text, an empty line and signatures')
  const lines = whole.slice(blank + 2).split('\n')
  lines.pop()
  if (lines.length === 0) throw new AppError('NOTE', 'note: at least one signature is needed')
  checkSize(whole.length, lines.length)
  return { text: whole.slice(0, blank + 1), signatures: lines.map((line) => parseNoteSignature(`${line}\n`)) }
}

function checkText(text: string): void {
  if (!text.endsWith('\n')) throw new AppError('NOTE', 'note: the text must end with a newline')
  checkCharacters(text)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that notes forbid
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/

function checkCharacters(text: string): void {
  if (CONTROL.test(text) || !text.isWellFormed())
    throw new AppError('NOTE', 'note: must be well-formed text without control characters other than newline')
}

function checkName(name: string): void {
  if (name === '' || name.length > MAX_NAME_CHARS || /[\p{White_Space}+]/u.test(name))
    throw new AppError('NOTE', `note: a key name has 1 to ${MAX_NAME_CHARS} characters, no space and no +`)
  checkCharacters(name)
}

function checkSize(sizeChars: number, signatures: number): void {
  if (sizeChars > MAX_NOTE_BYTES || signatures > MAX_SIGNATURES)
    throw new AppError('NOTE', `note: more than ${MAX_NOTE_BYTES} bytes or ${MAX_SIGNATURES} signatures`)
}

function decoded<T>(what: string, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    throw new AppError('NOTE', `${what}: malformed hex, base64 or UTF-8`, {}, { cause })
  }
}

function readKeyId(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
}

function writeKeyId(keyId: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, keyId)
  return out
}
