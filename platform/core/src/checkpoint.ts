import { fromBase64, toBase64 } from './bytes.ts'
import { verifyCosignature } from './cosignature.ts'
import { AppError } from './errors.ts'
import {
  NOTE_ED25519,
  type Note,
  type NoteSigner,
  parseNote,
  signNote,
  type VerifierKey,
  verifyNoteSignature,
} from './note.ts'

// C2SP tlog-checkpoint: the note text that names a log, its size and its root.

export interface Checkpoint {
  /** The log's unique name, one line. */
  readonly origin: string
  readonly size: number
  /** RFC 6962 root, 32 bytes. */
  readonly root: Uint8Array
  /** Further lines, opaque. This project writes none. */
  readonly extensions?: readonly string[]
}

const MAX_LINES = 64

/** The note text of a checkpoint. Throws AppError `CHECKPOINT`. */
export function formatCheckpoint({ origin, size, root, extensions = [] }: Checkpoint): string {
  if (!Number.isSafeInteger(size) || size < 0 || root.length !== 32)
    throw new AppError('CHECKPOINT', 'checkpoint: size must be a whole number and root 32 bytes')
  const lines = [origin, String(size), toBase64(root), ...extensions]
  if (lines.some((line) => line === '' || line.includes('\n')))
    throw new AppError('CHECKPOINT', 'checkpoint: origin and extensions must be single non-empty lines')
  return `${lines.join('\n')}\n`
}

/** Reads a note text as a checkpoint. Throws AppError `CHECKPOINT`. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n')
  const last = lines.pop()
  if (last !== '' || lines.length < 3 || lines.length > MAX_LINES || lines.some((line) => line === ''))
    throw new AppError(
      'CHECKPOINT',
      `checkpoint: needs 3 to ${MAX_LINES} non-empty lines, each with a newline`,
    )
  const [origin, sizeText, rootText, ...extensions] = lines as [string, string, string, ...string[]]
  const size = parseCount(sizeText)
  if (size === undefined)
    throw new AppError('CHECKPOINT', 'checkpoint: size must be decimal without leading zeros')
  const root = rootText.length === 44 ? readRoot(rootText) : undefined
  if (root?.length !== 32) throw new AppError('CHECKPOINT', 'checkpoint: root must be 32 bytes in base64')
  return extensions.length === 0 ? { origin, size, root } : { origin, size, root, extensions }
}

/** The checkpoint as a signed note. By custom the log's signer bears the origin as its name. */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers)
}

export interface VerifiedSignature {
  readonly key: VerifierKey
  /** For a cosignature: when, in seconds since 1970. */
  readonly timeSeconds?: number
}

export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint
  readonly note: Note
  /** One entry per given key that signed. */
  readonly signedBy: readonly VerifiedSignature[]
}

/**
 * Which of these keys signed the note. Lines of unknown keys are ignored; a line with a given key's name and id that
 * does not verify is AppError `NOTE_SIGNATURE`, as signed-note demands. A key that signed twice counts once.
 */
export function verifiedSignatures(note: Note, keys: readonly VerifierKey[]): VerifiedSignature[] {
  const verified: VerifiedSignature[] = []
  for (const key of keys) {
    const signature = note.signatures.find(({ name, keyId }) => name === key.name && keyId === key.keyId)
    if (signature === undefined) continue
    if (key.type === NOTE_ED25519) {
      if (!verifyNoteSignature(note.text, signature, key)) throw wrongSignature(key)
      verified.push({ key })
    } else {
      const timeSeconds = verifyCosignature(note.text, signature, key)
      if (timeSeconds === undefined) throw wrongSignature(key)
      verified.push({ key, timeSeconds })
    }
  }
  return verified
}

/**
 * Parses a signed checkpoint and verifies the signatures of these keys; none is an error (`NOTE_SIGNATURE`). Whether
 * those that signed suffice (the log itself, a quorum, a witness) is for the caller to decide.
 */
export function openCheckpoint(signed: string | Uint8Array, keys: readonly VerifierKey[]): OpenedCheckpoint {
  const note = parseNote(signed)
  const signedBy = verifiedSignatures(note, keys)
  if (signedBy.length === 0)
    throw new AppError('NOTE_SIGNATURE', 'note: none of the known keys has signed it')
  return { checkpoint: parseCheckpoint(note.text), note, signedBy }
}

/** @internal ASCII decimal without leading zeros, up to 2⁵³ − 1. */
export function parseCount(text: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

function readRoot(text: string): Uint8Array | undefined {
  try {
    return fromBase64(text)
  } catch {
    return undefined
  }
}

function wrongSignature(key: VerifierKey): AppError {
  return new AppError('NOTE_SIGNATURE', 'note: the signature of a known key does not verify', {
    name: key.name,
  })
}
