import { AppError, type CborValue, decode, encode, merkleRoot, sha256, tuple } from '@salus/core'
import { MAX_BLOCK_BUNDLES, MAX_BLOCK_BYTES, MAX_DEPTH } from './tx/limits.ts'
import { decodeFields, isBytes, isTime, must } from './tx/read.ts'

/** Bundles in the order the engine gave them. Genesis is height 0, the first block 1. */
export interface Block {
  readonly v: 1
  readonly height: number
  /** Greater than that of the block before. */
  readonly timeMs: number
  /** Wire forms; none in a heartbeat block. */
  readonly bundles: readonly Uint8Array[]
}

/** What the block log holds of a block (protocol, Forms). */
export interface BlockLeaf {
  readonly height: number
  readonly timeMs: number
  readonly stateRoot: Uint8Array
  readonly txRoot: Uint8Array
  readonly eventRoot: Uint8Array
}

const LEAF_TAG = 'salus/block/v1'
const LIMITS = { maxBytes: MAX_BLOCK_BYTES, maxDepth: MAX_DEPTH }

export function encodeBlock(block: Block): Uint8Array {
  const { v, height, timeMs, bundles } = block
  const bytes = encode({ v, height, timeMs, bundles })
  must(
    bytes.length <= MAX_BLOCK_BYTES,
    'BLOCK',
    `block: may have ${MAX_BLOCK_BYTES} bytes, has ${bytes.length}`,
  )
  return bytes
}

/** Throws AppError `BLOCK` naming the field. */
export function decodeBlock(bytes: Uint8Array): Block {
  const fields = decodeFields('block', 'BLOCK', bytes, ['v', 'height', 'timeMs', 'bundles'], LIMITS)
  must(fields.v === 1, 'BLOCK', 'block.v: this version is not known; use 1')
  must(isTime(fields.height) && fields.height >= 1, 'BLOCK', 'block.height: counts from 1')
  must(isTime(fields.timeMs), 'BLOCK', 'block.timeMs: must be milliseconds UTC')
  const bundles = fields.bundles
  must(Array.isArray(bundles), 'BLOCK', 'block.bundles: must be a list')
  must(bundles.length <= MAX_BLOCK_BUNDLES, 'BLOCK', `block.bundles: at most ${MAX_BLOCK_BUNDLES}`)
  must(
    bundles.every((bundle) => bundle instanceof Uint8Array),
    'BLOCK',
    'block.bundles: each must be bytes',
  )
  return fields as unknown as Block
}

/** `tuple("salus/block/v1", height, timeMs, stateRoot, txRoot, eventRoot)`. */
export function encodeBlockLeaf(leaf: BlockLeaf): Uint8Array {
  return tuple(LEAF_TAG, leaf.height, leaf.timeMs, leaf.stateRoot, leaf.txRoot, leaf.eventRoot)
}

/** Throws AppError `BLOCK_LEAF`. */
export function decodeBlockLeaf(bytes: Uint8Array): BlockLeaf {
  let parts: CborValue
  try {
    parts = decode(bytes, { maxBytes: 256, maxDepth: 2 })
  } catch (cause) {
    throw new AppError('BLOCK_LEAF', 'block leaf: must be strict DAG-CBOR', {}, { cause })
  }
  must(Array.isArray(parts) && parts.length === 6, 'BLOCK_LEAF', 'block leaf: must have six parts')
  const [tag, height, timeMs, stateRoot, txRoot, eventRoot] = parts as readonly CborValue[]
  must(tag === LEAF_TAG, 'BLOCK_LEAF', `block leaf: must begin with ${LEAF_TAG}`)
  must(isTime(height) && isTime(timeMs), 'BLOCK_LEAF', 'block leaf: height and time must be whole numbers')
  must(
    isBytes(stateRoot, 32) && isBytes(txRoot, 32) && isBytes(eventRoot, 32),
    'BLOCK_LEAF',
    'block leaf: roots have 32 bytes',
  )
  return { height, timeMs, stateRoot, txRoot, eventRoot }
}

/** `txId ‖ u16 code ‖ H(result)`, 66 B: one leaf of `txRoot`. */
export function txLeaf(id: Uint8Array, code: number, resultHash: Uint8Array): Uint8Array {
  const leaf = new Uint8Array(66)
  leaf.set(id)
  leaf[32] = code >> 8
  leaf[33] = code & 0xff
  leaf.set(resultHash, 34)
  return leaf
}

/** `H(result)`: SHA-256 of the result's DAG-CBOR; a call without output has the result null. */
export function resultHashOf(result: CborValue): Uint8Array {
  return result === null ? NULL_RESULT_HASH : sha256(encode(result))
}

const NULL_RESULT_HASH = sha256(encode(null))

/** One thing a contract said while a body ran. */
export interface LedgerEvent {
  readonly txId: Uint8Array
  /** Position of the body among the block's results. */
  readonly index: number
  readonly contract: string
  readonly event: string
  readonly data: CborValue
}

/** `tuple(txId, index, contract, event, data)`: one leaf of `eventRoot`. */
export function eventLeaf(event: LedgerEvent): Uint8Array {
  return tuple(event.txId, event.index, event.contract, event.event, event.data)
}

export function eventRootOf(events: readonly LedgerEvent[]): Uint8Array {
  return merkleRoot(events.map(eventLeaf))
}
