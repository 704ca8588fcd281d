import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readVectors } from '../test/vectors.ts'
import { fromHex, toHex } from './bytes.ts'
import { tuple } from './cbor.ts'
import {
  bitAt,
  keyHashOf,
  SPARSE_EMPTY,
  type SparseLeaf,
  type SparseProof,
  sharedBits,
  sparseLeafHash,
  sparseNodeHash,
  sparseProofOf,
  sparseRootOf,
  valueHashOf,
  verifySparse,
} from './sparse.ts'

interface VectorProof {
  readonly key: string
  readonly value?: string
  readonly siblings: string[]
  readonly leaf?: { keyHash: string; valueHash: string }
}
const vectors = readVectors<{
  empty: string
  hashes: {
    keyHash: { of: string; is: string }
    leaf: { keyHash: string; valueHash: string; is: string }
    node: { left: string; right: string; is: string }
  }
  trees: { note: string; entries: { key: string; value: string }[]; root: string; proofs: VectorProof[] }[]
}>('sparse.json')

const leafOf = (key: Uint8Array, value: Uint8Array): SparseLeaf => ({
  keyHash: keyHashOf(key),
  valueHash: valueHashOf(value),
})
const leafFromHex = ({ keyHash, valueHash }: { keyHash: string; valueHash: string }): SparseLeaf => ({
  keyHash: fromHex(keyHash),
  valueHash: fromHex(valueHash),
})

describe('vectors', () => {
  it('hashes', () => {
    const { keyHash, leaf, node } = vectors.hashes
    expect(toHex(SPARSE_EMPTY)).toBe(vectors.empty)
    expect(toHex(keyHashOf(fromHex(keyHash.of)))).toBe(keyHash.is)
    expect(toHex(sparseLeafHash(fromHex(leaf.keyHash), fromHex(leaf.valueHash)))).toBe(leaf.is)
    expect(toHex(sparseNodeHash(fromHex(node.left), fromHex(node.right)))).toBe(node.is)
  })

  it.each(vectors.trees)('$note', ({ entries, root, proofs }) => {
    const leaves = entries.map(({ key, value }) => leafOf(fromHex(key), fromHex(value)))
    expect(toHex(sparseRootOf(leaves))).toBe(root)
    for (const { key, value, siblings, leaf } of proofs) {
      const proof: SparseProof = {
        siblings: siblings.map(fromHex),
        ...(leaf === undefined ? {} : { leaf: leafFromHex(leaf) }),
      }
      expect(sparseProofOf(leaves, fromHex(key))).toEqual(proof)
      const claim = { root: fromHex(root), key: fromHex(key), proof }
      expect(verifySparse({ ...claim, value: value === undefined ? undefined : fromHex(value) })).toBe(true)
      expect(verifySparse({ ...claim, value: value === undefined ? new Uint8Array() : undefined })).toBe(
        false,
      )
    }
  })
})

const key = (n: number) => tuple('contract', 'table', n)
const value = (n: number) => tuple(n)
const contents = fc.uniqueArray(fc.nat({ max: 500 }), { maxLength: 40 })
const treeOf = (ns: readonly number[]) => ns.map((n) => leafOf(key(n), value(n)))

