import { readFileSync } from 'node:fs'
import { manualClock } from '@salus/host'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEMO_NETWORK_NAME } from '../src/demo-network.ts'
import { salus } from './in-process.ts'
import { type ReceiptFiles, receiptFiles } from './receipt-files.ts'

let files: ReceiptFiles
beforeAll(async () => {
  files = await receiptFiles('St Anna')
})
afterAll(() => files.remove())

const verify = (...argv: string[]) => salus(['verify', ...argv, '--genesis', files.genesisId])

test('a valid fact and a valid transaction: every check is named, exit code 0', async () => {
  const { code, out } = await verify(files.receipts.fact, files.receipts.tx)
  expect(code).toBe(0)
  expect(out.replaceAll(files.folder, '').replaceAll(files.genesisId, 'ID')).toBe(
    `/fact.receipt.json
  ok      form     receipt of kind fact, version 1
  ok      genesis  “St Anna”, 1 members at the start, id ID
  ok      log      fact of kind 1 is leaf 0 of 1 in the log of st-anna
  ok      block    height 2 under a checkpoint of 3 blocks; 1 of 1 organisations have cosigned, witnessed by witness.example
  ok      anchor   checkpoint of 1 leaves anchored at height 2, in force at 2
  ok      time     block of 2023-11-14T22:13:22.000Z
  VALID. It happened as stated; the network and an outside witness have signed the history it is in
/tx.receipt.json
  ok      form         receipt of kind tx, version 1
  ok      genesis      “St Anna”, 1 members at the start, id ID
  ok      block        height 2 under a checkpoint of 3 blocks; 1 of 1 organisations have cosigned, witnessed by witness.example
  ok      transaction  ${out.match(/transaction\s+(.+)/)?.[1]}
  ok      time         block of 2023-11-14T22:13:22.000Z
  VALID. It happened as stated; the network and an outside witness have signed the history it is in
2 of 2 receipts accepted
`,
  )
})

test('“not witnessed” and “not yet anchored” are not valid, and pass only when accepted by name', async () => {
  const { notWitnessed, notAnchored } = files.receipts
  const strict = await verify(notWitnessed, notAnchored, '--quiet')
  expect(strict.code).toBe(1)
  expect(strict.out).toMatch(/not-witnessed.*NOT WITNESSED, which is not valid/)
  expect(strict.out).toMatch(/not-anchored.*LOGGED, NOT YET ANCHORED/)
  expect(strict.out).toMatch(/0 of 2 receipts accepted/)
  expect((await verify(notWitnessed, '--accept', 'not-witnessed')).code).toBe(0)
  expect((await verify(notAnchored, '--accept', 'not-witnessed')).code).toBe(1)
})

test('one changed character anywhere is not valid, and the line says which check failed', async () => {
  const text = readFileSync(files.receipts.fact, 'utf8')
  const salt = /"salt": "([^"]+)"/.exec(text)?.[1] ?? ''
  const changed = text.replace(salt, `${salt.startsWith('A') ? 'B' : 'A'}${salt.slice(1)}`)
  const { code, out } = await verify(files.write('changed.receipt.json', changed))
  expect(code).toBe(1)
  expect(out).toMatch(/FAILED {2}log +the fact and its salt do not give the leaf/)
  expect(out).toContain('NOT VALID. Do not rely on it')
})

test('--json is one document; a file that is none is a verdict, not a crash', async () => {
  const { code, out, err } = await verify(
    files.receipts.fact,
    files.write('none.receipt.json', '{"v": 1'),
    `${files.folder}/absent.receipt.json`,
    '--json',
  )
  expect([code, err]).toEqual([1, ''])
  expect(JSON.parse(out)).toMatchObject({
    ok: false,
    genesis: files.genesisId,
    receipts: [
      { status: 'valid', accepted: true },
      {
        status: 'invalid',
        checks: [{ check: 'file', holds: false, found: expect.stringContaining('RECEIPT') }],
      },
      {
        status: 'invalid',
        checks: [{ check: 'file', holds: false, found: expect.stringContaining('FILE_NOT_FOUND') }],
      },
    ],
  })
})

test('another genesis id: not valid', async () => {
  const { code, out } = await salus(['verify', files.receipts.fact, '--genesis', 'ab'.repeat(32)])
  expect(code).toBe(1)
  expect(out).toMatch(/FAILED {2}genesis +the receipt is of another network/)
})

test('a block from the future of the clock is not believed; --now is for demonstrations only', async () => {
  const early = { clock: manualClock(files.timeMs - 3_600_000) }
  const argv = ['verify', files.receipts.fact, '--genesis', files.genesisId]
  const future = await salus(argv, early)
  expect([future.code, future.out.includes('FAILED  time')]).toEqual([1, true])
  const forged = await salus([...argv, '--now', String(files.timeMs)], early)
  expect([forged.code, forged.err]).toEqual([
    1,
    'salus verify: NOT_A_DEMO: --now: is taken for demonstration networks only; leave it out\n',
  ])
  const demo = await receiptFiles(DEMO_NETWORK_NAME)
  try {
    const shifted = ['verify', demo.receipts.fact, '--genesis', demo.genesisId, '--now', String(demo.timeMs)]
    expect((await salus(shifted, early)).code).toBe(0)
  } finally {
    demo.remove()
  }
})

test('what is typed wrong names the flag and ends with 2', async () => {
  for (const [argv, line] of [
    [['verify'], 'FILE: name at least one *.receipt.json'],
    [['verify', 'a.json'], '--genesis: is needed; the network publishes its id'],
    [
      ['verify', 'a.json', '--genesis', 'ab'],
      '--genesis: must be a genesis id, 64 hex digits; the network publishes it',
    ],
    [
      ['verify', 'a.json', '--genesis', files.genesisId, '--accept', 'all'],
      '--accept: must be one of valid, not-witnessed, logged-not-yet-anchored',
    ],
    [['verify', 'a.json', '--frob'], "Unknown option '--frob'; see salus verify --help"],
  ] as const) {
    const { code, err } = await salus(argv)
    expect([code, err]).toEqual([2, `salus verify: USAGE: ${line}\n`])
  }
})
