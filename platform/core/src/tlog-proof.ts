import { fromBase64, fromUtf8, toBase64 } from './bytes.ts'
import { type OpenedCheckpoint, openCheckpoint, parseCount } from './checkpoint.ts'
import { AppError } from './errors.ts'
import { verifyInclusion } from './merkle.ts'
import { parseNote, type VerifierKey } from './note.ts'

// C2SP tlog-proof: a checkpoint, an index and an inclusion proof in one text, verifiable offline.

export interface TlogProof {
  /** Opaque and not authenticated; at most 48 KiB. */
  readonly extra?: Uint8Array
  readonly index: number
  /** From the leaf's sibling up to the child of the root; at most 64. */
  readonly hashes: readonly Uint8Array[]
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string
}

const HEADER = 'c2sp.org/tlog-proof@v1'
const MAX_PROOF_BYTES = 512 * 1024
const MAX_EXTRA_BYTES = 48 * 1024
const MAX_HASHES = 64

/** The text of a proof (`.tlog-proof`). Throws AppError `TLOG_PROOF` or, for the checkpoint, `NOTE`. */
export function formatTlogProof({ extra, index, hashes, checkpoint }: TlogProof): string {
  if (
    !Number.isSafeInteger(index) ||
    index < 0 ||
    hashes.length > MAX_HASHES ||
    hashes.some((h) => h.length !== 32)
  )
    throw malformed(`index must be a whole number, hashes at most ${MAX_HASHES} of 32 bytes`)
  if (extra !== undefined && extra.length > MAX_EXTRA_BYTES) throw malformed('extra data is too long')
  parseNote(checkpoint)
  const lines = [
    HEADER,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...hashes.map(toBase64),
  ]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Reads a proof without verifying it; at most 512 KiB. Throws AppError `TLOG_PROOF` or `NOTE`. */
export function parseTlogProof(input: string | Uint8Array): TlogProof {
  if (input.length > MAX_PROOF_BYTES) throw malformed(`must be at most ${MAX_PROOF_BYTES} bytes`)
  const text = typeof input === 'string' ? input : readText(input)
  const blank = text.indexOf('\n\n')
  if (blank < 0) throw malformed('needs an empty line before the checkpoint')
  const lines = text.slice(0, blank).split('\n')
  if (lines[0] !== HEADER) throw malformed(`the first line must be ${HEADER}`)
  const extraLine = lines[1]?.startsWith('extra ') ? lines[1].slice(6) : undefined
  if (extraLine !== undefined && extraLine.length > (MAX_EXTRA_BYTES / 3) * 4)
    throw malformed('extra data is too long')
  const [indexLine, ...hashLines] = lines.slice(extraLine === undefined ? 1 : 2)
  const index = indexLine?.startsWith('index ') ? parseCount(indexLine.slice(6)) : undefined
  if (index === undefined) throw malformed('the index line must hold a decimal without leading zeros')
  if (hashLines.length > MAX_HASHES) throw malformed(`holds more than ${MAX_HASHES} hashes`)
  const hashes = hashLines.map((line) => decodedHash(line))
  const checkpoint = text.slice(blank + 2)
  parseNote(checkpoint)
  const proof = { index, hashes, checkpoint }
  return extraLine === undefined ? proof : { ...proof, extra: decoded(extraLine) }
}

/**
 * Verifies that a leaf is in the log: the log's own signature, the origin, and the inclusion under the checkpoint's
 * root. Returns the checkpoint and who of `cosigners` signed it; whether they suffice is for the caller to decide.
 * Throws AppError `TLOG_PROOF`, `NOTE_SIGNATURE`, `NOTE` or `CHECKPOINT`.
 */
export function verifyTlogProof(claim: {
  readonly proof: TlogProof
  readonly leafHash: Uint8Array
  readonly origin: string
  readonly log: VerifierKey
  readonly cosigners: readonly VerifierKey[]
}): OpenedCheckpoint {
  const opened = openCheckpoint(claim.proof.checkpoint, [claim.log, ...claim.cosigners])
  const { origin, size, root } = opened.checkpoint
  if (!opened.signedBy.some(({ key }) => key === claim.log))
    throw new AppError('NOTE_SIGNATURE', 'tlog-proof: the log itself has not signed the checkpoint')
  if (origin !== claim.origin) throw malformed('the checkpoint is of another log')
  const { index, hashes } = claim.proof
  if (!verifyInclusion({ leafHash: claim.leafHash, index, size, proof: hashes, root }))
    throw new AppError('TLOG_PROOF', 'tlog-proof: the leaf is not at this index under the checkpoint')
  return { ...opened, signedBy: opened.signedBy.filter(({ key }) => key !== claim.log) }
}

function readText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new AppError('TLOG_PROOF', 'tlog-proof: must be UTF-8', {}, { cause })
  }
}

function decodedHash(line: string): Uint8Array {
  // 44 characters hold 31 bytes too, so both lengths are checked.
  const hash = line.length === 44 ? decoded(line) : undefined
  if (hash?.length !== 32) throw malformed('each hash must be 32 bytes in base64')
  return hash
}

function decoded(text: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch (cause) {
    throw new AppError('TLOG_PROOF', 'tlog-proof: malformed base64', {}, { cause })
  }
}

function malformed(rule: string): AppError {
  return new AppError('TLOG_PROOF', `tlog-proof: ${rule}`)
}
