import { type FullNode, foldNodes, fullNodes, type LeafRange, merkleLevels } from '@salus/core'
import type { LogFiles } from './log-files.ts'
import { hashesAt, splitHashes } from './log-layout.ts'
import { TILE_WIDTH } from './tile-path.ts'

/** Full tiles kept with their inner nodes: about 60 KB each. */
const CACHED_TILES = 64
/** Tree levels that one tile spans. */
const TILE_HEIGHT = 8

type InnerNodes = readonly (readonly Uint8Array[])[]

/** Tree nodes out of tiles. Full tiles never change, so they are cached; the growing one of each level is in memory. */
export class TileReader {
  readonly #files: LogFiles
  readonly #cache = new Map<string, Promise<InnerNodes>>()
  /** The hashes of the last, not full tile of each level. */
  readonly #tails: Uint8Array[][] = []
  readonly #tailNodes: (InnerNodes | undefined)[] = []
  #size: number

  private constructor(files: LogFiles, size: number) {
    this.#files = files
    this.#size = size
  }

  static async open(files: LogFiles, size: number): Promise<TileReader> {
    const reader = new TileReader(files, size)
    for (let level = 0; hashesAt(level, size) > 0; level++) {
      const count = hashesAt(level, size)
      const tail = count % TILE_WIDTH
      reader.#tails[level] = splitHashes(
        tail === 0 ? new Uint8Array(0) : await files.hashes(level, count - tail, tail),
      )
    }
    return reader
  }

  /** Takes the new hashes of each level after they were committed. */
  extend(size: number, levels: readonly (readonly Uint8Array[])[]): void {
    this.#size = size
    for (const [level, hashes] of levels.entries()) {
      const tail = [...(this.#tails[level] ?? []), ...hashes]
      this.#tails[level] = tail.slice(tail.length - (tail.length % TILE_WIDTH))
      this.#tailNodes[level] = undefined
    }
  }

  /** The hash of a full subtree. */
  async node({ level, index }: FullNode): Promise<Uint8Array> {
    const tileLevel = Math.floor(level / TILE_HEIGHT)
    const height = level % TILE_HEIGHT
    const perTile = TILE_WIDTH / 2 ** height
    const tile = Math.floor(index / perTile)
    const nodes = await this.#tile(tileLevel, tile)
    const hash = nodes[height]?.[index - tile * perTile]
    if (!hash) throw new RangeError(`no node ${index} at level ${level}`)
    return hash
  }

  /** The hash over each range of leaves, in order. */
  async ranges(ranges: readonly LeafRange[]): Promise<Uint8Array[]> {
    return Promise.all(
      ranges.map(async (range) =>
        foldNodes(await Promise.all(fullNodes(range).map((node) => this.node(node)))),
      ),
    )
  }

  async #tile(level: number, tile: number): Promise<InnerNodes> {
    if (tile === Math.floor(hashesAt(level, this.#size) / TILE_WIDTH)) {
      const nodes = this.#tailNodes[level] ?? merkleLevels(this.#tails[level] ?? [])
      this.#tailNodes[level] = nodes
      return nodes
    }
    const key = `${level}/${tile}`
    const cached = this.#cache.get(key)
    const nodes =
      cached ??
      this.#files
        .hashes(level, tile * TILE_WIDTH, TILE_WIDTH)
        .then((bytes) => merkleLevels(splitHashes(bytes)))
    // Taking it out and putting it in again keeps the map in order of use.
    this.#cache.delete(key)
    this.#cache.set(key, nodes)
    if (!cached) {
      nodes.catch(() => this.#cache.delete(key))
      const [oldest] = this.#cache.keys()
      if (this.#cache.size > CACHED_TILES && oldest !== undefined) this.#cache.delete(oldest)
    }
    return nodes
  }
}
