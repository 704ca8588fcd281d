import { type Frontier, leafHash } from '@salus/core'
import type { Growth } from './log-files.ts'
import { HASH_BYTES, OFFSET_BYTES } from './log-layout.ts'
import { TILE_WIDTH } from './tile-path.ts'

/** Leaves worked into the tree, not yet on disk. */
export interface Batch {
  readonly growth: Growth
  /** New hashes of each tile level, as `growth.levels` has them in bytes. */
  readonly levels: readonly (readonly Uint8Array[])[]
  readonly frontier: Frontier
}

/** What `leaves` add to a log whose right edge is `before` and whose entries take `entriesBytes`. */
export function integrate(before: Frontier, entriesBytes: number, leaves: readonly Uint8Array[]): Batch {
  const frontier = before.clone()
  const levels: Uint8Array[][] = []
  const ends: number[] = []
  const entries = new Uint8Array(leaves.reduce((sum, leaf) => sum + 2 + leaf.length, 0))
  let at = 0
  for (const leaf of leaves) {
    entries[at] = leaf.length >> 8
    entries[at + 1] = leaf.length & 0xff
    entries.set(leaf, at + 2)
    at += 2 + leaf.length
    frontier.append(leafHash(leaf), ({ level }, hash) => {
      if (level % 8 !== 0) return
      const hashes = levels[level / 8] ?? []
      levels[level / 8] = hashes
      hashes.push(hash)
    })
    if (frontier.size % TILE_WIDTH === 0) ends.push(entriesBytes + at)
  }
  return { growth: { entries, index: offsets(ends), levels: levels.map(joined) }, levels, frontier }
}

function offsets(ends: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(ends.length * OFFSET_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, end] of ends.entries()) view.setBigUint64(i * OFFSET_BYTES, BigInt(end))
  return bytes
}

function joined(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES)
  for (const [i, hash] of hashes.entries()) bytes.set(hash, i * HASH_BYTES)
  return bytes
}
