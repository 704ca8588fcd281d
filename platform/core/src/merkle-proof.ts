import { AppError } from './errors.ts'
import { nodeHash } from './merkle.ts'

/** Leaves `begin` … `begin + count − 1` of a tree. */
export interface LeafRange {
  readonly begin: number
  readonly count: number
}

/** A full subtree: at `level` 0 a leaf hash, at `level` n the node over 2ⁿ leaves; `index` counts within the level. */
export interface FullNode {
  readonly level: number
  readonly index: number
}

/** The ranges whose hashes make the inclusion proof of `index` in `size` leaves, in proof order. RFC 6962 §2.1.1. */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  checkCounts(index + 1, size)
  const ranges: LeafRange[] = []
  let begin = 0
  let count = size
  while (count > 1) {
    const left = split(count)
    if (index < begin + left) {
      ranges.push({ begin: begin + left, count: count - left })
      count = left
    } else {
      ranges.push({ begin, count: left })
      begin += left
      count -= left
    }
  }
  return ranges.reverse()
}

/** The ranges whose hashes make the consistency proof from `size1` to `size2`, in proof order. RFC 6962 §2.1.2. */
export function consistencyRanges(size1: number, size2: number): LeafRange[] {
  checkCounts(size1, size2)
  const ranges: LeafRange[] = []
  let begin = 0
  let count = size2
  // Walk down to the subtree that ends exactly at size1; what is left out on the way is the proof.
  while (begin + count !== size1) {
    const left = split(count)
    if (size1 <= begin + left) {
      ranges.push({ begin: begin + left, count: count - left })
      count = left
    } else {
      ranges.push({ begin, count: left })
      begin += left
      count -= left
    }
  }
  // A subtree that is the whole first tree is known to the verifier: its root.
  if (begin !== 0) ranges.push({ begin, count })
  return ranges.reverse()
}

/** The full subtrees, left to right, that cover a range met in a proof or a whole tree (begin 0). */
export function fullNodes(range: LeafRange): FullNode[] {
  const nodes: FullNode[] = []
  let { begin, count } = range
  while (count > 0) {
    let level = 0
    let width = 1
    while (width * 2 <= count) {
      width *= 2
      level += 1
    }
    nodes.push({ level, index: begin / width })
    begin += width
    count -= width
  }
  return nodes
}

/** The hash of a range from the hashes of its full subtrees, left to right; at least one. */
export function foldNodes(hashes: readonly Uint8Array[]): Uint8Array {
  let at = hashes.length - 1
  let hash = hashes[at]
  if (hash === undefined) throw new AppError('MERKLE', 'merkle: a range needs at least one node')
  while (at > 0) {
    at -= 1
    hash = nodeHash(hashes[at] as Uint8Array, hash)
  }
  return hash
}

/** The inclusion proof of `index` among these leaf hashes. Throws AppError `MERKLE` when out of range. */
export function inclusionProof(leafHashes: readonly Uint8Array[], index: number): Uint8Array[] {
  return proofOver(leafHashes, inclusionRanges(index, leafHashes.length))
}

/** The consistency proof from the first `size1` (at least 1) of these leaf hashes to all of them. */
export function consistencyProof(leafHashes: readonly Uint8Array[], size1: number): Uint8Array[] {
  return proofOver(leafHashes, consistencyRanges(size1, leafHashes.length))
}

/** Full subtrees of every level; one pass, so that many proofs over one list cost a logarithm each. */
export function merkleLevels(leafHashes: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const levels: (readonly Uint8Array[])[] = [leafHashes]
  let level = leafHashes
  while (level.length > 1) {
    const next: Uint8Array[] = []
    for (let i = 0; i + 1 < level.length; i += 2)
      next.push(nodeHash(level[i] as Uint8Array, level[i + 1] as Uint8Array))
    levels.push(next)
    level = next
  }
  return levels
}

/** The hashes of these ranges, read from `merkleLevels`. */
export function proofFromLevels(
  levels: readonly (readonly Uint8Array[])[],
  ranges: readonly LeafRange[],
): Uint8Array[] {
  return ranges.map((range) =>
    foldNodes(fullNodes(range).map(({ level, index }) => levels[level]?.[index] as Uint8Array)),
  )
}

function proofOver(leafHashes: readonly Uint8Array[], ranges: readonly LeafRange[]): Uint8Array[] {
  return proofFromLevels(merkleLevels(leafHashes), ranges)
}

/** The largest power of two below `count`, for `count` ≥ 2. */
function split(count: number): number {
  let width = 1
  while (width * 2 < count) width *= 2
  return width
}

function checkCounts(first: number, size: number): void {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(size) || first < 1 || first > size)
    throw new AppError('MERKLE', `merkle: ${first} is outside 1 … ${size}`, { first, size })
}
