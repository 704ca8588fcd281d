import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readShared, readVectors } from '../test/vectors.ts'
import { concat, fromBase64, fromHex, toHex } from './bytes.ts'
import { Frontier } from './frontier.ts'
import { sha256 } from './hash.ts'
import {
  emptyRoot,
  leafHash,
  merkleRoot,
  nodeHash,
  rootOfHashes,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts'
import {
  consistencyProof,
  consistencyRanges,
  foldNodes,
  fullNodes,
  inclusionProof,
  inclusionRanges,
  type LeafRange,
  merkleLevels,
  proofFromLevels,
} from './merkle-proof.ts'

const vectors = readVectors<{
  leaves: string[]
  roots: string[]
  inclusion: { index: number; size: number; proof: string[] }[]
  consistency: { size1: number; size2: number; proof: string[] }[]
}>('merkle.json')

// RFC 6962 §2.1, word for word; slow and independent of the code under test.
const prefixed = (prefix: number, ...parts: Uint8Array[]) =>
  sha256(concat(new Uint8Array([prefix]), ...parts))
function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}
function treeHash(d: readonly Uint8Array[]): Uint8Array {
  if (d.length === 0) return sha256(new Uint8Array())
  if (d.length === 1) return prefixed(0, d[0] as Uint8Array)
  const k = split(d.length)
  return prefixed(1, treeHash(d.slice(0, k)), treeHash(d.slice(k)))
}
function path(m: number, d: readonly Uint8Array[]): Uint8Array[] {
  if (d.length === 1) return []
  const k = split(d.length)
  return m < k
    ? [...path(m, d.slice(0, k)), treeHash(d.slice(k))]
    : [...path(m - k, d.slice(k)), treeHash(d.slice(0, k))]
}
function subproof(m: number, d: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === d.length) return whole ? [] : [treeHash(d)]
  const k = split(d.length)
  return m <= k
    ? [...subproof(m, d.slice(0, k), whole), treeHash(d.slice(k))]
    : [...subproof(m - k, d.slice(k), false), treeHash(d.slice(0, k))]
}

const leavesOf = (size: number) => Array.from({ length: size }, (_, i) => new Uint8Array([i >> 8, i]))
const hex = (hashes: readonly Uint8Array[]) => hashes.map(toHex)
const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 7 ? byte ^ 1 : byte))

describe('vectors', () => {
  const leaves = vectors.leaves.map(fromHex)
  const hashes = leaves.map(leafHash)

  it.each(vectors.roots.map((root, size) => ({ root, size })))('root of $size leaves', ({ root, size }) => {
    expect(toHex(merkleRoot(leaves.slice(0, size)))).toBe(root)
  })

  it.each(vectors.inclusion)('inclusion of $index in $size', ({ index, size, proof }) => {
    expect(hex(inclusionProof(hashes.slice(0, size), index))).toEqual(proof)
    const root = fromHex(vectors.roots[size] as string)
    const leaf = hashes[index] as Uint8Array
    expect(verifyInclusion({ leafHash: leaf, index, size, proof: proof.map(fromHex), root })).toBe(true)
  })

  it.each(vectors.consistency)('consistency of $size1 with $size2', ({ size1, size2, proof }) => {
    expect(hex(consistencyProof(hashes.slice(0, size2), size1))).toEqual(proof)
    const [root1, root2] = [fromHex(vectors.roots[size1] as string), fromHex(vectors.roots[size2] as string)]
    expect(verifyConsistency({ size1, size2, root1, root2, proof: proof.map(fromHex) })).toBe(true)
  })
})

interface SharedVector {
  readonly leafIdx: number
  readonly treeSize: number
  readonly size1: number
  readonly size2: number
  readonly root: string
  readonly root1: string
  readonly root2: string
  readonly leafHash: string
  readonly proof: string[] | null
  readonly wantErr: boolean
}
const shared = readShared<SharedVector>('merkle/transparency_merkle/testdata') ?? []
const below = (folder: string) => shared.filter(({ path: file }) => file.startsWith(`${folder}/`))

