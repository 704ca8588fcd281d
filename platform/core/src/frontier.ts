import { AppError } from './errors.ts'
import { emptyRoot, nodeHash } from './merkle.ts'
import { type FullNode, foldNodes, fullNodes } from './merkle-proof.ts'

/**
 * The right edge of an RFC 6962 tree: all that is needed to append and to know the root. It holds one hash per
 * full subtree, at most 53.
 */
export class Frontier {
  #size: number
  /** Hashes of the full subtrees, left to right, so widest first. */
  readonly #hashes: Uint8Array[]

  /** An empty tree, or the one whose full subtrees (`fullNodes({begin: 0, count: size})`) have these hashes. */
  constructor(size = 0, hashes: readonly Uint8Array[] = []) {
    if (
      !Number.isSafeInteger(size) ||
      size < 0 ||
      fullNodes({ begin: 0, count: size }).length !== hashes.length
    )
      throw new AppError('MERKLE', 'frontier: as many hashes are needed as `size` has bits set', { size })
    if (hashes.some((hash) => hash.length !== 32))
      throw new AppError('MERKLE', 'frontier: every hash must have 32 bytes')
    this.#size = size
    this.#hashes = [...hashes]
  }

  get size(): number {
    return this.#size
  }

  /** The hashes of the full subtrees, left to right; with `size` they restore the frontier. */
  get hashes(): readonly Uint8Array[] {
    return this.#hashes
  }

  /** Appends a leaf hash; `onNode` sees every subtree that becomes full, the leaf first. */
  append(leafHash: Uint8Array, onNode?: (node: FullNode, hash: Uint8Array) => void): void {
    let hash = leafHash
    let level = 0
    let index = this.#size
    onNode?.({ level, index }, hash)
    while (index % 2 === 1) {
      hash = nodeHash(this.#hashes.pop() as Uint8Array, hash)
      index = (index - 1) / 2
      level += 1
      onNode?.({ level, index }, hash)
    }
    this.#hashes.push(hash)
    this.#size += 1
  }

  /** The root of the tree so far. */
  root(): Uint8Array {
    return this.#size === 0 ? emptyRoot : foldNodes(this.#hashes)
  }

  /** An independent copy, for trying appends that may be given up. */
  clone(): Frontier {
    return new Frontier(this.#size, this.#hashes)
  }
}
