import { AppError, type CborValue, decode, encode } from '@salus/core'

/** What `GET /ledger/blocks?from=H` answers: blocks in order, each with the operator's leaf. */
export interface BlocksAnswer {
  /** The operator's head. */
  readonly head: number
  /** The block log's newest checkpoint, a signed note. */
  readonly checkpoint: string
  /** Its newest checkpoint that is sufficiently cosigned, with the cosignatures; undefined before the first. */
  readonly cosigned: string | undefined
  readonly blocks: readonly { readonly bytes: Uint8Array; readonly leaf: Uint8Array }[]
}

/** Largest answer; one block always fits. */
export const BLOCKS_MAX_BYTES = 8 << 20

/** DAG-CBOR `{v, head, checkpoint, cosigned, blocks: [[block, leaf], …]}`. */
export function encodeBlocksAnswer({ head, checkpoint, cosigned, blocks }: BlocksAnswer): Uint8Array {
  return encode({
    v: 1,
    head,
    checkpoint,
    cosigned: cosigned ?? null,
    blocks: blocks.map(({ bytes, leaf }) => [bytes, leaf]),
  })
}

/** @throws {AppError} BLOCKS_ANSWER */
export function decodeBlocksAnswer(bytes: Uint8Array): BlocksAnswer {
  let value: CborValue
  try {
    value = decode(bytes, { maxBytes: 2 * BLOCKS_MAX_BYTES, maxDepth: 4 })
  } catch (cause) {
    throw malformed('must be strict DAG-CBOR', cause)
  }
  const { v, head, checkpoint, cosigned, blocks } = (value ?? {}) as Record<string, CborValue>
  if (v !== 1) throw malformed('v: this version is not known')
  if (typeof head !== 'number' || head < 0) throw malformed('head: must be a height')
  if (typeof checkpoint !== 'string') throw malformed('checkpoint: must be a signed note')
  if (typeof cosigned !== 'string' && cosigned !== null)
    throw malformed('cosigned: must be a signed note or null')
  if (!Array.isArray(blocks)) throw malformed('blocks: must be a list')
  return { head, checkpoint, cosigned: cosigned ?? undefined, blocks: blocks.map(readPair) }
}

function readPair(value: CborValue): { bytes: Uint8Array; leaf: Uint8Array } {
  const [bytes, leaf, ...more] = Array.isArray(value) ? value : []
  if (!(bytes instanceof Uint8Array) || !(leaf instanceof Uint8Array) || more.length > 0)
    throw malformed('blocks[]: each must be the pair (block, leaf)')
  return { bytes, leaf }
}

function malformed(rule: string, cause?: unknown): AppError {
  return new AppError('BLOCKS_ANSWER', `blocks answer: ${rule}`, {}, { cause })
}
