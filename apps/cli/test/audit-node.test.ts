import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { cosign, formatNote, parseNote, sha256, signingKey, toBase64url, toHex, utf8 } from '@salus/core'
import { encodeBlocksAnswer } from '@salus/engine/embedded'
import { memoryNetwork } from '@salus/host'
import { systemDisk } from '@salus/host/system'
import { decodeBlock, encodeBlock } from '@salus/ledger'
import { readLmdbStore } from '@salus/ledger/lmdb'
import { blockLogOrigin, factLogOrigin, TileLog } from '@salus/log'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuditReport } from '../src/audit/audit-directory.ts'
import { LAYOUT } from '../src/audit/layout.ts'
import { salus } from './in-process.ts'
import { olderLog, rewrittenLog } from './ledger-bytes.ts'
import { type OrganisationDirectory, organisationDirectory } from './organisation-directory.ts'

const URL_A = 'http://anna'
const keyOf = (name: string) => signingKey(sha256(utf8(`directory/${name}`)))
let whole: OrganisationDirectory
beforeAll(async () => {
  whole = await organisationDirectory()
})
afterAll(() => whole.remove())

interface Lies {
  readonly witnessed?: false
  block?(height: number, bytes: Uint8Array): Uint8Array
  leaf?(height: number, bytes: Uint8Array): Uint8Array
  resource?(path: string, bytes: Uint8Array): Uint8Array
  readonly folder?: string
}

/** A node that serves a directory's ledger and logs, and lies where it is told to. */
async function audited(lies: Lies = {}, ...more: string[]): Promise<{ code: number; report: AuditReport }> {
  const { chainId, genesis } = whole
  const folder = lies.folder ?? whole.folder
  const disk = systemDisk(folder)
  const blockLog = await TileLog.open({
    disk,
    path: LAYOUT.blockLog,
    origin: blockLogOrigin(chainId),
    key: keyOf('log'),
  })
  const facts = await TileLog.open({
    disk,
    path: LAYOUT.log,
    origin: factLogOrigin(chainId, 'st-anna'),
    key: keyOf('log'),
  })
  const store = readLmdbStore(join(whole.folder, LAYOUT.ledger))
  const head = store.height() ?? 0
  const { text, signatures } = parseNote(blockLog.checkpoint())
  const names = lies.witnessed === false ? ['log'] : ['log', 'witness']
  const own = signatures.slice(0, 1)
  const cosigned = formatNote({
    text,
    signatures: [
      ...own,
      ...names.map((name) =>
        cosign(
          text,
          { name: name === 'log' ? 'st-anna' : 'witness.example', key: keyOf(name) },
          1_700_000_000,
        ),
      ),
    ],
  })
  const blocks = await Promise.all(
    Array.from({ length: head }, async (_, i) => ({
      bytes: lies.block?.(i + 1, store.block(i + 1) as Uint8Array) ?? (store.block(i + 1) as Uint8Array),
      leaf: lies.leaf?.(i + 1, await blockLog.leaf(i + 1)) ?? (await blockLog.leaf(i + 1)),
    })),
  )
  const network = memoryNetwork()
  network.serve(URL_A, async (request) => {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/genesis') return Response.json({ genesis: toBase64url(genesis) })
    if (pathname === '/organisation') return Response.json({ org: 'st-anna' })
    if (pathname === '/ledger/blocks') {
      const rest = blocks.slice(Number(searchParams.get('from')) - 1)
      return answer(encodeBlocksAnswer({ head, checkpoint: blockLog.checkpoint(), cosigned, blocks: rest }))
    }
    const [log, path] = pathname.startsWith('/ledger/log/')
      ? [blockLog, pathname.slice(12)]
      : [facts, pathname.slice(5)]
    const bytes = await log.resource(path)
    return bytes === undefined
      ? new Response('', { status: 404 })
      : answer(lies.resource?.(pathname, bytes) ?? bytes)
  })
  try {
    const { code, out } = await salus(
      ['audit', URL_A, '--json', '--quiet', '--genesis', toHex(chainId), ...more],
      { network },
    )
    return { code, report: JSON.parse(out) as AuditReport }
  } finally {
    store.close()
    await blockLog.close()
    await facts.close()
  }
}
const answer = (bytes: Uint8Array) => new Response(bytes as Uint8Array<ArrayBuffer>)
const flipped = (bytes: Uint8Array, at: number) => {
  const out = bytes.slice()
  out[at] = (out[at] ?? 0) ^ 1
  return out
}
const whats = (report: AuditReport) =>
  report.findings.map(({ where, what }) => `${where}: ${what}`).join('\n')

test('an honest node: replayed, recomputed, cosigned and witnessed; exit code 0', async () => {
  const { code, report } = await audited()
  expect(report.findings).toEqual([])
  expect([code, report.org, report.height]).toEqual([0, 'st-anna', 3])
  expect(report.figures).toMatchObject({ blocks: 3, transactions: 3, blockLogLeaves: 4, logLeaves: 6 })
})

test('a node that says another state root than its block gives', async () => {
  const { code, report } = await audited({
    leaf: (height, leaf) => (height === 2 ? flipped(leaf, 60) : leaf),
  })
  expect(code).toBe(1)
  expect(whats(report)).toMatch(/blocks\?from=2: executing block 2 gives another leaf/)
})

test('a block with a changed byte, or left out', async () => {
  const changed = await audited({
    block: (height, bytes) => (height === 3 ? flipped(bytes, bytes.length - 40) : bytes),
  })
  expect(whats(changed.report)).toMatch(/block 3 is none of this ledger|executing block 3 gives another leaf/)
  const empty = await audited({
    block: (height, bytes) => (height === 1 ? encodeBlock({ ...decodeBlock(bytes), bundles: [] }) : bytes),
  })
  expect(whats(empty.report)).toMatch(/executing block 1 gives another leaf/)
})

test('a block log that nobody outside has signed is a finding', async () => {
  const { code, report } = await audited({ witnessed: false })
  expect([code, whats(report)]).toEqual([1, expect.stringMatching(/not witnessed/)])
})

test('tiles and entries that do not fit each other', async () => {
  for (const path of [
    '/log/tile/0/000.p/6',
    '/log/tile/entries/000.p/6',
    '/ledger/log/tile/entries/000.p/4',
  ]) {
    const { code, report } = await audited({
      resource: (at, bytes) => (at === path ? flipped(bytes, 40) : bytes),
    })
    expect(code, path).toBe(1)
    expect(whats(report), path).toContain(path.startsWith('/ledger') ? '/ledger/log' : '/log/')
  }
})

test('a fact log rolled back behind its anchor, or rewritten', async () => {
  for (const [make, what] of [
    [olderLog, /log\/checkpoint: rolled back: 6 leaves are anchored on the ledger, the log has 3/],
    [rewrittenLog, /log\/checkpoint: rewritten/],
  ] as const) {
    const other = await organisationDirectory()
    try {
      await make(other.folder, other.chainId, make === olderLog ? 3 : 8)
      const { code, report } = await audited({ folder: other.folder })
      expect([code, whats(report)]).toEqual([1, expect.stringMatching(what)])
    } finally {
      rmSync(other.folder, { recursive: true, force: true })
    }
  }
})

test('another network than the one trusted is refused', async () => {
  const { report } = await audited({}, '--genesis', '00'.repeat(32))
  expect(report).toMatchObject({ ok: false, error: { code: 'OTHER_CHAIN' } })
})
