import { AppError, equal, Frontier, leafHash, openCheckpoint, type VerifierKey } from '@salus/core'
import type { Disk } from '@salus/host'
import { HASH_BYTES, hashesAt, logPaths, OFFSET_BYTES, readEntries } from './log-layout.ts'
import { TILE_WIDTH } from './tile-path.ts'

export interface LogProblem {
  /** Path on the disk; empty for what concerns the log as a whole. */
  readonly file: string
  /** What is wrong, in words. */
  readonly what: string
}

export interface LogVerdict {
  readonly ok: boolean
  readonly size: number
  readonly problems: readonly LogProblem[]
}

/** Problems after which the rest is not looked for. */
const PROBLEMS_MAX = 100
/** Full bundles read at once. */
const STRIDE = 64

/**
 * Recomputes a whole log from its entries: every hash of every tile level, the bundle index, and the root of the signed
 * checkpoint. Reads only, in pieces of at most 4 MiB for 32-byte leaves; run it on a log that nobody appends to, or on a copy.
 * @param held signed checkpoints of this log that others hold (receipts, witnesses): the log must extend each
 * @param anchors sizes and roots that somebody else vouches for (the ledger's anchors): the log must extend each
 * @param onLeaf sees every leaf that is under the checkpoint, in order
 */
export async function verifyLog(
  disk: Disk,
  path: string,
  vkey: VerifierKey,
  {
    held = [],
    anchors = [],
    onLeaf = () => {},
  }: {
    readonly held?: readonly string[]
    readonly anchors?: readonly { readonly size: number; readonly root: Uint8Array }[]
    readonly onLeaf?: (leaf: Uint8Array, index: number) => void
  } = {},
): Promise<LogVerdict> {
  const paths = logPaths(path)
  const problems: LogProblem[] = []
  const report = (file: string, what: string) =>
    problems.length < PROBLEMS_MAX && problems.push({ file, what })

  const bytes = await disk.read(paths.checkpoint)
  const signed = bytes && opened(bytes, vkey)
  if (typeof signed !== 'object') {
    report(paths.checkpoint, signed ?? 'is missing')
    return { ok: false, size: 0, problems }
  }
  const { size, root } = signed
  const promised = heldCheckpoints(held, vkey, size, report)
  for (const anchor of anchors) {
    if (anchor.size > size)
      report('', `rolled back: ${anchor.size} leaves are anchored on the ledger, the log has ${size}`)
    else promise(promised, anchor, report)
  }
  const frontier = new Frontier()
  const rewritten: number[] = []
  const levels = new HashFiles(disk, paths.hashes, size, report)
  let begin = 0
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle += STRIDE) {
    const count = Math.min(STRIDE * TILE_WIDTH, size - bundle * TILE_WIDTH)
    const read = await readStride(disk, paths.entries, begin, count)
    if (!read) {
      report(paths.entries, `ends before entry ${size}`)
      break
    }
    for (const entry of read.entries) {
      onLeaf(entry, frontier.size)
      frontier.append(leafHash(entry), ({ level, index }, hash) => {
        if (level % 8 === 0) levels.expect(level / 8, index, hash)
      })
      const heldRoot = promised.get(frontier.size)
      if (heldRoot && !equal(heldRoot, frontier.root())) rewritten.push(frontier.size)
    }
    await checkIndex(
      disk,
      paths.index,
      bundle,
      read.ends.map((end) => begin + end),
      report,
    )
    begin += read.endBytes
    await levels.compare()
  }
  const isSigned = frontier.size === size && equal(frontier.root(), root)
  // Entries and hashes differ: those that lead to the signed root, and to what others hold, are the ones that were logged.
  const first = levels.firstWrongLeaf
  if (!isSigned && first !== undefined && (await hashesLeadTo(disk, paths.hashes(0), root, size, promised))) {
    const kept = problems.filter(({ file }) => !levels.isHashFile(file))
    kept.push({
      file: paths.entries,
      what: `entry ${first} does not match its hash, which leads to the signed root`,
    })
    return { ok: false, size, problems: kept }
  }
  for (const at of rewritten)
    report(
      '',
      `a checkpoint held elsewhere has another root for the first ${at} leaves: the log was rewritten`,
    )
  if (frontier.size === size && !isSigned)
    report(paths.checkpoint, `its root is not that of the ${size} entries`)
  return { ok: problems.length === 0, size, problems }
}

type Report = (file: string, what: string) => void

/** The checkpoint, or what is wrong with it. */
function opened(note: Uint8Array | string, vkey: VerifierKey): { size: number; root: Uint8Array } | string {
  try {
    const { checkpoint } = openCheckpoint(note, [vkey])
    return checkpoint.origin === vkey.name ? checkpoint : 'is of a log with another origin'
  } catch (error) {
    return error instanceof AppError ? `does not verify (${error.message})` : 'does not verify'
  }
}

