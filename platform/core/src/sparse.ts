import { compareBytes, equal, utf8 } from './bytes.ts'
import { sha256 } from './hash.ts'

// The state tree of protocol "Forms": hashing of Penumbra's `jmt` with SHA-256. A subtree without leaves hashes to
// SPARSE_EMPTY, one with exactly one leaf to that leaf's hash, any other to the node over its halves by the next bit.

const leafInput = new Uint8Array(13 + 64)
leafInput.set(utf8('JMT::LeafNode'))
const nodeInput = new Uint8Array(16 + 64)
nodeInput.set(utf8('JMT::IntrnalNode'))

/** The hash of a subtree without leaves, and the root of an empty state. */
export const SPARSE_EMPTY: Uint8Array = utf8('SPARSE_MERKLE_PLACEHOLDER_HASH__')

/** `H(key)`: where in the tree the key lives, most significant bit first. */
export function keyHashOf(key: Uint8Array): Uint8Array {
  return sha256(key)
}

/** `H(value)`. */
export function valueHashOf(value: Uint8Array): Uint8Array {
  return sha256(value)
}

/** `H("JMT::LeafNode" ‖ keyHash ‖ valueHash)`. */
export function sparseLeafHash(keyHash: Uint8Array, valueHash: Uint8Array): Uint8Array {
  leafInput.set(keyHash, 13)
  leafInput.set(valueHash, 45)
  return sha256(leafInput)
}

/** `H("JMT::IntrnalNode" ‖ left ‖ right)`. */
export function sparseNodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 16)
  nodeInput.set(right, 48)
  return sha256(nodeInput)
}

export interface SparseLeaf {
  readonly keyHash: Uint8Array
  readonly valueHash: Uint8Array
}

/** Where the path of a key ends: at `leaf`, or without one at an empty subtree. */
export interface SparseProof {
  /** From the end of the path up to the child of the root; at most 256. */
  readonly siblings: readonly Uint8Array[]
  readonly leaf?: SparseLeaf
}

export interface SparseClaim {
  readonly root: Uint8Array
  readonly key: Uint8Array
  /** The value the key has, or undefined to claim that it has none. */
  readonly value: Uint8Array | undefined
  readonly proof: SparseProof
}

/** Whether under `root` the key has exactly this value, or (undefined) none. Never throws. */
export function verifySparse({ root, key, value, proof }: SparseClaim): boolean {
  const { siblings, leaf } = proof
  if (siblings.length > 256 || siblings.some((sibling) => sibling.length !== 32)) return false
  if (leaf !== undefined && (leaf.keyHash.length !== 32 || leaf.valueHash.length !== 32)) return false
  const keyHash = keyHashOf(key)
  if (value !== undefined) {
    if (leaf === undefined) return false
    if (!equal(leaf.keyHash, keyHash) || !equal(leaf.valueHash, valueHashOf(value))) return false
  } else if (leaf !== undefined) {
    // Another leaf proves absence only where the key itself would have to be: behind the same first bits.
    const shared = sharedBits(leaf.keyHash, keyHash)
    if (shared === 256 || shared < siblings.length) return false
  }
  let hash = leaf === undefined ? SPARSE_EMPTY : sparseLeafHash(leaf.keyHash, leaf.valueHash)
  for (let i = 0; i < siblings.length; i++) {
    const sibling = siblings[i] as Uint8Array
    hash =
      bitAt(keyHash, siblings.length - 1 - i) === 1
        ? sparseNodeHash(sibling, hash)
        : sparseNodeHash(hash, sibling)
  }
  return equal(hash, root)
}

/** Bit `depth` (0 is the most significant) of a 32-byte hash. */
export function bitAt(hash: Uint8Array, depth: number): 0 | 1 {
  return (((hash[depth >> 3] as number) >> (7 - (depth & 7))) & 1) as 0 | 1
}

/** How many leading bits two 32-byte hashes have in common, 0 … 256. */
export function sharedBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 32; i++) {
    const difference = (a[i] as number) ^ (b[i] as number)
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24
  }
  return 256
}

/**
 * The state root of a whole set of leaves, from the definition alone. For audits and as the reference that
 * incremental trees are tested against. Key hashes must be distinct.
 */
export function sparseRootOf(leaves: Iterable<SparseLeaf>): Uint8Array {
  return rootOfSorted(sorted(leaves), 0)
}

/** The proof for `key` in a whole set of leaves, from the definition alone. */
export function sparseProofOf(leaves: Iterable<SparseLeaf>, key: Uint8Array): SparseProof {
  const keyHash = keyHashOf(key)
  const siblings: Uint8Array[] = []
  let rest = sorted(leaves)
  for (let depth = 0; rest.length > 1; depth++) {
    const [left, right] = halves(rest, depth)
    const goesRight = bitAt(keyHash, depth) === 1
    siblings.unshift(rootOfSorted(goesRight ? left : right, depth + 1))
    rest = goesRight ? right : left
  }
  const leaf = rest[0]
  return leaf === undefined ? { siblings } : { siblings, leaf }
}

function sorted(leaves: Iterable<SparseLeaf>): readonly SparseLeaf[] {
  return [...leaves].sort((a, b) => compareBytes(a.keyHash, b.keyHash))
}

function halves(
  leaves: readonly SparseLeaf[],
  depth: number,
): [readonly SparseLeaf[], readonly SparseLeaf[]] {
  const middle = leaves.findIndex((leaf) => bitAt(leaf.keyHash, depth) === 1)
  return middle < 0 ? [leaves, []] : [leaves.slice(0, middle), leaves.slice(middle)]
}

function rootOfSorted(leaves: readonly SparseLeaf[], depth: number): Uint8Array {
  const only = leaves[0]
  if (only === undefined) return SPARSE_EMPTY
  if (leaves.length === 1) return sparseLeafHash(only.keyHash, only.valueHash)
  const [left, right] = halves(leaves, depth)
  return sparseNodeHash(rootOfSorted(left, depth + 1), rootOfSorted(right, depth + 1))
}
