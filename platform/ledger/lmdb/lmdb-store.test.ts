import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256, toHex, utf8 } from '@salus/core'
import { open } from 'lmdb'
import { afterEach, describe, expect, test } from 'vitest'
import { auditState, openTree, type StateStore } from '../src/state/index.ts'
import { change, stateStoreSuite } from '../src/state/store.suite.ts'
import { openLmdbStore } from './lmdb-store.ts'

const chainId = new Uint8Array(32).fill(7)
let paths: string[] = []
const stores = new Map<StateStore, string>()

afterEach(() => {
  for (const store of stores.keys()) store.close()
  stores.clear()
  for (const path of paths) rmSync(path, { recursive: true, force: true })
  paths = []
})

describe('LMDB store', () => {
  stateStoreSuite(
    () => openAt(newFolder()),
    (store) => {
      const path = stores.get(store) as string
      store.close()
      stores.delete(store)
      return openAt(path)
    },
  )
})

test('a folder of another chain is refused by name', () => {
  const path = newFolder()
  openLmdbStore({ path, chainId }).close()
  expect(() => openLmdbStore({ path, chainId: new Uint8Array(32).fill(8) })).toThrow(
    expect.objectContaining({ code: 'STORE_OTHER_CHAIN', message: expect.stringContaining('0808') }),
  )
  openLmdbStore({ path, chainId }).close()
})

test('data of a newer format is refused by name', () => {
  const path = newFolder()
  openLmdbStore({ path, chainId }).close()
  const raw = open({ path, encoding: 'binary', keyEncoding: 'binary' })
  raw
    .openDB('about', { encoding: 'binary', keyEncoding: 'binary' })
    .putSync(utf8('format'), new Uint8Array([0, 0, 0, 0, 0, 0, 0, 9]))
  void raw.close()
  expect(() => openLmdbStore({ path, chainId })).toThrow(
    expect.objectContaining({ code: 'STORE_NEWER', message: expect.stringContaining('format 9') }),
  )
})

test('a second writer on the same folder cannot fork the ledger', () => {
  const path = newFolder()
  const first = openAt(path)
  first.commit(change(0, { a: '1' }))
  const second = openAt(path)
  second.commit(change(1, { a: '2' }))
  expect(() => first.commit(change(1, { a: '3' }))).toThrow(expect.objectContaining({ code: 'STORE_MOVED' }))
  expect(first.get(utf8('a'))).toEqual(utf8('2'))
})

test('closing releases the lock on the folder', () => {
  let released = 0
  openLmdbStore({ path: newFolder(), chainId, release: () => released++ }).close()
  expect(released).toBe(1)
})

test('a byte changed in the file is found, and the row or the page is named', () => {
  const path = newFolder()
  const rows = Array.from(
    { length: 400 },
    (_, at) => [utf8(`row ${at}`), sha256(utf8(`value ${at}`))] as const,
  )
  let store = openAt(path)
  const { nodes, staleNodes, root } = openTree(store).update(0, rows)
  const meta = { meta: [], block: utf8('genesis'), outcome: utf8('outcome') }
  store.commit({ height: 0, puts: rows, nodes, staleNodes, ...meta })
  expect(auditState(store, root).findings).toEqual([])
  store.close()
  stores.delete(store)
  const file = `${path}/data.mdb`
  const pristine = readFileSync(file)
  const page = nodes.find(([key]) => key.length === 9) as readonly [Uint8Array, Uint8Array]
  const flips: [Uint8Array, string, string][] = [
    [rows[7]?.[1] as Uint8Array, 'row', toHex(utf8('row 7'))],
    [page[1].subarray(8, 40), 'page', (page[0][8] as number).toString(16)],
  ]
  for (const [bytes, kind, at] of flips) {
    const copy = Buffer.from(pristine)
    const offset = copy.indexOf(bytes)
    copy[offset] = (copy[offset] as number) ^ 1
    const folder = newFolder()
    writeFileSync(`${folder}/data.mdb`, copy)
    store = openAt(folder)
    const { findings } = auditState(store, root)
    expect(findings.map((finding) => [finding.kind, finding.at])).toContainEqual([kind, at])
    expect(findings[0]?.message).toContain(`${folder}/data.mdb`)
  }
})

function newFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'salus-state-'))
  paths.push(path)
  return path
}

function openAt(path: string): StateStore {
  const store = openLmdbStore({ path, chainId })
  stores.set(store, path)
  return store
}
