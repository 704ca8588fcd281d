import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '@salus/core'
import { decodeGenesis, encodeGenesis } from '@salus/ledger'
import { PATHS, SalusNode, systemHost } from '@salus/node'
import { connect, withToken } from '@salus/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chartOf, HOSPITALS, SAMPLE_PATIENT, startScenario } from '../src/index.ts'
import { temporaryDir } from './temporary-dir.ts'

const { dir, remove } = temporaryDir()
const ROOT = join(`${dir}-keys`, `${HOSPITALS.a}.root`)
let genesis: Uint8Array
let token: string
let total: number
let copies = 0

beforeAll(async () => {
  const s = await startScenario({ dir })
  genesis = s.net.genesis
  token = s.clinician.a.token
  total = (await chartOf(s.clinician.a.connection, SAMPLE_PATIENT)).total
  await s.close()
})

afterAll(remove)

/** A copy of A's stopped directory with something done to it. */
function copyOf(change: (dataDir: string) => void): string {
  copies += 1
  const dataDir = join(dir, '..', `copy-${copies}`, HOSPITALS.a)
  mkdirSync(join(dataDir, '..'))
  cpSync(join(dir, HOSPITALS.a), dataDir, { recursive: true })
  change(dataDir)
  return dataDir
}

/** Starts a node on a directory; what it says, or the chart it serves. */
async function start(dataDir: string, with_: Uint8Array = genesis): Promise<number | AppError> {
  const host = await systemHost({ dataDir, root: { kind: 'file', path: ROOT } })
  try {
    const node = await SalusNode.open({
      config: { org: HOSPITALS.a, genesis: with_, address: '127.0.0.1', port: 0 },
      host,
    })
    try {
      const connection = withToken(connect({ url: node.url, network: host.network }), token)
      return (await chartOf(connection, SAMPLE_PATIENT)).total
    } finally {
      await node.close()
    }
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  } finally {
    await host.close()
  }
}

const NEWER: readonly [store: string, change: (dataDir: string) => void, code: string][] = [
  [
    'custody',
    (dataDir) => {
      const db = new DatabaseSync(join(dataDir, PATHS.custody))
      db.exec("UPDATE records_meta SET value = 99 WHERE name = 'format'")
      db.close()
    },
    'DATA_NEWER',
  ],
  [
    'vault',
    (dataDir) => writeFileSync(join(dataDir, PATHS.vault, 'format'), 'salus-vault 99\n'),
    'VAULT_NEWER',
  ],
]

test.each(NEWER)('data of a newer version is refused by name: %s', async (_store, change, code) => {
  const dataDir = copyOf(change)
  const before = contentsOf(dataDir)
  const refused = await start(dataDir)
  expect(refused).toMatchObject({ code, message: expect.stringMatching(/newer/) })
  expect(contentsOf(dataDir)).toEqual(before)
})

test('a directory of another chain is refused', async () => {
  const other = encodeGenesis({ ...decodeGenesis(genesis), name: 'Another network' })
  const refused = await start(
    copyOf(() => undefined),
    other,
  )
  expect(refused).toMatchObject({
    code: expect.stringMatching(/OTHER_CHAIN$/),
    message: expect.stringMatching(/chain|network|genesis/),
  })
})

test('a directory that a running node has is refused', async () => {
  const dataDir = copyOf(() => undefined)
  const host = await systemHost({ dataDir, root: { kind: 'file', path: ROOT } })
  const node = await SalusNode.open({
    config: { org: HOSPITALS.a, genesis, address: '127.0.0.1', port: 0 },
    host,
  })
  expect(await start(dataDir)).toMatchObject({
    code: 'DISK_LOCKED',
    message: expect.stringMatching(/stop it first/),
  })
  await node.close()
  await host.close()
  expect(await start(dataDir)).toBe(total)
})

test('half-written tails of a pack, of tiles and of temporary files are cut, and nothing is lost', async () => {
  const dataDir = copyOf((copy) => {
    const packs = join(copy, PATHS.vault, 'packs')
    const newest =
      readdirSync(packs)
        .filter((name) => name.endsWith('.pack'))
        .sort()
        .at(-1) ?? ''
    const pack = readFileSync(join(packs, newest))
    appendFileSync(join(packs, newest), pack.subarray(-700, -350))
    for (const file of filesBelow(join(copy, PATHS.log)).filter((name) =>
      /pending|journal|entries|wal/.test(name),
    ))
      appendFileSync(file, new Uint8Array([0, 0, 0]))
    writeFileSync(join(packs, '00000001.index.tmp'), 'half')
  })
  expect(await start(dataDir)).toBe(total)
  expect(await start(dataDir)).toBe(total)
})

test('a damaged mark, keystore or custody file stops the start and is named', async () => {
  for (const path of [PATHS.cosignMark]) {
    const refused = await start(copyOf((copy) => writeFileSync(join(copy, path), 'half')))
    expect({ path, refused }).toEqual({
      path,
      refused: expect.objectContaining({
        code: expect.stringMatching(/DAMAGED/),
        message: expect.stringContaining(path),
      }),
    })
  }
  const keystore = await start(
    copyOf((copy) => {
      const [file] = filesBelow(join(copy, PATHS.keystore)).filter((name) => name.endsWith('.keys'))
      if (file === undefined) throw new Error('there is a keystore')
      const bytes = readFileSync(file)
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      writeFileSync(file, bytes)
    }),
  )
  expect(keystore).toMatchObject({ code: expect.stringMatching(/^KEYSTORE_/) })
})

function filesBelow(path: string): string[] {
  return readdirSync(path, { withFileTypes: true, recursive: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  )
}

/** Every file but locks, whose holder may touch them, and the keystore, which seals what it holds anew at each start. */
function contentsOf(dataDir: string): Record<string, string> {
  const files = filesBelow(dataDir).filter((name) => !/lock|-shm|-wal|\.keys$/.test(name))
  return Object.fromEntries(
    files.map((name) => [name, readFileSync(name).toString('base64').slice(0, 4_096)]),
  )
}
