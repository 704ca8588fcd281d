import { bytes, compareBytes, object, text, toHex, uint } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../state/memory-store.ts'
import { openTree } from '../state/tree.ts'
import { defineContract } from './define.ts'
import { keyCodec, stateKey } from './keys.ts'
import { openOverlay } from './overlay.ts'
import { readTables, writeTables } from './tables.ts'

const schema = defineContract({
  name: 'rows',
  version: 1,
  doc: '',
  rejects: {},
  tables: {
    pairs: { doc: '', key: [text('', { max: 40 }), uint('')], row: object('', { n: uint('') }) },
    other: { doc: '', key: [bytes('', { max: 300 })], row: object('', { n: uint('') }) },
  },
  calls: {},
  queries: {},
})

type Op = { readonly a: string; readonly b: number; readonly n: number | undefined }
const op: fc.Arbitrary<Op> = fc.record({
  a: fc.constantFrom('', 'x', 'xx', 'y'),
  b: fc.constantFrom(0, 1, 23, 24, 255, 256, 70_000),
  n: fc.option(fc.nat(9), { nil: undefined }),
})
const ops = fc.array(op, { maxLength: 12 })

function apply(rows: Map<string, [[string, number], number]>, { a, b, n }: Op): void {
  const name = `${a}/${b}`
  if (n === undefined) rows.delete(name)
  else rows.set(name, [[a, b], n])
}

describe('tables over a block over a store', () => {
  test('property: get and scan show stored, kept and running changes as one ordered map', () => {
    fc.assert(
      fc.property(ops, ops, ops, op, fc.nat(5), (stored, kept, running, cursor, limit) => {
        const store = memoryStore()
        const model = new Map<string, [[string, number], number]>()
        const first = openOverlay(store)
        const write = (overlay: typeof first, changes: readonly Op[]) => {
          const { pairs } = writeTables(schema, overlay)
          for (const { a, b, n } of changes) {
            if (n === undefined) pairs.delete([a, b])
            else pairs.put([a, b], { n })
          }
        }
        write(first, stored)
        first.keep()
        const puts = first.changes()
        const { nodes, staleNodes } = openTree(store).update(0, puts)
        const none = new Uint8Array(0)
        store.commit({ height: 0, puts, nodes, staleNodes, meta: [], block: none, outcome: none })
        const overlay = openOverlay(store)
        write(overlay, kept)
        overlay.keep()
        write(overlay, [{ a: 'undone', b: 0, n: 1 }, ...running])
        overlay.undo()
        write(overlay, running)
        for (const change of [...stored, ...kept, ...running]) apply(model, change)

        const { pairs } = readTables(schema, overlay)
        const keyOf = (key: readonly (string | number)[]) => stateKey('rows', 'pairs', key)
        const all = [...model.values()].sort((x, y) => compareBytes(keyOf(x[0]), keyOf(y[0])))
        const seen = (rows: Iterable<readonly [readonly (string | number)[], { n: number }]>) =>
          [...rows].map(([key, { n }]) => [[...key], n])
        expect(seen(pairs.scan([]))).toEqual(all)
        expect(seen(pairs.scan(['x']))).toEqual(all.filter(([[a]]) => a === 'x'))
        const behind = all.filter(([key]) => compareBytes(keyOf(key), keyOf([cursor.a, cursor.b])) > 0)
        expect(seen(pairs.scan([], { after: [cursor.a, cursor.b], limit }))).toEqual(behind.slice(0, limit))
        expect(pairs.get([cursor.a, cursor.b])?.n).toBe(model.get(`${cursor.a}/${cursor.b}`)?.[1])
        expect([...readTables(schema, overlay).other.scan([])]).toEqual([])
      }),
      { seed: 5, numRuns: 200 },
    )
  })

  test('a row that does not fit its schema is a bug, not a state', () => {
    const { pairs } = writeTables(schema, openOverlay(memoryStore()))
    expect(() => pairs.put(['x', 1], { n: -1 })).toThrow('does not fit')
    expect(() => pairs.put(['x'] as never, { n: 1 })).toThrow('2 parts')
  })
})

test('property: a row’s key is the tuple of contract, table and parts, whatever the parts’ size', () => {
  const codec = keyCodec('rows', 'other', schema.tables.other)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (part) => {
      expect(toHex(codec.keyOf([part]))).toBe(toHex(stateKey('rows', 'other', [part])))
      expect(codec.partsOf(codec.keyOf([part]))).toEqual([part])
    }),
    { seed: 6 },
  )
})
