import { AppError, fromBase64, fromUtf8, toBase64 } from '@salus/core'

/** The body of C2SP tlog-witness `add-checkpoint`. */
export interface AddCheckpoint {
  readonly oldSize: number
  /** RFC 6962 consistency proof from the old size; at most 63 hashes. */
  readonly proof: readonly Uint8Array[]
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string
}

const HASHES_MAX = 63
const REQUEST_MAX_BYTES = 256 * 1024

export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  return [`old ${oldSize}`, ...proof.map(toBase64), '', checkpoint].join('\n')
}

/** Reads a request of at most 256 KiB. Throws AppError `WITNESS_REQUEST`. */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint {
  const text = body.length > REQUEST_MAX_BYTES ? undefined : attempt(() => fromUtf8(body))
  const blank = text?.indexOf('\n\n') ?? -1
  if (text === undefined || blank < 0)
    throw malformed('needs an old size, proof lines, an empty line and a checkpoint')
  const [old = '', ...lines] = text.slice(0, blank).split('\n')
  const oldSize = readSize(old.startsWith('old ') ? old.slice(4) : '')
  if (oldSize === undefined) throw malformed('the first line must be "old" and a decimal size')
  const proof = lines.map((line) => attempt(() => fromBase64(line)))
  if (proof.length > HASHES_MAX || proof.some((hash) => hash?.length !== 32))
    throw malformed(`proof lines must be at most ${HASHES_MAX} hashes of 32 bytes in base64`)
  return { oldSize, proof: proof as Uint8Array[], checkpoint: text.slice(blank + 2) }
}

/** ASCII decimal without leading zeros. */
export function readSize(text: string): number | undefined {
  const size = /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined
  return size !== undefined && Number.isSafeInteger(size) ? size : undefined
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function malformed(rule: string): AppError {
  return new AppError('WITNESS_REQUEST', `add-checkpoint: ${rule}`)
}