function heldCheckpoints(
  held: readonly string[],
  vkey: VerifierKey,
  size: number,
  report: Report,
): Map<number, Uint8Array> {
  const promised = new Map<number, Uint8Array>()
  for (const note of held) {
    const checkpoint = opened(note, vkey)
    if (typeof checkpoint === 'string') report('', `a checkpoint held elsewhere ${checkpoint}`)
    else if (checkpoint.size > size)
      report('', `rolled back: a signed checkpoint of ${checkpoint.size} leaves exists, the log has ${size}`)
    else promise(promised, checkpoint, report)
  }
  return promised
}

function promise(
  promised: Map<number, Uint8Array>,
  { size, root }: { readonly size: number; readonly root: Uint8Array },
  report: Report,
): void {
  if (size === 0) return
  const other = promised.get(size)
  if (other && !equal(other, root)) report('', `two checkpoints of ${size} leaves differ: the log was forked`)
  promised.set(size, root)
}

/** Whether the stored leaf hashes give the signed root, and every root that others vouch for. */
async function hashesLeadTo(
  disk: Disk,
  path: string,
  root: Uint8Array,
  size: number,
  promised: ReadonlyMap<number, Uint8Array>,
): Promise<boolean> {
  const frontier = new Frontier()
  while (frontier.size < size) {
    const count = Math.min(STRIDE * TILE_WIDTH, size - frontier.size)
    const bytes = await disk.readRange(path, frontier.size * HASH_BYTES, count * HASH_BYTES)
    if (bytes.length < count * HASH_BYTES) return false
    for (let i = 0; i < count; i++) {
      frontier.append(bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES))
      const other = promised.get(frontier.size)
      if (other && !equal(other, frontier.root())) return false
    }
  }
  return equal(frontier.root(), root)
}

/** `count` entries from byte `begin`, growing the window until they fit. */
async function readStride(disk: Disk, path: string, begin: number, count: number) {
  if (!(await disk.stat(path))) return undefined
  for (let windowBytes = count * 34; ; windowBytes *= 4) {
    const bytes = await disk.readRange(path, begin, windowBytes)
    const read = readEntries(bytes, count)
    if (read) {
      const ends: number[] = []
      let at = 0
      for (const [i, entry] of read.entries.entries()) {
        at += 2 + entry.length
        if ((i + 1) % TILE_WIDTH === 0) ends.push(at)
      }
      return { ...read, ends }
    }
    if (bytes.length < windowBytes) return undefined
  }
}

async function checkIndex(
  disk: Disk,
  path: string,
  bundle: number,
  ends: readonly number[],
  report: Report,
): Promise<void> {
  if (ends.length === 0) return
  const bytes = (await disk.stat(path))
    ? await disk.readRange(path, bundle * OFFSET_BYTES, ends.length * OFFSET_BYTES)
    : new Uint8Array(0)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (const [i, end] of ends.entries()) {
    const at = i * OFFSET_BYTES
    if (at + OFFSET_BYTES > bytes.length || view.getBigUint64(at) !== BigInt(end)) {
      report(path, `does not say where bundle ${bundle + i} ends`)
      return
    }
  }
}

/** Compares the hash files with what the entries give, a run of hashes at a time. */
class HashFiles {
  readonly #disk: Disk
  readonly #pathOf: (level: number) => string
  readonly #size: number
  readonly #report: Report
  readonly #runs: { start: number; hashes: Uint8Array[] }[] = []
  readonly #wrongFiles = new Set<string>()
  /** The first entry whose hash is not the stored one. */
  firstWrongLeaf: number | undefined

  constructor(disk: Disk, pathOf: (level: number) => string, size: number, report: Report) {
    this.#disk = disk
    this.#pathOf = pathOf
    this.#size = size
    this.#report = report
  }

  /** Whether this is a file of hashes that differs from the entries. */
  isHashFile(path: string): boolean {
    return this.#wrongFiles.has(path)
  }

  expect(level: number, index: number, hash: Uint8Array): void {
    const run = this.#runs[level] ?? { start: index, hashes: [] }
    this.#runs[level] = run
    run.hashes.push(hash)
  }

  async compare(): Promise<void> {
    for (const [level, { start, hashes }] of this.#runs.entries()) {
      const path = this.#pathOf(level)
      const bytes = (await this.#disk.stat(path))
        ? await this.#disk.readRange(path, start * HASH_BYTES, hashes.length * HASH_BYTES)
        : new Uint8Array(0)
      let lastTile = -1
      for (const [i, hash] of hashes.entries()) {
        const tile = Math.floor((start + i) / TILE_WIDTH)
        if (tile === lastTile || equal(bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), hash)) continue
        lastTile = tile
        this.#wrongFiles.add(path)
        if (level === 0) this.firstWrongLeaf ??= start + i
        this.#report(
          path,
          `tile ${level}/${tile}: hash ${start + i} of ${hashesAt(level, this.#size)} is not that of the entries`,
        )
      }
    }
    this.#runs.length = 0
  }
}
