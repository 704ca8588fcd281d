import { sha256, utf8 } from '@salus/core'
import { testKey, testLedger } from '@salus/ledger/testing'
import { expect, test } from 'vitest'
import { records } from './records.ts'
import { recordsSchema } from './schema.ts'

test('an erasure is recorded once, by a member, under the id of its commitment', () => {
  const chain = testLedger({ contracts: [records] })
  const a = chain.members['a']?.sign ?? testKey('none')
  const c = sha256(utf8('receipt'))
  const e = sha256(c).slice(0, 16)
  expect(chain.call('records/erased', { e, c }, [testKey('stranger')]).name).toBe('notMember')
  expect(chain.call('records/erased', { e: c.slice(0, 16), c }, [a]).name).toBe('wrongId')
  const atMs = chain.timeMs
  expect(chain.call('records/erased', { e, c }, [a]).name).toBe('OK')
  expect(chain.call('records/erased', { e, c }, [a]).name).toBe('exists')
  expect(chain.ledger.query(recordsSchema, 'erasure', { e })).toEqual({ org: 'a', c, atMs })
})
