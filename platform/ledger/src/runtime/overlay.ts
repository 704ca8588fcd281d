import { compareBytes } from '@salus/core'
import { startsWith } from '../state/memory-store.ts'
import type { Entry, ScanOptions, StateStore } from '../state/store.ts'
import { nameOf } from './keys.ts'

/** Rows as a contract's tables see them: of the store, or of a block being executed. */
export interface Rows {
  /** `table`: the prefix of its keys, as a name. */
  get(table: string, key: Uint8Array): Uint8Array | undefined
  scan(table: string, prefix: Uint8Array, options: ScanOptions): Iterable<Entry>
}

type Change = readonly [key: Uint8Array, value: Uint8Array | undefined]
type Changes = Map<string, Change>

/**
 * The changes of a block over the store, with one savepoint for the body that runs: `keep` makes the body's
 * changes part of the block's, `undo` forgets them.
 */
export interface Overlay extends Rows {
  put(table: string, key: Uint8Array, value: Uint8Array | undefined): void
  keep(): void
  undo(): void
  /** Every row the kept bodies changed, once each. */
  changes(): Change[]
}

/** The store's rows as they are. */
export function storedRows(store: StateStore): Rows {
  return {
    get: (_table, key) => store.get(key),
    scan: (_table, prefix, options) => store.scan(prefix, options),
  }
}

export function openOverlay(store: StateStore): Overlay {
  const kept = new Map<string, Changes>()
  const running = new Map<string, Changes>()

  function* scan(table: string, prefix: Uint8Array, options: ScanOptions): Iterable<Entry> {
    const changed = changesUnder(prefix, options.after, kept.get(table), running.get(table))
    let left = options.limit ?? Number.MAX_SAFE_INTEGER
    if (left <= 0) return
    let at = 0
    // The limit is not passed on: removed rows do not count.
    for (const stored of store.scan(prefix, options.after === undefined ? {} : { after: options.after })) {
      let replaced = false
      for (; at < changed.length; at++) {
        const [key, value] = changed[at] as Change
        const order = compareBytes(key, stored[0])
        if (order > 0) break
        if (order === 0) replaced = true
        if (value === undefined) continue
        yield [key, value]
        if (--left === 0) return
      }
      if (replaced) continue
      yield stored
      if (--left === 0) return
    }
    for (; at < changed.length; at++) {
      const [key, value] = changed[at] as Change
      if (value === undefined) continue
      yield [key, value]
      if (--left === 0) return
    }
  }

  return {
    get(table, key) {
      const name = nameOf(key)
      const change = running.get(table)?.get(name) ?? kept.get(table)?.get(name)
      return change === undefined ? store.get(key) : change[1]
    },
    scan,
    put(table, key, value) {
      const changes = running.get(table) ?? new Map<string, Change>()
      running.set(table, changes)
      changes.set(nameOf(key), [key, value])
    },
    keep() {
      for (const [table, changes] of running) {
        const before = kept.get(table)
        if (before === undefined) kept.set(table, changes)
        else for (const [name, change] of changes) before.set(name, change)
      }
      running.clear()
    },
    undo: () => running.clear(),
    changes: () => [...kept.values()].flatMap((changes) => [...changes.values()]),
  }
}

/** Changes under a prefix and behind `after`, later ones winning, in order of their keys. */
function changesUnder(
  prefix: Uint8Array,
  after: Uint8Array | undefined,
  ...layers: readonly (Changes | undefined)[]
): Change[] {
  const found: Changes = new Map()
  for (const layer of layers) {
    for (const [name, change] of layer ?? []) {
      if (!startsWith(change[0], prefix)) continue
      if (after !== undefined && compareBytes(change[0], after) <= 0) continue
      found.set(name, change)
    }
  }
  return [...found.values()].sort((a, b) => compareBytes(a[0], b[0]))
}
