import { utf8 } from '@salus/core'
import { beforeEach, expect, test } from 'vitest'
import { auditState, HISTORY_HEIGHTS, openTree, type StateChange, type StateStore } from './index.ts'

/** What every StateStore must do. `make` gives an empty one; `reopen` closes it and opens the same data again. */
export function stateStoreSuite(make: () => StateStore, reopen: (store: StateStore) => StateStore): void {
  let store: StateStore
  beforeEach(() => {
    store = make()
  })

  test('an empty store has no height, no rows, no blocks', () => {
    expect(store.height()).toBeUndefined()
    expect(store.get(utf8('a'))).toBeUndefined()
    expect([...store.scan(utf8(''))]).toEqual([])
    expect(store.block(0)).toBeUndefined()
  })

  test('a commit is seen whole, and again after reopening', () => {
    store.commit(change(0, { a: '1', b: '2' }, { meta: [['head', utf8('h0')]] }))
    store.commit(
      change(
        1,
        { a: undefined, c: '3' },
        {
          meta: [
            ['head', undefined],
            ['later', utf8('x')],
          ],
        },
      ),
    )
    const check = () => {
      expect(store.height()).toBe(1)
      expect(store.get(utf8('a'))).toBeUndefined()
      expect(store.get(utf8('c'))).toEqual(utf8('3'))
      expect(store.getMeta('head')).toBeUndefined()
      expect(store.getMeta('later')).toEqual(utf8('x'))
      expect(store.block(1)).toEqual(utf8('block 1'))
      expect(store.outcome(1)).toEqual(utf8('outcome 1'))
      expect(store.replaced(1)).toEqual([[utf8('a'), utf8('1')]])
    }
    check()
    store = reopen(store)
    check()
  })

  test('rows come in order of bytes, by prefix, after a key, up to a limit', () => {
    const names = ['b', 'a', 'a\u0000', 'ab', 'aa', 'a\u007f', 'c']
    store.commit(change(0, Object.fromEntries(names.map((name) => [name, name]))))
    const scan = (prefix: string, options: { after?: string; limit?: number } = {}) => {
      const { after, limit } = options
      const found = store.scan(utf8(prefix), {
        ...(after !== undefined && { after: utf8(after) }),
        ...(limit !== undefined && { limit }),
      })
      return Array.from(found, ([key]) => new TextDecoder().decode(key))
    }
    expect(scan('a')).toEqual(['a', 'a\u0000', 'aa', 'ab', 'a\u007f'])
    expect(scan('a', { after: 'aa' })).toEqual(['ab', 'a\u007f'])
    expect(scan('a', { after: 'a', limit: 2 })).toEqual(['a\u0000', 'aa'])
    expect(scan('a', { after: 'b' })).toEqual([])
    expect(scan('b', { after: 'a' })).toEqual(['b'])
    expect(scan('', { limit: 0 })).toEqual([])
    expect(scan('').length).toBe(names.length)
  })

  test('bytes handed out are the caller’s own', () => {
    store.commit(change(0, { a: 'one' }))
    store.get(utf8('a'))?.fill(0)
    for (const [key, value] of store.scan(utf8(''))) {
      key.fill(0)
      value.fill(0)
    }
    expect(store.get(utf8('a'))).toEqual(utf8('one'))
    expect(Buffer.isBuffer(store.get(utf8('a')))).toBe(false)
  })

  test('a block that is not the next one is refused and changes nothing', () => {
    store.commit(change(0, { a: '1' }))
    expect(() => store.commit(change(0, { a: '2' }))).toThrow(
      expect.objectContaining({ code: 'STORE_MOVED' }),
    )
    expect(() => store.commit(change(2, { a: '2' }))).toThrow(
      expect.objectContaining({ code: 'STORE_MOVED' }),
    )
    expect(store.get(utf8('a'))).toEqual(utf8('1'))
    expect(store.height()).toBe(0)
  })

  test('a change that cannot be written changes nothing', () => {
    store.commit(change(0, { a: '1' }))
    const puts = [
      [utf8('b'), utf8('2')],
      [new Uint8Array(0), utf8('3')],
    ] as StateChange['puts']
    expect(() => store.commit({ ...change(1, {}), puts })).toThrow()
    expect(store.height()).toBe(0)
    expect(store.get(utf8('b'))).toBeUndefined()
    store.commit(change(1, { b: '2' }))
    expect(store.get(utf8('b'))).toEqual(utf8('2'))
  })

  test('values from nothing to a megabyte come back as they were', () => {
    const sizes = [0, 1, 63, 64, 4_096, 100_000, 1_048_576]
    const puts = sizes.map((size) => [utf8(`row ${size}`), new Uint8Array(size).fill(size & 255)] as const)
    store.commit({ ...change(0, {}), puts })
    for (const [key, value] of puts) expect(store.get(key)).toEqual(value)
    store = reopen(store)
    for (const [key, value] of puts) expect(store.get(key)).toEqual(value)
  })

  test('tree, rows and past values agree after many blocks; old versions are pruned', () => {
    const tree = openTree(store)
    const roots: Uint8Array[] = []
    const past = HISTORY_HEIGHTS + 20
    for (let height = 0; height <= past; height++) {
      const puts = [
        [utf8(`row ${height % 7}`), utf8(`value ${height}`)],
        [utf8(`gone ${height % 5}`), height % 2 === 0 ? utf8('here') : undefined],
      ] as const
      const update = tree.update(height, puts)
      const { nodes, staleNodes } = update
      store.commit({
        height,
        puts,
        nodes,
        staleNodes,
        meta: [],
        block: new Uint8Array(1),
        outcome: new Uint8Array(0),
      })
      tree.adopt(update)
      roots.push(update.root)
    }
    const cold = openTree(store)
    expect(cold.root(20)).toEqual(roots[20])
    expect(() => cold.root(19)).toThrow(expect.objectContaining({ code: 'PRUNED' }))
    expect(() => cold.root(past + 1)).toThrow(expect.objectContaining({ code: 'HEIGHT' }))
    expect(cold.valueAt(utf8('row 3'), past - 10)).toEqual(utf8(`value ${lastWith(past - 10, 7, 3)}`))
    expect(cold.valueAt(utf8('row 9'), past - 10)).toBeUndefined()
    expect(auditState(store, roots[past])).toMatchObject({ height: past, findings: [] })
  }, 20_000)
}

/** The greatest height up to `top` that leaves `rest` when divided by `by`. */
function lastWith(top: number, by: number, rest: number): number {
  let height = top
  while (height % by !== rest) height--
  return height
}

export function change(
  height: number,
  rows: Readonly<Record<string, string | undefined>>,
  more: Partial<StateChange> = {},
): StateChange {
  const puts = Object.entries(rows).map(
    ([key, value]) => [utf8(key), value === undefined ? undefined : utf8(value)] as const,
  )
  return {
    height,
    puts,
    nodes: [],
    staleNodes: [],
    meta: [],
    block: utf8(`block ${height}`),
    outcome: utf8(`outcome ${height}`),
    ...more,
  }
}
