import { AppError, type CborValue, decode, tuple } from '@salus/core'

/**
 * What the log keeps of an erasure in clear, so that a restored backup can be held against it before serving: kind 4,
 * a version that is gone; kind 5, a version that is restricted until a day. Both name opaque random ids only.
 */
export type Marker =
  | { readonly kind: 'tombstone'; readonly oid: Uint8Array }
  | { readonly kind: 'restriction'; readonly oid: Uint8Array; readonly untilMs: number }

export const tombstoneLeaf = (oid: Uint8Array): Uint8Array => tuple(4, oid)
export const restrictionLeaf = (oid: Uint8Array, untilMs: number): Uint8Array => tuple(5, oid, untilMs)

/** A sealed leaf; no marker has its length. */
const SEALED_LEAF_BYTES = 32

/** Reads a leaf of the log; undefined for sealed leaves and for kinds of other capabilities. */
export function markerOf(leaf: Uint8Array): Marker | undefined {
  if (leaf.length === SEALED_LEAF_BYTES || leaf.length > 64) return undefined
  let value: CborValue
  try {
    value = decode(leaf)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
  if (!Array.isArray(value)) return undefined
  const [kind, oid, untilMs] = value as readonly CborValue[]
  if (!(oid instanceof Uint8Array) || oid.length !== 16) return undefined
  if (kind === 4 && value.length === 2) return { kind: 'tombstone', oid }
  if (kind === 5 && value.length === 3 && typeof untilMs === 'number')
    return { kind: 'restriction', oid, untilMs }
  return undefined
}
