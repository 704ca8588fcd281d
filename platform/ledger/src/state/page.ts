import { assert, SPARSE_EMPTY, sparseLeafHash, sparseNodeHash } from '@salus/core'

/**
 * A page is four levels of the binary tree stored as one node: 16 slots, each empty, a leaf, or a further page.
 * `hashes` is a binary heap: entry 1 is the page's own hash, 16 + slot a slot's hash. `valid` has a bit per entry
 * that is up to date, so that a changed page hashes only the paths that changed.
 */
export interface Page {
  /** Bit per slot that is not empty. */
  present: number
  /** Bit per slot that holds a leaf. */
  leaves: number
  valid: number
  readonly hashes: Uint8Array
  /** keyHash ‖ valueHash of the slots that hold leaves. */
  readonly leaf: (Uint8Array | undefined)[]
  /** Version of the slots that hold pages. */
  readonly version: number[]
}

export const PAGE_FORMAT = 1
const hashBytes = 32
const entries = 32

export function emptyPage(): Page {
  return {
    present: 0,
    leaves: 0,
    valid: 0,
    hashes: new Uint8Array(entries * hashBytes),
    leaf: new Array<Uint8Array | undefined>(16).fill(undefined),
    version: new Array<number>(16).fill(0),
  }
}

export function copyPage(page: Page): Page {
  const { present, leaves, valid } = page
  return {
    present,
    leaves,
    valid,
    hashes: page.hashes.slice(),
    leaf: page.leaf.slice(),
    version: page.version.slice(),
  }
}

export function isLeaf(page: Page, slot: number): boolean {
  return (page.leaves & (1 << slot)) !== 0
}

export function isPresent(page: Page, slot: number): boolean {
  return (page.present & (1 << slot)) !== 0
}

/** Number of slots in use. */
export function slotCount(page: Page): number {
  return popCount(page.present)
}

export function setEmpty(page: Page, slot: number): void {
  page.present &= ~(1 << slot)
  page.leaves &= ~(1 << slot)
  page.leaf[slot] = undefined
  page.version[slot] = 0
  invalidate(page, slot)
}

/** @param leaf keyHash ‖ valueHash, 64 bytes */
export function setLeaf(page: Page, slot: number, leaf: Uint8Array): void {
  page.present |= 1 << slot
  page.leaves |= 1 << slot
  page.leaf[slot] = leaf
  page.version[slot] = 0
  invalidate(page, slot)
}

export function setChild(page: Page, slot: number, child: { hash: Uint8Array; version: number }): void {
  page.present |= 1 << slot
  page.leaves &= ~(1 << slot)
  page.leaf[slot] = undefined
  page.version[slot] = child.version
  invalidate(page, slot)
  page.hashes.set(child.hash, (16 + slot) * hashBytes)
  page.valid |= 1 << (16 + slot)
}

/** Hash of heap entry `at` (1 = the page). A view into the page: copy it to keep it. */
export function hashAt(page: Page, at: number): Uint8Array {
  if ((page.valid & (1 << at)) === 0) fill(page, at)
  return page.hashes.subarray(at * hashBytes, (at + 1) * hashBytes)
}

/** What lies under heap entry `at`: nothing, one leaf (its slot), or a subtree. */
export function under(page: Page, at: number): 'empty' | 'subtree' | number {
  const mask = slotsUnder[at] as number
  const present = page.present & mask
  if (present === 0) return 'empty'
  const single = (present & (present - 1)) === 0
  if (single && (page.leaves & present) !== 0) return 31 - Math.clz32(present)
  return 'subtree'
}

/** format(1) ‖ present(2) ‖ leaves(2) ‖ per used slot: leaf keyHash ‖ valueHash, or page hash ‖ version(8). */
export function encodePage(page: Page): Uint8Array {
  const leafCount = popCount(page.leaves)
  const out = new Uint8Array(5 + leafCount * 64 + (popCount(page.present) - leafCount) * 40)
  const view = new DataView(out.buffer)
  out[0] = PAGE_FORMAT
  view.setUint16(1, page.present)
  view.setUint16(3, page.leaves)
  let offset = 5
  for (let slot = 0; slot < 16; slot++) {
    if (!isPresent(page, slot)) continue
    if (isLeaf(page, slot)) {
      out.set(page.leaf[slot] as Uint8Array, offset)
      offset += 64
    } else {
      out.set(hashAt(page, 16 + slot), offset)
      writeVersion(view, offset + 32, page.version[slot] as number)
      offset += 40
    }
  }
  return out
}

/** @returns undefined when the bytes are not a page */
export function decodePage(bytes: Uint8Array): Page | undefined {
  if (bytes.length < 5 || bytes[0] !== PAGE_FORMAT) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const page = emptyPage()
  page.present = view.getUint16(1)
  page.leaves = view.getUint16(3)
  const leafCount = popCount(page.leaves)
  const childCount = popCount(page.present) - leafCount
  if ((page.leaves & ~page.present) !== 0 || bytes.length !== 5 + leafCount * 64 + childCount * 40)
    return undefined
  let offset = 5
  for (let slot = 0; slot < 16; slot++) {
    if (!isPresent(page, slot)) continue
    if (isLeaf(page, slot)) {
      page.leaf[slot] = bytes.slice(offset, offset + 64)
      offset += 64
    } else {
      page.hashes.set(bytes.subarray(offset, offset + 32), (16 + slot) * hashBytes)
      page.valid |= 1 << (16 + slot)
      page.version[slot] = readVersion(view, offset + 32)
      offset += 40
    }
  }
  return page
}

export function writeVersion(view: DataView, offset: number, version: number): void {
  assert(Number.isSafeInteger(version) && version >= 0, 'a tree version is a height')
  view.setUint32(offset, Math.floor(version / 0x1_0000_0000))
  view.setUint32(offset + 4, version % 0x1_0000_0000)
}

export function readVersion(view: DataView, offset: number): number {
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4)
}

function fill(page: Page, at: number): void {
  const found = under(page, at)
  const target = at * hashBytes
  if (found === 'empty') page.hashes.set(SPARSE_EMPTY, target)
  else if (found === 'subtree') {
    assert(at < 16, 'a page slot always comes with its hash')
    page.hashes.set(sparseNodeHash(hashAt(page, 2 * at), hashAt(page, 2 * at + 1)), target)
  } else if (at >= 16) {
    const leaf = page.leaf[found] as Uint8Array
    page.hashes.set(sparseLeafHash(leaf.subarray(0, 32), leaf.subarray(32)), target)
  } else page.hashes.set(hashAt(page, 16 + found), target)
  page.valid |= 1 << at
}

function invalidate(page: Page, slot: number): void {
  for (let at = 16 + slot; at >= 1; at >>= 1) page.valid &= ~(1 << at)
}

function popCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

const slotsUnder: readonly number[] = Array.from({ length: entries }, (_, at) => {
  if (at === 0) return 0
  const level = 31 - Math.clz32(at)
  const width = 16 >> level
  return ((1 << width) - 1) << ((at - (1 << level)) * width)
})
