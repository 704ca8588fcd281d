import { AppError, assert, compareBytes } from '@salus/core'
import {
  type Entry,
  HISTORY_HEIGHTS,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  type StateChange,
  type StateStore,
} from './store.ts'

/** The in-memory twin of the LMDB store: same behaviour, nothing durable. */
export function memoryStore(): StateStore {
  const rows = new Map<string, Entry>()
  /** Row keys in order of bytes; undefined while rows were added or removed since it was made. */
  let order: Uint8Array[] | undefined = []
  const nodes = new Map<string, Uint8Array>()
  const stale = new Map<number, { nodes: string[]; replaced: Entry[] }>()
  const meta = new Map<string, Uint8Array>()
  const blocks: Uint8Array[] = []
  const outcomes: Uint8Array[] = []

  function keysInOrder(): Uint8Array[] {
    order ??= [...rows.values()].map(([key]) => key).sort(compareBytes)
    return order
  }

  function* scan(prefix: Uint8Array, options: { after?: Uint8Array; limit?: number } = {}): Iterable<Entry> {
    const keys = keysInOrder()
    const { after } = options
    let left = options.limit ?? Number.POSITIVE_INFINITY
    let at = firstNotBelow(keys, after && compareBytes(after, prefix) > 0 ? after : prefix)
    for (; at < keys.length && left > 0; at++) {
      const key = keys[at] as Uint8Array
      if (!startsWith(key, prefix)) return
      if (after && compareBytes(key, after) <= 0) continue
      left--
      yield [key.slice(), (rows.get(nameOf(key)) as Entry)[1].slice()]
    }
  }

  function commit(change: StateChange): void {
    checkChange(change, blocks.length - 1, 'memory')
    const replaced: Entry[] = []
    for (const [key, value] of change.puts) {
      const name = nameOf(key)
      const before = rows.get(name)
      if (before) replaced.push(before)
      if ((before === undefined) !== (value === undefined)) order = undefined
      if (value === undefined) rows.delete(name)
      else rows.set(name, [key.slice(), value.slice()])
    }
    for (const [key, bytes] of change.nodes) nodes.set(nameOf(key), bytes.slice())
    for (const [name, value] of change.meta) {
      if (value === undefined) meta.delete(name)
      else meta.set(name, value.slice())
    }
    stale.set(change.height, { nodes: change.staleNodes.map(nameOf), replaced })
    blocks.push(change.block.slice())
    outcomes.push(change.outcome.slice())
    const expired = change.height - HISTORY_HEIGHTS
    for (const name of stale.get(expired)?.nodes ?? []) nodes.delete(name)
    stale.delete(expired)
  }

  return {
    place: 'memory',
    height: () => (blocks.length === 0 ? undefined : blocks.length - 1),
    get: (key) => rows.get(nameOf(key))?.[1].slice(),
    scan,
    getMeta: (name) => meta.get(name)?.slice(),
    node: (key) => nodes.get(nameOf(key))?.slice(),
    block: (height) => blocks[height]?.slice(),
    outcome: (height) => outcomes[height]?.slice(),
    replaced: (height) =>
      (stale.get(height)?.replaced ?? []).map(([key, value]) => [key.slice(), value.slice()]),
    commit,
    close: () => {},
  }
}

/**
 * What every store checks before it writes.
 * @throws {AppError} STORE_MOVED when `change` is not for the height after `head` (-1 when empty)
 */
export function checkChange(change: StateChange, head: number, place: string): void {
  if (change.height !== head + 1)
    throw new AppError(
      'STORE_MOVED',
      `${place}: block ${change.height} does not follow the stored head ${head}; another process may have written`,
      { height: change.height, head },
    )
  for (const [key, value] of change.puts) {
    assert(key.length > 0 && key.length <= MAX_KEY_BYTES, `a row's key has 1 to ${MAX_KEY_BYTES} bytes`)
    assert(
      value === undefined || value.length <= MAX_VALUE_BYTES,
      `a row has at most ${MAX_VALUE_BYTES} bytes`,
    )
  }
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false
  for (let at = 0; at < prefix.length; at++) if (bytes[at] !== prefix[at]) return false
  return true
}

function firstNotBelow(keys: readonly Uint8Array[], bound: Uint8Array): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareBytes(keys[middle] as Uint8Array, bound) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** One character per byte: a Map key that keeps bytes apart. */
function nameOf(bytes: Uint8Array): string {
  let name = ''
  for (let at = 0; at < bytes.length; at++) name += String.fromCharCode(bytes[at] as number)
  return name
}
