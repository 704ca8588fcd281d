import {
  AppError,
  equal,
  Frontier,
  leafHash,
  type OpenedCheckpoint,
  openCheckpoint,
  type VerifierKey,
} from '@salus/core'
import { formatTilePath, readEntries, TILE_WIDTH } from '@salus/log'

export interface RemoteLogProblem {
  /** Resource of the log: `checkpoint`, `tile/…`. */
  readonly resource: string
  readonly what: string
}

export interface RemoteLog {
  readonly size: number
  readonly opened: OpenedCheckpoint | undefined
  readonly problems: readonly RemoteLogProblem[]
}

/** Tile levels that are compared one by one: 16 million leaves. */
const LEVELS_MAX = 3

/**
 * Recomputes a log that a node serves as C2SP tlog-tiles: every entry bundle, every tile, and the root of the signed
 * checkpoint; and that it extends what others vouch for.
 * @param keys keys of the log; the checkpoint must be signed by one of them
 */
export async function verifyRemoteLog(options: {
  readonly get: (resource: string) => Promise<Uint8Array>
  readonly origin: string
  readonly keys: readonly VerifierKey[]
  readonly anchors?: readonly { readonly size: number; readonly root: Uint8Array }[]
  readonly onLeaf?: (leaf: Uint8Array, index: number) => void
}): Promise<RemoteLog> {
  const { get, origin, keys, anchors = [], onLeaf = () => {} } = options
  const problems: RemoteLogProblem[] = []
  const report = (resource: string, what: string) => problems.push({ resource, what })
  let opened: OpenedCheckpoint
  try {
    opened = openCheckpoint(await get('checkpoint'), keys)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { size: 0, opened: undefined, problems: [{ resource: 'checkpoint', what: error.message }] }
  }
  const { size, root } = opened.checkpoint
  if (opened.checkpoint.origin !== origin) report('checkpoint', `is of the log ${opened.checkpoint.origin}`)
  const roots = new Map(anchors.map((anchor) => [anchor.size, anchor.root]))
  for (const anchor of anchors)
    if (anchor.size > size)
      report(
        'checkpoint',
        `rolled back: ${anchor.size} leaves are anchored on the ledger, the log has ${size}`,
      )
  const levels: Uint8Array[][] = []
  const frontier = new Frontier()
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    const width = Math.min(TILE_WIDTH, size - bundle * TILE_WIDTH)
    const resource = formatTilePath({ level: 'entries', index: bundle, width })
    const read = readEntries(await get(resource), width)
    if (read === undefined) {
      report(resource, `holds fewer than ${width} entries`)
      break
    }
    for (const entry of read.entries) {
      onLeaf(entry, frontier.size)
      frontier.append(leafHash(entry), ({ level }, hash) => {
        if (level % 8 !== 0 || level / 8 >= LEVELS_MAX) return
        const own = levels[level / 8] ?? []
        own.push(hash)
        levels[level / 8] = own
      })
      const promised = roots.get(frontier.size)
      if (promised !== undefined && !equal(promised, frontier.root()))
        report('checkpoint', `rewritten: another root for ${frontier.size} leaves is anchored on the ledger`)
    }
  }
  if (frontier.size === size && !equal(frontier.root(), root))
    report('checkpoint', `its root is not that of the ${size} entries`)
  for (const [level, hashes] of levels.entries()) await compareTiles(get, level, hashes, report)
  return { size, opened, problems }
}

async function compareTiles(
  get: (resource: string) => Promise<Uint8Array>,
  level: number,
  hashes: readonly Uint8Array[],
  report: (resource: string, what: string) => void,
): Promise<void> {
  for (let tile = 0; tile * TILE_WIDTH < hashes.length; tile++) {
    const own = hashes.slice(tile * TILE_WIDTH, (tile + 1) * TILE_WIDTH)
    const resource = formatTilePath({ level, index: tile, width: own.length })
    const served = await get(resource)
    const wrong = own.findIndex((hash, i) => {
      const held = served.subarray(i * 32, (i + 1) * 32)
      return held.length !== 32 || !equal(held, hash)
    })
    if (wrong >= 0) report(resource, `hash ${wrong} is not that of the entries`)
  }
}
