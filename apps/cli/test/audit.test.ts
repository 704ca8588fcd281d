import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex } from '@salus/core'
import { openSql } from '@salus/host/system'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AuditReport } from '../src/audit/audit-directory.ts'
import { salus } from './in-process.ts'
import { ledgerBytes, olderLog, rewrittenLog, rolledBackLedger } from './ledger-bytes.ts'
import { type OrganisationDirectory, organisationDirectory } from './organisation-directory.ts'

let whole: OrganisationDirectory
let copy: string
beforeAll(async () => {
  whole = await organisationDirectory()
})
afterAll(() => whole.remove())
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'salus-audit-copy-'))
  cpSync(whole.folder, copy, { recursive: true })
})
afterEach(() => rmSync(copy, { recursive: true, force: true }))

async function audited(...more: string[]): Promise<{ code: number; report: AuditReport }> {
  const { code, out } = await salus(['audit', copy, '--json', '--quiet', ...more])
  return { code, report: JSON.parse(out) as AuditReport }
}
const at = (file: string) => join(copy, file)
const read = (file: string) => readFileSync(at(file))
const write = (file: string, bytes: Uint8Array | string) => writeFileSync(at(file), bytes)

function flip(file: string, offset: number): void {
  const bytes = read(file)
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  write(file, bytes)
}

/** Flips the byte in the middle of every place where a file holds these bytes. */
function flipAll(file: string, part: Uint8Array): number {
  const bytes = read(file)
  let count = 0
  for (let found = bytes.indexOf(part); found >= 0; found = bytes.indexOf(part, found + 1)) {
    const middle = found + (part.length >> 1)
    bytes[middle] = (bytes[middle] ?? 0) ^ 1
    count++
  }
  write(file, bytes)
  return count
}

test('a sound directory: everything is counted, nothing found, exit code 0, and nothing in it changes', async () => {
  const before = [
    'log/entries',
    'ledger/blocks/entries',
    'vault/packs/00000001.pack',
    'ledger/state/data.mdb',
  ].map((file) => toHex(read(file)))
  const { code, report } = await audited('--genesis', toHex(whole.chainId))
  expect(report.findings).toEqual([])
  expect(code).toBe(0)
  expect(report).toMatchObject({
    ok: true,
    org: 'st-anna',
    chain: toHex(whole.chainId),
    height: 3,
    figures: { blocks: 3, transactions: 3, blockLogLeaves: 4, logLeaves: 6, objects: 6, recordVersions: 6 },
  })
  expect(report.notes).toContain('block log: cosigned up to block 3 by witness.example')
  expect(
    ['log/entries', 'ledger/blocks/entries', 'vault/packs/00000001.pack', 'ledger/state/data.mdb'].map(
      (file) => toHex(read(file)),
    ),
  ).toEqual(before)
})

test('the directory of another network is refused by id', async () => {
  const { code, out, err } = await salus(['audit', copy, '--json', '--quiet', '--genesis', '00'.repeat(32)])
  expect(code).toBe(1)
  expect(err).toContain('OTHER_CHAIN')
  expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: 'OTHER_CHAIN' } })
})