describe('state tree', () => {
  it('every present key has a proof of its value, every absent key one of absence', () => {
    fc.assert(
      fc.property(contents, fc.nat({ max: 500 }), (ns, n) => {
        const leaves = treeOf(ns)
        const root = sparseRootOf(leaves)
        const proof = sparseProofOf(leaves, key(n))
        const present = ns.includes(n)
        expect(verifySparse({ root, key: key(n), value: value(n), proof })).toBe(present)
        expect(verifySparse({ root, key: key(n), value: undefined, proof })).toBe(!present)
        expect(verifySparse({ root, key: key(n), value: value(n + 1), proof })).toBe(false)
      }),
      { numRuns: 300 },
    )
  })

  it('the root depends on the contents and not on their order', () => {
    fc.assert(
      fc.property(contents, (ns) => {
        expect(toHex(sparseRootOf(treeOf([...ns].reverse())))).toBe(toHex(sparseRootOf(treeOf(ns))))
        if (ns.length === 0) return
        expect(toHex(sparseRootOf(treeOf(ns.slice(1))))).not.toBe(toHex(sparseRootOf(treeOf(ns))))
      }),
    )
  })

  it('no proof of one key serves another, whichever way it is claimed', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 500 }), { minLength: 2, maxLength: 40 }), (ns) => {
        const leaves = treeOf(ns)
        const root = sparseRootOf(leaves)
        const [a, b] = ns as [number, number]
        const proof = sparseProofOf(leaves, key(a))
        expect(verifySparse({ root, key: key(b), value: value(b), proof })).toBe(false)
        expect(verifySparse({ root, key: key(b), value: undefined, proof })).toBe(false)
      }),
    )
  })

  it('a changed, shortened or lengthened proof does not verify', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat({ max: 500 }), { minLength: 3, maxLength: 40 }),
        fc.nat(),
        (ns, where) => {
          const leaves = treeOf(ns)
          const root = sparseRootOf(leaves)
          for (const n of [ns[0] as number, 501]) {
            const proof = sparseProofOf(leaves, key(n))
            const claim = { root, key: key(n), value: ns.includes(n) ? value(n) : undefined }
            const { siblings } = proof
            const at = where % siblings.length
            const changed = siblings.map((h, i) => (i === at ? h.map((byte) => byte ^ 1) : h))
            expect(verifySparse({ ...claim, proof })).toBe(true)
            expect(verifySparse({ ...claim, proof: { ...proof, siblings: changed } })).toBe(false)
            expect(verifySparse({ ...claim, proof: { ...proof, siblings: siblings.toSpliced(at, 1) } })).toBe(
              false,
            )
            expect(
              verifySparse({ ...claim, proof: { ...proof, siblings: siblings.toSpliced(at, 0, root) } }),
            ).toBe(false)
          }
        },
      ),
    )
  })

  it('a far leaf does not prove absence, even one whose path hashes to the root', () => {
    // With one leaf in the tree its hash is the root, and any key is absent behind zero shared bits. With two leaves
    // each is behind at least one bit, so the first cannot stand for keys on the other side.
    const leaves = [leafOf(key(1), value(1)), leafOf(key(2), value(2))]
    const root = sparseRootOf(leaves)
    const proof = sparseProofOf(leaves, key(1))
    const depth = proof.siblings.length
    for (let n = 3; n < 60; n++) {
      const near = sharedBits(keyHashOf(key(n)), keyHashOf(key(1))) >= depth
      expect(verifySparse({ root, key: key(n), value: undefined, proof })).toBe(near)
    }
  })

  it('proofs of the wrong shape are refused', () => {
    const leaves = [leafOf(key(1), value(1))]
    const root = sparseRootOf(leaves)
    const leaf = leaves[0] as SparseLeaf
    const claim = { root, key: key(1), value: value(1) }
    expect(verifySparse({ ...claim, proof: { siblings: [], leaf } })).toBe(true)
    expect(verifySparse({ ...claim, proof: { siblings: [] } })).toBe(false)
    expect(verifySparse({ ...claim, proof: { siblings: Array(257).fill(root), leaf } })).toBe(false)
    expect(verifySparse({ ...claim, proof: { siblings: [new Uint8Array(31)], leaf } })).toBe(false)
    expect(
      verifySparse({ ...claim, proof: { siblings: [], leaf: { ...leaf, valueHash: new Uint8Array(33) } } }),
    ).toBe(false)
    expect(
      verifySparse({ root: new Uint8Array(), key: key(1), value: undefined, proof: { siblings: [] } }),
    ).toBe(false)
  })
})

describe('bits of a key hash', () => {
  it('count from the most significant, and sharedBits finds the first difference', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const bits = (bytes: Uint8Array) =>
      Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
    fc.assert(
      fc.property(hash, fc.nat({ max: 255 }), (a, depth) => {
        expect(String(bitAt(a, depth))).toBe(bits(a)[depth])
        const b = a.slice()
        b[depth >> 3] = (b[depth >> 3] as number) ^ (0x80 >> (depth & 7))
        expect(sharedBits(a, b)).toBe(depth)
        expect(sharedBits(a, a)).toBe(256)
      }),
    )
  })
})