describe.skipIf(shared.length === 0)('transparency-dev/merkle vectors', () => {
  it.each(below('inclusion'))('$path', ({ json }) => {
    const claim = {
      leafHash: fromBase64(json.leafHash ?? ''),
      index: json.leafIdx,
      size: json.treeSize,
      root: fromBase64(json.root ?? ''),
      proof: (json.proof ?? []).map(fromBase64),
    }
    expect(verifyInclusion(claim)).toBe(!json.wantErr)
  })

  it.each(below('consistency'))('$path', ({ json }) => {
    const claim = {
      size1: json.size1,
      size2: json.size2,
      root1: fromBase64(json.root1 ?? ''),
      root2: fromBase64(json.root2 ?? ''),
      proof: (json.proof ?? []).map(fromBase64),
    }
    expect(verifyConsistency(claim)).toBe(!json.wantErr)
  })

  it('leaves out only the subtree proofs of a draft', () => {
    // Proofs about a subtree [start, end) belong to draft-ietf-plants-merkle-tree-certs. No form of this project holds
    // one: anchors, receipts and witnesses speak of whole trees.
    const folders = new Set(shared.map(({ path: file }) => file.split('/')[0]))
    expect([...folders].sort()).toEqual([
      'consistency',
      'inclusion',
      'subtreeconsistency',
      'subtreeinclusion',
    ])
    expect(below('inclusion').length + below('consistency').length).toBe(196)
  })
})

describe('trees', () => {
  it('root, proofs and frontier follow the definition at every size', () => {
    const frontier = new Frontier()
    const leaves = leavesOf(70)
    for (let size = 0; size <= 70; size++) {
      const part = leaves.slice(0, size)
      const expected = toHex(treeHash(part))
      expect(toHex(merkleRoot(part))).toBe(expected)
      expect(toHex(frontier.root())).toBe(expected)
      expect(frontier.size).toBe(size)
      const restored = new Frontier(size, frontier.hashes)
      expect(toHex(restored.root())).toBe(expected)
      frontier.append(leafHash(new Uint8Array([size >> 8, size])))
    }
  })

  it('proofs are those of the definition, and verify', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 130 }), fc.nat(), fc.nat(), (size, a, b) => {
        const leaves = leavesOf(size)
        const hashes = leaves.map(leafHash)
        const root = treeHash(leaves)
        const index = a % size
        const proof = inclusionProof(hashes, index)
        expect(hex(proof)).toEqual(hex(path(index, leaves)))
        const leaf = hashes[index] as Uint8Array
        expect(verifyInclusion({ leafHash: leaf, index, size, proof, root })).toBe(true)

        const size1 = 1 + (b % size)
        const consistency = consistencyProof(hashes, size1)
        expect(hex(consistency)).toEqual(hex(subproof(size1, leaves, true)))
        const root1 = treeHash(leaves.slice(0, size1))
        expect(verifyConsistency({ size1, size2: size, root1, root2: root, proof: consistency })).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  it('a changed claim does not verify', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(), fc.nat(), fc.nat(), (size, a, b, where) => {
        const hashes = leavesOf(size).map(leafHash)
        const root = rootOfHashes(hashes)
        const index = a % size
        const proof = inclusionProof(hashes, index)
        const claim = { leafHash: hashes[index] as Uint8Array, index, size, proof, root }
        const other = (index + 1 + (b % (size - 1))) % size
        const at = where % proof.length
        expect(verifyInclusion({ ...claim, index: other })).toBe(false)
        expect(verifyInclusion({ ...claim, leafHash: flipped(claim.leafHash) })).toBe(false)
        expect(verifyInclusion({ ...claim, root: flipped(root) })).toBe(false)
        expect(verifyInclusion({ ...claim, proof: proof.map((h, i) => (i === at ? flipped(h) : h)) })).toBe(
          false,
        )
        expect(verifyInclusion({ ...claim, proof: proof.toSpliced(at, 1) })).toBe(false)
        expect(verifyInclusion({ ...claim, proof: proof.toSpliced(at, 0, root) })).toBe(false)
      }),
      { numRuns: 200 },
    )
  })

  it('numbers that cannot be sizes or indexes are refused, not computed with', () => {
    const hash = leafHash(new Uint8Array())
    for (const odd of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(verifyInclusion({ leafHash: hash, index: 0, size: odd, proof: [], root: hash })).toBe(false)
      expect(verifyInclusion({ leafHash: hash, index: odd, size: 1, proof: [], root: hash })).toBe(false)
      expect(verifyConsistency({ size1: odd, size2: odd, root1: hash, root2: hash, proof: [] })).toBe(false)
      expect(() => inclusionRanges(odd, 5)).toThrow(expect.objectContaining({ code: 'MERKLE' }))
      expect(() => consistencyRanges(odd, 5)).toThrow(expect.objectContaining({ code: 'MERKLE' }))
      expect(() => new Frontier(odd)).toThrow(expect.objectContaining({ code: 'MERKLE' }))
    }
    expect(verifyInclusion({ leafHash: hash, index: 0, size: 1, proof: [], root: hash })).toBe(true)
  })

  it('hashes of other lengths cannot shift the boundary between left and right', () => {
    const root = nodeHash(emptyRoot, emptyRoot)
    const claim = { leafHash: emptyRoot, index: 0, size: 2, proof: [emptyRoot], root }
    expect(verifyInclusion(claim)).toBe(true)
    expect(verifyInclusion({ ...claim, proof: [concat(emptyRoot, new Uint8Array(1))] })).toBe(false)
    expect(verifyInclusion({ ...claim, proof: [emptyRoot.subarray(1)] })).toBe(false)
  })
})

