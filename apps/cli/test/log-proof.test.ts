import { readFileSync } from 'node:fs'
import { parseTlogProof } from '@salus/core'
import { decodeReceipt } from '@salus/log'
import { expect, test } from 'vitest'
import { salus } from './in-process.ts'
import { receiptFiles } from './receipt-files.ts'

test('the proofs of a receipt, unchanged, as files for other people’s tools', async () => {
  const files = await receiptFiles('St Anna')
  try {
    const { code, out } = await salus(['log', 'proof', files.receipts.fact])
    expect([code, out.replaceAll(`${files.folder}/`, '')]).toEqual([
      0,
      'fact.tlog-proof  proof of the fact\nfact.block.tlog-proof  proof of the block\n',
    ])
    const receipt = decodeReceipt(readFileSync(files.receipts.fact))
    const text = readFileSync(`${files.folder}/fact.tlog-proof`, 'utf8')
    expect(text).toBe(receipt.log)
    expect(parseTlogProof(text).index).toBe(0)
    expect(readFileSync(`${files.folder}/fact.block.tlog-proof`, 'utf8')).toBe(receipt.block?.proof)
    const again = await salus(['log', 'proof', files.receipts.fact])
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('FILE_EXISTS')])
  } finally {
    files.remove()
  }
})
