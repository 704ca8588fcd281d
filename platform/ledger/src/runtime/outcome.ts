import { type CborValue, decode, encode, inclusionProof, leafHash } from '@salus/core'
import { type BlockLeaf, decodeBlockLeaf, type LedgerEvent, txLeaf } from '../block.ts'

/** What became of one body. */
export interface ItemResult {
  /** The body's txId if it is recorded (`untilMs` is there), otherwise `H(item)`: what `txRoot` holds. */
  readonly txId: Uint8Array
  /** tx/codes.ts below 100; from 100 the rejections of the call's contract. */
  readonly code: number
  /** Output of the call, data of the rejection, or null. */
  readonly result: CborValue
  readonly resultHash: Uint8Array
  /** Position of its bundle in the block. */
  readonly bundle: number
  /** Position of the body in its bundle. */
  readonly item: number
  /** The body's `until`, if it is recorded. */
  readonly untilMs?: number
}

/** What became of one bundle. */
export interface BundleResult {
  /** `H(bundle)`; of an undecodable one `H` of its wire form. */
  readonly bundleId: Uint8Array
  /** OK if the envelope ran: then every item has a result. */
  readonly code: number
  readonly untilMs?: number
}

/** What a block did, in order. Genesis, height 0, has neither bundles nor results. */
export interface BlockOutcome {
  readonly leaf: BlockLeaf
  /** The leaf as the block log holds it. */
  readonly leafBytes: Uint8Array
  readonly bundles: readonly BundleResult[]
  readonly results: readonly ItemResult[]
  readonly events: readonly LedgerEvent[]
}

/** Where a result stands in its block's `txRoot`. */
export interface ResultProof {
  readonly index: number
  readonly size: number
  readonly path: readonly Uint8Array[]
}

/** The inclusion proof of the result at `index` under `leaf.txRoot`. */
export function proveResult(outcome: BlockOutcome, index: number): ResultProof {
  const hashes = outcome.results.map(({ txId, code, resultHash }) => leafHash(txLeaf(txId, code, resultHash)))
  return { index, size: hashes.length, path: inclusionProof(hashes, index) }
}

/** The form in which a store keeps an outcome, for receipts and for the replay set. */
export function encodeOutcome({ leafBytes, bundles, results, events }: BlockOutcome): Uint8Array {
  return encode({
    leaf: leafBytes,
    bundles: bundles.map(({ bundleId, code, untilMs = null }) => [bundleId, code, untilMs]),
    results: results.map(({ txId, code, result, resultHash, bundle, item, untilMs = null }) => {
      return [txId, code, result, resultHash, bundle, item, untilMs]
    }),
    events: events.map(({ txId, index, contract, event, data }) => [txId, index, contract, event, data]),
  })
}

type StoredResult = readonly [Uint8Array, number, CborValue, Uint8Array, number, number, number | null]

/** Reads what `encodeOutcome` wrote. Throws AppError `CBOR` or `BLOCK_LEAF` for damaged bytes. */
export function decodeOutcome(bytes: Uint8Array): BlockOutcome {
  // Only `encodeOutcome` writes this, so past strict decoding its shape is known.
  const stored = decode(bytes) as unknown as {
    leaf: Uint8Array
    bundles: (readonly [Uint8Array, number, number | null])[]
    results: StoredResult[]
    events: (readonly [Uint8Array, number, string, string, CborValue])[]
  }
  return {
    leaf: decodeBlockLeaf(stored.leaf),
    leafBytes: stored.leaf,
    bundles: stored.bundles.map(([bundleId, code, until]) => ({ bundleId, code, ...untilOf(until) })),
    results: stored.results.map(([txId, code, result, resultHash, bundle, item, until]) => {
      return { txId, code, result, resultHash, bundle, item, ...untilOf(until) }
    }),
    events: stored.events.map(([txId, index, contract, event, data]) => ({
      txId,
      index,
      contract,
      event,
      data,
    })),
  }
}

function untilOf(untilMs: number | null): { untilMs?: number } {
  return untilMs === null ? {} : { untilMs }
}