describe('trees beyond 32-bit sizes', () => {
  // All leaves alike, so a full subtree's hash depends on its level only and the tree need not exist.
  const byLevel = [leafHash(new Uint8Array())]
  while (byLevel.length < 53) {
    const last = byLevel[byLevel.length - 1] as Uint8Array
    byLevel.push(nodeHash(last, last))
  }
  const hashOf = (range: LeafRange) =>
    foldNodes(fullNodes(range).map(({ level }) => byLevel[level] as Uint8Array))
  const size = fc.integer({ min: 2 ** 32, max: Number.MAX_SAFE_INTEGER })

  it('inclusion and consistency verify there', () => {
    fc.assert(
      fc.property(size, size, size, (a, b, c) => {
        const [size1, size2] = a < b ? [a, b] : [b, a]
        const root = hashOf({ begin: 0, count: size2 })
        const index = c % size2
        const proof = inclusionRanges(index, size2).map(hashOf)
        const leaf = byLevel[0] as Uint8Array
        expect(verifyInclusion({ leafHash: leaf, index, size: size2, proof, root })).toBe(true)
        const root1 = hashOf({ begin: 0, count: size1 })
        const consistency = consistencyRanges(size1, size2).map(hashOf)
        expect(verifyConsistency({ size1, size2, root1, root2: root, proof: consistency })).toBe(true)
      }),
    )
  })
})

describe('levels and frontier', () => {
  it('merkleLevels serves every proof of a tree', () => {
    const hashes = leavesOf(37).map(leafHash)
    const levels = merkleLevels(hashes)
    for (let index = 0; index < 37; index++)
      expect(proofFromLevels(levels, inclusionRanges(index, 37))).toEqual(inclusionProof(hashes, index))
  })

  it('append reports each subtree once, when it becomes full', () => {
    const hashes = leavesOf(37).map(leafHash)
    const levels = merkleLevels(hashes).map((level) => level.map(toHex))
    const seen = levels.map((): string[] => [])
    const frontier = new Frontier()
    for (const hash of hashes)
      frontier.append(hash, ({ level, index }, node) => {
        expect(seen[level]).toHaveLength(index)
        seen[level]?.push(toHex(node))
      })
    expect(seen).toEqual(levels)
  })

  it('a clone goes its own way', () => {
    const frontier = new Frontier()
    frontier.append(emptyRoot)
    const before = toHex(frontier.root())
    frontier.clone().append(emptyRoot)
    expect(toHex(frontier.root())).toBe(before)
  })
})
