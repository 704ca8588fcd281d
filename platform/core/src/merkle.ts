import { concat, equal } from './bytes.ts'
import { sha256 } from './hash.ts'

// RFC 6962 §2.1 and RFC 9162 §2.1. Sizes and indexes are safe integers, so halving is done by arithmetic:
// JavaScript's shifts stop at 32 bits.

const LEAF_PREFIX = new Uint8Array([0])
const nodeInput = new Uint8Array(65).fill(1, 0, 1)

/** The root of no leaves: `H("")`. */
export const emptyRoot: Uint8Array = sha256(new Uint8Array(0))

/** `H(0x00 ‖ leaf)`. */
export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(concat(LEAF_PREFIX, leaf))
}

/** `H(0x01 ‖ left ‖ right)` of two 32-byte hashes. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1)
  nodeInput.set(right, 33)
  return sha256(nodeInput)
}

/** The Merkle tree hash over leaf data. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return rootOfHashes(leaves.map(leafHash))
}

/** The Merkle tree hash over leaf hashes. */
export function rootOfHashes(leafHashes: readonly Uint8Array[]): Uint8Array {
  if (leafHashes.length === 0) return emptyRoot
  let level = leafHashes
  // Pairing level by level and carrying an odd last node up gives the RFC's largest-power-of-two split.
  while (level.length > 1) {
    const next: Uint8Array[] = []
    for (let i = 0; i + 1 < level.length; i += 2)
      next.push(nodeHash(level[i] as Uint8Array, level[i + 1] as Uint8Array))
    if (level.length % 2 === 1) next.push(level[level.length - 1] as Uint8Array)
    level = next
  }
  return level[0] as Uint8Array
}

export interface InclusionClaim {
  readonly leafHash: Uint8Array
  /** Zero-based. */
  readonly index: number
  readonly size: number
  /** From the leaf's sibling up to the child of the root. */
  readonly proof: readonly Uint8Array[]
  readonly root: Uint8Array
}

/** Whether the leaf is at `index` of the tree with `size` leaves and this root. RFC 9162 §2.1.3.2. Never throws. */
export function verifyInclusion(claim: InclusionClaim): boolean {
  const { index, size, proof, root } = claim
  if (!isCount(index) || !isCount(size) || index >= size) return false
  if (claim.leafHash.length !== 32 || !areHashes(proof)) return false
  let node = index
  let last = size - 1
  let hash = claim.leafHash
  for (const sibling of proof) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash)
      while (node % 2 === 0 && node !== 0) {
        node /= 2
        last = half(last)
      }
    } else {
      hash = nodeHash(hash, sibling)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0 && equal(hash, root)
}

export interface ConsistencyClaim {
  readonly size1: number
  readonly size2: number
  readonly root1: Uint8Array
  readonly root2: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/**
 * Whether the tree of `size1` is a prefix of the tree of `size2`. RFC 9162 §2.1.4.2. Equal sizes: equal roots and
 * no proof. Every tree continues the empty one, so about `size1` 0 a proof says nothing and the answer is false: a
 * caller that may start from 0 decides that case itself. Never throws.
 */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  const { size1, size2, root1, root2, proof } = claim
  if (!isCount(size1) || !isCount(size2) || size1 === 0 || size1 > size2) return false
  if (size1 === size2) return proof.length === 0 && equal(root1, root2)
  if (proof.length === 0 || root1.length !== 32 || !areHashes(proof)) return false
  let node = size1 - 1
  let last = size2 - 1
  while (node % 2 === 1) {
    node = half(node)
    last = half(last)
  }
  // A whole power of two is itself a node of the larger tree, so its root starts the path.
  const startsAtRoot1 = node === 0
  let hash1 = startsAtRoot1 ? root1 : (proof[0] as Uint8Array)
  let hash2 = hash1
  for (let i = startsAtRoot1 ? 0 : 1; i < proof.length; i++) {
    const sibling = proof[i] as Uint8Array
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      hash1 = nodeHash(sibling, hash1)
      hash2 = nodeHash(sibling, hash2)
      while (node % 2 === 0 && node !== 0) {
        node /= 2
        last = half(last)
      }
    } else {
      hash2 = nodeHash(hash2, sibling)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0 && equal(hash1, root1) && equal(hash2, root2)
}

function half(n: number): number {
  return (n - (n % 2)) / 2
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}

// No path is longer than the depth of the largest tree, so 64 bounds the work whatever was sent.
function areHashes(proof: readonly Uint8Array[]): boolean {
  return proof.length <= 64 && proof.every((hash) => hash.length === 32)
}
