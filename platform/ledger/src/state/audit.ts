import {
  bitAt,
  compareBytes,
  equal,
  keyHashOf,
  SPARSE_EMPTY,
  sparseLeafHash,
  sparseNodeHash,
  toHex,
  valueHashOf,
} from '@salus/core'
import { decodePage, hashAt, isLeaf, isPresent, type Page, slotCount } from './page.ts'
import type { StateStore } from './store.ts'
import { nibble, nodeKey } from './tree.ts'

/** One thing that is not as it must be. `message` names file, place and what is wrong with it. */
export interface StateFinding {
  readonly kind: 'row' | 'page' | 'root'
  /** Row key or key hash (hex), page path (hex digits, "root" for the first). */
  readonly at: string
  readonly message: string
}

export interface StateAudit {
  readonly height: number | undefined
  /** Root recomputed from the rows alone. */
  readonly root: Uint8Array
  readonly rows: number
  readonly pages: number
  readonly findings: readonly StateFinding[]
}

/**
 * Recomputes the tree from every row, trusting no stored page, and compares it with the stored one node by node.
 * @param expectedRoot the head's state root from a source other than this store, usually the block log
 */
export function auditState(store: StateStore, expectedRoot?: Uint8Array): StateAudit {
  const findings: StateFinding[] = []
  const found = (kind: StateFinding['kind'], at: string, what: string) =>
    findings.push({ kind, at, message: `${store.place}: ${kind} ${at} ${what}` })

  const leaves: Leaf[] = []
  for (const [key, value] of store.scan(new Uint8Array(0)))
    leaves.push({ keyHash: keyHashOf(key), valueHash: valueHashOf(value), key })
  leaves.sort((a, b) => compareBytes(a.keyHash, b.keyHash))
  const height = store.height()
  const root = rootOf(leaves, 0, leaves.length, 0)
  let pages = 0

  const page = (
    version: number,
    from: number,
    to: number,
    path: Uint8Array,
    depth: number,
    claimed?: Uint8Array,
  ) => {
    const name = pathName(path, depth)
    const bytes = store.node(nodeKey(version, path, depth))
    if (!bytes) return void found('page', name, `of height ${version} is missing`)
    const stored = decodePage(bytes)
    if (!stored) return void found('page', name, `of height ${version} is not readable`)
    pages++
    const hash = claimed ?? hashAt(stored, 1)
    if (!equal(hashAt(stored, 1), hash))
      found('page', name, `does not hash to ${toHex(hash)}, as the page above says`)
    let at = from
    for (let slot = 0; slot < 16; slot++) {
      let end = at
      while (end < to && nibble((leaves[end] as Leaf).keyHash, depth) === slot) end++
      checkSlot(stored, slot, at, end, depth, pathWith(path, depth, slot))
      at = end
    }
    if (depth > 0 && slotCount(stored) === 1 && stored.leaves !== 0)
      found('page', name, 'holds one leaf alone')
  }

  const checkSlot = (
    stored: Page,
    slot: number,
    from: number,
    to: number,
    depth: number,
    path: Uint8Array,
  ) => {
    if (isPresent(stored, slot) && !isLeaf(stored, slot)) {
      const hash = hashAt(stored, 16 + slot)
      if (to - from < 2) found('page', pathName(path, depth + 1), `has ${to - from} rows below it`)
      return page(stored.version[slot] as number, from, to, path, depth + 1, hash)
    }
    const inTree = isPresent(stored, slot) ? (stored.slots[slot] as Uint8Array) : undefined
    let matched = false
    for (let at = from; at < to; at++) {
      const leaf = leaves[at] as Leaf
      if (!inTree || !equal(inTree.subarray(0, 32), leaf.keyHash))
        found('row', toHex(leaf.key), 'is not in the tree')
      else {
        matched = true
        if (!equal(inTree.subarray(32), leaf.valueHash))
          found(
            'row',
            toHex(leaf.key),
            `has a value that hashes to ${toHex(leaf.valueHash)}, the tree says ${toHex(inTree.subarray(32))}`,
          )
      }
    }
    if (inTree && !matched)
      found(
        'row',
        `with key hash ${toHex(inTree.subarray(0, 32))}`,
        'is in the tree and missing from the rows',
      )
  }

  if (height !== undefined) page(height, 0, leaves.length, new Uint8Array(32), 0)
  if (expectedRoot && !equal(root, expectedRoot))
    found(
      'root',
      `of height ${height ?? 'none'}`,
      `recomputed from the rows is ${toHex(root)}, expected ${toHex(expectedRoot)}`,
    )
  return { height, root, rows: leaves.length, pages, findings }
}

interface Leaf {
  readonly keyHash: Uint8Array
  readonly valueHash: Uint8Array
  readonly key: Uint8Array
}

/** The definition itself: recursive over the sorted leaves, bit by bit. */
function rootOf(leaves: readonly Leaf[], from: number, to: number, bit: number): Uint8Array {
  if (from === to) return SPARSE_EMPTY
  const first = leaves[from] as Leaf
  if (to - from === 1) return sparseLeafHash(first.keyHash, first.valueHash)
  let middle = from
  while (middle < to && bitAt((leaves[middle] as Leaf).keyHash, bit) === 0) middle++
  return sparseNodeHash(rootOf(leaves, from, middle, bit + 1), rootOf(leaves, middle, to, bit + 1))
}

function pathWith(path: Uint8Array, depth: number, slot: number): Uint8Array {
  const next = path.slice()
  const at = depth >> 1
  next[at] = depth & 1 ? ((next[at] as number) & 0xf0) | slot : slot << 4
  return next
}

function pathName(path: Uint8Array, depth: number): string {
  return depth === 0 ? 'root' : toHex(path).slice(0, depth)
}
