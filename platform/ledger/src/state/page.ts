import { assert, SPARSE_EMPTY, sha256, sparseNodeHash, utf8 } from '@salus/core'

/**
 * A page is four levels of the binary tree stored as one node: 16 slots, each empty, a leaf, or a further page.
 * Its hashes are numbered as a binary heap: 1 is the page's own, 16 + slot a slot's. Full pages remember theirs in
 * `memo` (`valid` has a bit per entry that is up to date), so that a change hashes only the paths that changed.
 */
export interface Page {
  /** Bit per slot that is not empty. */
  present: number
  /** Bit per slot that holds a leaf. */
  leaves: number
  valid: number
  memo: Uint8Array | undefined
  /** keyHash ‖ valueHash of a leaf (64 bytes), or the hash of a page (32 bytes). */
  readonly slots: (Uint8Array | undefined)[]
  /** Version of the slots that hold pages. */
  readonly version: number[]
}

export const PAGE_FORMAT = 1
const hashBytes = 32
const entries = 32
/** From this many slots in use a page remembers its hashes; below it, hashing again costs less than the memory. */
const memoSlots = 6

export function emptyPage(): Page {
  return {
    present: 0,
    leaves: 0,
    valid: 0,
    memo: undefined,
    slots: new Array<Uint8Array | undefined>(16).fill(undefined),
    version: new Array<number>(16).fill(0),
  }
}

export function copyPage(page: Page): Page {
  const { present, leaves, valid } = page
  return {
    present,
    leaves,
    valid,
    memo: page.memo?.slice(),
    slots: page.slots.slice(),
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
  page.slots[slot] = undefined
  page.version[slot] = 0
  invalidate(page, slot)
}

/** @param leaf keyHash ‖ valueHash, 64 bytes */
export function setLeaf(page: Page, slot: number, leaf: Uint8Array): void {
  page.present |= 1 << slot
  page.leaves |= 1 << slot
  page.slots[slot] = leaf
  page.version[slot] = 0
  invalidate(page, slot)
}

export function setChild(page: Page, slot: number, child: { hash: Uint8Array; version: number }): void {
  page.present |= 1 << slot
  page.leaves &= ~(1 << slot)
  page.slots[slot] = child.hash
  page.version[slot] = child.version
  invalidate(page, slot)
}

/** Hash of heap entry `at` (1 = the page); the caller's own copy. */
export function hashAt(page: Page, at: number): Uint8Array {
  if (page.memo === undefined && slotCount(page) < memoSlots) return computeHash(page, at)
  page.memo ??= new Uint8Array(entries * hashBytes)
  fillMemo(page, page.memo, at)
  return page.memo.slice(at * hashBytes, (at + 1) * hashBytes)
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

/** Bytes that `encodePage` writes. */
export function pageSize(page: Page): number {
  const leafCount = popCount(page.leaves)
  return 5 + leafCount * 64 + (popCount(page.present) - leafCount) * 40
}

/** format(1) ‖ present(2) ‖ leaves(2) ‖ per used slot: leaf keyHash ‖ valueHash, or page hash ‖ version(8). */
export function encodePage(page: Page, out: Uint8Array = new Uint8Array(pageSize(page))): Uint8Array {
  out.set([PAGE_FORMAT, page.present >> 8, page.present & 255, page.leaves >> 8, page.leaves & 255])
  let offset = 5
  for (let slot = 0; slot < 16; slot++) {
    if (!isPresent(page, slot)) continue
    if (isLeaf(page, slot)) {
      out.set(page.slots[slot] as Uint8Array, offset)
      offset += 64
    } else {
      out.set(page.slots[slot] as Uint8Array, offset)
      writeVersion(out, offset + 32, page.version[slot] as number)
      offset += 40
    }
  }
  return out
}

/** @returns undefined when the bytes are not a page */
export function decodePage(bytes: Uint8Array): Page | undefined {
  if (bytes.length < 5 || bytes[0] !== PAGE_FORMAT) return undefined
  const page = emptyPage()
  page.present = ((bytes[1] as number) << 8) | (bytes[2] as number)
  page.leaves = ((bytes[3] as number) << 8) | (bytes[4] as number)
  const leafCount = popCount(page.leaves)
  const childCount = popCount(page.present) - leafCount
  if ((page.leaves & ~page.present) !== 0 || bytes.length !== 5 + leafCount * 64 + childCount * 40)
    return undefined
  let offset = 5
  for (let slot = 0; slot < 16; slot++) {
    if (!isPresent(page, slot)) continue
    if (isLeaf(page, slot)) {
      page.slots[slot] = bytes.slice(offset, offset + 64)
      offset += 64
    } else {
      page.slots[slot] = bytes.slice(offset, offset + 32)
      page.version[slot] = readVersion(bytes, offset + 32)
      offset += 40
    }
  }
  return page
}

/** Eight bytes, big endian. Without a DataView: it would move every small key out of the young heap. */
export function writeVersion(bytes: Uint8Array, offset: number, version: number): void {
  assert(Number.isSafeInteger(version) && version >= 0, 'a tree version is a height')
  let rest = version
  for (let at = offset + 7; at >= offset; at--) {
    bytes[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
}

function readVersion(bytes: Uint8Array, offset: number): number {
  let version = 0
  for (let at = offset; at < offset + 8; at++) version = version * 256 + (bytes[at] as number)
  return version
}

function fillMemo(page: Page, memo: Uint8Array, at: number): void {
  if ((page.valid & (1 << at)) !== 0) return
  const offset = at * hashBytes
  const found = under(page, at)
  if (found === 'empty') memo.set(SPARSE_EMPTY, offset)
  else if (at >= 16) memo.set(slotHash(page, at - 16), offset)
  else if (found === 'subtree') {
    fillMemo(page, memo, 2 * at)
    fillMemo(page, memo, 2 * at + 1)
    // Both halves lie side by side in the heap: one copy takes them.
    nodeInput.set(memo.subarray(2 * offset, 2 * offset + 64), nodePrefix.length)
    memo.set(sha256(nodeInput), offset)
  } else {
    fillMemo(page, memo, 16 + found)
    memo.copyWithin(offset, (16 + found) * hashBytes, (17 + found) * hashBytes)
  }
  page.valid |= 1 << at
}

function computeHash(page: Page, at: number): Uint8Array {
  const found = under(page, at)
  if (found === 'empty') return SPARSE_EMPTY
  if (at >= 16) return slotHash(page, at - 16)
  if (found !== 'subtree') return slotHash(page, found)
  return sparseNodeHash(computeHash(page, 2 * at), computeHash(page, 2 * at + 1))
}

function slotHash(page: Page, slot: number): Uint8Array {
  const content = page.slots[slot] as Uint8Array
  if (!isLeaf(page, slot)) return content
  leafInput.set(content, leafPrefix.length)
  return sha256(leafInput)
}

function invalidate(page: Page, slot: number): void {
  for (let at = 16 + slot; at >= 1; at >>= 1) page.valid &= ~(1 << at)
}

// Hashed from scratch space: taking views of slots and halves would cost more than the hashes.
const leafPrefix = utf8('JMT::LeafNode')
const leafInput = prefixed(leafPrefix)
const nodePrefix = utf8('JMT::IntrnalNode')
const nodeInput = prefixed(nodePrefix)

function prefixed(prefix: Uint8Array): Uint8Array {
  const input = new Uint8Array(prefix.length + 64)
  input.set(prefix)
  return input
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
