import {
  compareBytes,
  keyHashOf,
  SPARSE_EMPTY,
  sparseProofOf,
  sparseRootOf,
  toHex,
  utf8,
  valueHashOf,
  verifySparse,
} from '@salus/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  auditState,
  memoryStore,
  openTree,
  type StateStore,
  type StateTree,
  type TreeChange,
} from './index.ts'

test('an empty ledger has the empty root', () => {
  expect(openTree(memoryStore()).root()).toEqual(SPARSE_EMPTY)
})

test('property: the root depends on the set of entries alone, at every height', () => {
  fc.assert(
    fc.property(blocks, fc.integer({ min: 4, max: 64 }), (changes, cachePages) => {
      const store = memoryStore()
      const tree = openTree(store, { cachePages })
      const rows = new Map<string, string>()
      const roots: Uint8Array[] = []
      changes.forEach((block, height) => {
        for (const [name, value] of block) value === undefined ? rows.delete(name) : rows.set(name, value)
        const root = commit(store, tree, height, block)
        expect(toHex(root)).toBe(toHex(sparseRootOf(leavesOf(rows))))
        roots.push(root)
      })
      expect(auditState(store, roots.at(-1)).findings).toEqual([])
      for (const [height, root] of roots.entries()) expect(openTree(store).root(height)).toEqual(root)
    }),
    { numRuns: 150 },
  )
})

test('property: proofs are those of the definition, at the head and at every height kept', () => {
  fc.assert(
    fc.property(blocks, (changes) => {
      const store = memoryStore()
      const tree = openTree(store)
      const rows = new Map<string, string>()
      const at: { root: Uint8Array; rows: Map<string, string> }[] = []
      changes.forEach((block, height) => {
        for (const [name, value] of block) value === undefined ? rows.delete(name) : rows.set(name, value)
        at.push({ root: commit(store, tree, height, block), rows: new Map(rows) })
      })
      at.forEach(({ root, rows }, height) => {
        for (const name of names) {
          const key = utf8(name)
          const text = rows.get(name)
          const value = text === undefined ? undefined : utf8(text)
          const proof = tree.prove(key, height)
          expect(proof).toEqual(sparseProofOf(leavesOf(rows), key))
          expect(verifySparse({ root, key, value, proof })).toBe(true)
          expect(verifySparse({ root, key, value: utf8('another'), proof })).toBe(false)
          if (value) expect(verifySparse({ root, key, value: undefined, proof })).toBe(false)
          expect(tree.valueAt(key, height)).toEqual(value)
        }
      })
    }),
    { numRuns: 40 },
  )
})

test('pages are replaced, never left behind: what is not stale is exactly the head’s tree', () => {
  const store = memoryStore()
  const tree = openTree(store)
  const live = new Set<string>()
  for (let height = 0; height < 60; height++) {
    const block: TreeChange[] = []
    for (let at = 0; at < 40; at++)
      block.push([
        utf8(`k${(height * 31 + at * 17) % 400}`),
        (height + at) % 3 === 0 ? undefined : utf8(`${height}`),
      ])
    const update = tree.update(height, block)
    for (const key of update.staleNodes) expect(live.delete(toHex(key))).toBe(true)
    for (const [key] of update.nodes) live.add(toHex(key))
    const { nodes, staleNodes } = update
    store.commit({
      height,
      puts: block,
      nodes,
      staleNodes,
      meta: [],
      block: new Uint8Array(0),
      outcome: new Uint8Array(0),
    })
    tree.adopt(update)
  }
  expect(live.size).toBe(auditState(store).pages)
})

test('an update is for the next height, and a key occurs once', () => {
  const tree = openTree(memoryStore())
  expect(() => tree.update(1, [])).toThrow('height after the head')
  const twice: TreeChange[] = [
    [utf8('a'), utf8('1')],
    [utf8('a'), utf8('2')],
  ]
  expect(() => tree.update(0, twice)).toThrow('once')
})

test('the audit names the row and the page that are wrong', () => {
  const rows = new Map(Array.from({ length: 300 }, (_, at) => [`row ${at}`, `value ${at}`]))
  const store = memoryStore()
  const root = commit(store, openTree(store), 0, [...rows])
  const wrongRow: StateStore = {
    ...store,
    *scan(prefix) {
      for (const [key, value] of store.scan(prefix))
        yield [key, compareBytes(key, utf8('row 7')) === 0 ? utf8('forged') : value]
    },
  }
  expect(auditState(wrongRow, root).findings.map((finding) => [finding.kind, finding.at])).toEqual([
    ['row', toHex(utf8('row 7'))],
    ['root', 'of height 0'],
  ])
  const path = toHex(keyHashOf(utf8('row 7'))).slice(0, 1)
  const wrongPage: StateStore = {
    ...store,
    node(key) {
      const bytes = store.node(key)
      if (bytes && key.length === 9 && key[8] === Number.parseInt(path, 16))
        bytes[40] = (bytes[40] as number) ^ 1
      return bytes
    },
  }
  expect(auditState(wrongPage, root).findings[0]).toMatchObject({ kind: 'page', at: path })
  const missing: StateStore = { ...store, node: (key) => (key.length === 9 ? undefined : store.node(key)) }
  expect(auditState(missing, root).findings[0]?.message).toContain('memory: page 0 of height 0 is missing')
})

/** Few names, so that keys are overwritten, removed and put again. */
const names = Array.from({ length: 40 }, (_, at) => `n${at}`)
const blocks = fc.array(
  fc.uniqueArray(
    fc.tuple(fc.constantFrom(...names), fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined })),
    {
      selector: ([name]) => name,
      maxLength: 30,
    },
  ),
  { minLength: 1, maxLength: 8 },
)

function commit(
  store: StateStore,
  tree: StateTree,
  height: number,
  block: readonly (readonly [string, string | undefined])[],
): Uint8Array {
  const puts = block.map(
    ([name, value]) => [utf8(name), value === undefined ? undefined : utf8(value)] as const,
  )
  const update = tree.update(height, puts)
  const { nodes, staleNodes, root } = update
  store.commit({
    height,
    puts,
    nodes,
    staleNodes,
    meta: [],
    block: new Uint8Array(0),
    outcome: new Uint8Array(0),
  })
  tree.adopt(update)
  return root
}

function leavesOf(rows: ReadonlyMap<string, string>) {
  return [...rows].map(([name, value]) => ({
    keyHash: keyHashOf(utf8(name)),
    valueHash: valueHashOf(utf8(value)),
  }))
}