describe('tampering', () => {
  const expectFile = async (file: string, what: RegExp, ...more: string[]) => {
    const { code, report } = await audited(...more)
    expect(code).toBe(1)
    const found = report.findings.filter(({ where }) => where.startsWith(file))
    expect(found.map((one) => one.what).join('\n'), JSON.stringify(report.findings)).toMatch(what)
    return report
  }

  test('a byte in an object', async () => {
    flip('vault/packs/00000001.pack', 48 + 48 + 48 + 200)
    const report = await expectFile('vault/packs/00000001.pack, offset 96', /does not hash to its address/)
    expect(report.findings[0]?.what).toContain(toHex(whole.addresses[0] as Uint8Array))
  })

  test('a byte in a tile, in the entries, and in the checkpoint of the fact log', async () => {
    flip('log/hashes-0', 40)
    await expectFile('log/hashes-0', /tile 0\/0: hash 1/)
    flip('log/hashes-0', 40)
    flip('log/entries', 40)
    await expectFile('log/entries', /entry 1 does not match its hash/)
    flip('log/entries', 40)
    flip('log/checkpoint', 90)
    await expectFile('log/checkpoint', /./)
  })

  test('a byte in the block log', async () => {
    flip('ledger/blocks/entries', 60)
    await expectFile('ledger/blocks/entries', /entry 0 is not block 0/)
  })

  test('a byte in a row of the state, in a page of its tree, and in a block', async () => {
    const { row, page, block } = ledgerBytes(join(whole.folder, 'ledger/state'))
    for (const [part, what] of [
      [row, /row log\/logs/],
      [page, /page .* of the state tree/],
      [block, /block 3/],
    ] as const) {
      cpSync(join(whole.folder, 'ledger/state'), at('ledger/state'), { recursive: true })
      expect(flipAll('ledger/state/data.mdb', part)).toBeGreaterThan(0)
      await expectFile('ledger/state/data.mdb', what)
    }
  })

  test('a ledger whose file is cut is named, and the rest is audited all the same', async () => {
    write('ledger/state/data.mdb', read('ledger/state/data.mdb').subarray(0, 9_000))
    flip('vault/packs/00000001.pack', 48 + 48 + 48 + 200)
    const report = await expectFile('ledger/state/data.mdb', /cannot read|damaged|invalid|STORE|MDB/i)
    expect(report.findings.some(({ where }) => where.startsWith('vault/packs/00000001.pack'))).toBe(true)
  })

  test('a fact log rolled back to an older state of its own', async () => {
    await olderLog(copy, whole.chainId, 3)
    await expectFile('log/checkpoint', /rolled back: 6 leaves are anchored on the ledger, the log has 3/)
    await expectFile('log/entries', /the log was rolled back/)
  })

  test('a fact log rewritten under its own key', async () => {
    await rewrittenLog(copy, whole.chainId, 8)
    await expectFile('log/checkpoint', /rewritten/)
  })

  test('the ledger rolled back, the logs beside it not', async () => {
    rolledBackLedger(at('ledger/state'), 1)
    await expectFile('ledger/state/data.mdb', /rolled back/)
  })

  test('two objects swapped: their rows point to each other', async () => {
    const sql = openSql(at('custody.sqlite'), { durable: false })
    const swap = sql.prepare('UPDATE records_version SET address = ? WHERE oid = ?')
    const [first, second] = whole.addresses as [Uint8Array, Uint8Array]
    swap.run(second, whole.oids[0] as Uint8Array)
    swap.run(first, whole.oids[1] as Uint8Array)
    sql.close()
    const report = await expectFile('custody.sqlite', /swapped/)
    expect(report.findings).toHaveLength(2)
  })

  test('two objects swapped in the pack, each under the other’s address', async () => {
    const pack = read('vault/packs/00000001.pack')
    const size = whole.addresses.length
    expect(size).toBe(6)
    const first = pack.indexOf(whole.addresses[0] as Uint8Array) + 40
    const second = pack.indexOf(whole.addresses[1] as Uint8Array) + 40
    const lengthBytes = 400
    const kept = Uint8Array.from(pack.subarray(first, first + lengthBytes))
    pack.copy(pack, first, second, second + lengthBytes)
    pack.set(kept, second)
    write('vault/packs/00000001.pack', pack)
    const report = await expectFile('vault/packs/00000001.pack', /does not hash to its address/)
    expect(report.findings).toHaveLength(2)
  })

  test('an object removed with its pack', async () => {
    rmSync(at('vault/packs/00000001.pack'))
    rmSync(at('vault/packs/00000001.index'), { force: true })
    const report = await expectFile('vault/packs', /is missing/)
    expect(report.findings).toHaveLength(6)
  })

  test('a byte in custody’s file, or the file gone', async () => {
    const bytes = read('custody.sqlite')
    bytes.fill(0xff, 4_096, 4_200)
    write('custody.sqlite', bytes)
    await expectFile('custody.sqlite', /./)
    rmSync(at('custody.sqlite'))
    await expectFile('custody.sqlite', /is missing beside objects/)
  })

  test('a checkpoint that a witness holds and this history does not have', async () => {
    write('held.note', whole.checkpoint)
    const sound = await audited('--held', at('held.note'))
    expect(sound.report.findings).toEqual([])
    await olderLog(copy, whole.chainId, 3)
    await expectFile(
      at('held.note'),
      /rolled back: .* signed a checkpoint of 6 leaves/,
      '--held',
      at('held.note'),
    )
  })
})

test('what is typed wrong says so and ends with 2', async () => {
  for (const argv of [
    ['audit'],
    ['audit', '/nowhere/at/all'],
    ['audit', copy, '--genesis', 'xyz'],
    ['audit', copy, 'more'],
  ]) {
    const { code, err, out } = await salus(argv)
    expect([code, out], argv.join(' ')).toEqual([2, ''])
    expect(err).toMatch(/^salus audit: USAGE: .+\n$/)
  }
})
