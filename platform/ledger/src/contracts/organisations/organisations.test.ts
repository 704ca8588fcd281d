import { describe, expect, test } from 'vitest'
import { countingRandom, testKey, testLedger, testMember } from '../../../testing/index.ts'
import { CODES } from '../../tx/codes.ts'
import { organisations } from './schema.ts'

const random = countingRandom('organisations')
const a = testMember('a')
const next = testKey('a-next')
const keysWith = (sign: Uint8Array) => ({ sign, seal: a.seal, log: a.log.publicKey })
const setKeys = 'organisations/setKeys'

describe('setKeys', () => {
  test('needs the sign keys in force and the new one', () => {
    const chain = testLedger()
    const args = { org: 'a', keys: keysWith(next.publicKey), from: 9 }
    expect(chain.call(setKeys, args, [a.sign]).name).toBe('notSigned')
    expect(chain.call(setKeys, args, [next]).name).toBe('notSigned')
    expect(chain.call(setKeys, args, [testMember('b').sign, next]).name).toBe('notSigned')
    expect(chain.call(setKeys, args, [a.sign, next]).name).toBe('OK')
  })

  test('takes effect at its height: until then the old key signs bundles, from then on only the new one', () => {
    const chain = testLedger()
    chain.call(setKeys, { org: 'a', keys: keysWith(next.publicKey), from: 3 }, [a.sign, next])
    expect(chain.ledger.head.height).toBe(1)
    expect(chain.ledger.sponsorKey('a')).toEqual(a.sign.publicKey)
    chain.advance(1)
    expect(chain.ledger.sponsorKey('a')).toEqual(next.publicKey)
    // The test bundle is signed with the old key.
    const body = chain.sign('governance/leave', { org: 'x' }, [a.sign])
    expect(chain.block([chain.bundle([body])]).bundles[0]?.code).toBe(CODES.BAD_SIGNATURE)
    expect(chain.ledger.query(organisations, 'keys', { org: 'a' })).toEqual({
      keys: keysWith(next.publicKey),
      from: 3,
    })
    expect(
      chain.ledger.query(organisations, 'history', { org: 'a' }).map(({ from, row }) => [from, row.to]),
    ).toEqual([
      [0, 3],
      [3, undefined],
    ])
  })

  test('keeps one announcement at a time, in the future, with a sign key nobody had', () => {
    const chain = testLedger()
    const b = testMember('b').sign
    expect(
      chain.call(setKeys, { org: 'a', keys: keysWith(next.publicKey), from: 1 }, [a.sign, next]).name,
    ).toBe('tooEarly')
    expect(chain.call(setKeys, { org: 'a', keys: keysWith(b.publicKey), from: 9 }, [a.sign, b]).name).toBe(
      'keyInUse',
    )
    expect(
      chain.call(setKeys, { org: 'a', keys: keysWith(next.publicKey), from: 9 }, [a.sign, next]).name,
    ).toBe('OK')
    const third = testKey('a-third')
    expect(
      chain.call(setKeys, { org: 'a', keys: keysWith(third.publicKey), from: 10 }, [a.sign, third]).name,
    ).toBe('pending')
  })

  test('with the same sign key changes only the other keys', () => {
    const chain = testLedger()
    const keys = { ...keysWith(a.sign.publicKey), tls: random(32) }
    expect(chain.call(setKeys, { org: 'a', keys, from: 2 }, [a.sign]).name).toBe('OK')
    chain.advance(1)
    expect(chain.ledger.query(organisations, 'keys', { org: 'a' })?.keys.tls).toEqual(keys.tls)
  })

  test('by vote, for an organisation that lost its key', () => {
    const chain = testLedger({ members: ['b', 'a'] })
    const p = random(16)
    const change = { kind: 'replaceKeys', org: 'a', keys: keysWith(next.publicKey), from: 5 }
    chain.call('governance/propose', { p, change }, [testMember('b').sign])
    expect(chain.call('governance/vote', { p, yes: true }, [a.sign]).name).toBe('OK')
    while (chain.ledger.head.height < 4) chain.advance(1)
    expect(chain.ledger.sponsorKey('a')).toEqual(next.publicKey)
  })

  test('by vote for a height that has come is refused from inside', () => {
    const chain = testLedger({ members: ['b'] })
    const change = { kind: 'replaceKeys', org: 'b', keys: keysWith(next.publicKey), from: 0 }
    const { name, result } = chain.call('governance/propose', { p: random(16), change }, [
      testMember('b').sign,
    ])
    expect(name).toBe('REJECTED_INSIDE')
    expect(result).toEqual(['organisations', organisations.rejects.tooEarly, { height: 1 }])
  })
})
