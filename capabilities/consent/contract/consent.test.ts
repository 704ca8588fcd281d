import { sha256, toHex } from '@salus/core'
import { type TestLedger, testKey, testLedger } from '@salus/ledger/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { consent } from './consent.ts'
import { HOUR_MS, ledgerIdOf, roundUpToHour } from './ids.ts'
import { consentSchema, EMERGENCY_MAX_MS, EMERGENCY_REVIEW_MS } from './schema.ts'

const ana = testKey('ana')
const ben = testKey('ben')
const c = sha256(ana.publicKey)
const g = ledgerIdOf(ana.publicKey)
const start = (): TestLedger => testLedger({ contracts: [consent] })
const endOf = (chain: TestLedger, hours = 2): number => roundUpToHour(chain.timeMs + hours * HOUR_MS)
const grantArgs = (chain: TestLedger) => ({ g, c, k: ana.publicKey, na: endOf(chain) })
const stateOf = (chain: TestLedger, id: Uint8Array, atMs?: number): string | undefined =>
  chain.ledger.query(consentSchema, 'grant', { g: id, ...(atMs !== undefined && { atMs }) })?.state

describe('grant', () => {
  test('is active until its end, which is evaluated and never written', () => {
    const chain = start()
    const args = grantArgs(chain)
    expect(chain.call('consent/grant', args, [ana]).name).toBe('OK')
    expect(stateOf(chain, g)).toBe('active')
    expect(stateOf(chain, g, args.na - 1)).toBe('active')
    expect(stateOf(chain, g, args.na)).toBe('expired')
    expect(chain.ledger.query(consentSchema, 'grant', { g: ledgerIdOf(ben.publicKey) })).toBeUndefined()
  })

  test('nobody squats an id, signs for another, ends in the past or shows the exact end', () => {
    const chain = start()
    const args = grantArgs(chain)
    expect(chain.call('consent/grant', args, [ben]).name).toBe('notSigner')
    expect(chain.call('consent/grant', { ...args, k: ben.publicKey }, [ben]).name).toBe('wrongId')
    // A second signature would tie two one-time keys together for everybody.
    expect(chain.call('consent/grant', args, [ana, ben]).name).toBe('notSigner')
    expect(
      chain.call('consent/grant', { ...args, na: roundUpToHour(chain.timeMs - HOUR_MS) }, [ana]).name,
    ).toBe('endsInPast')
    expect(chain.call('consent/grant', { ...args, na: args.na + 1 }, [ana]).name).toBe('notWholeHour')
    expect(chain.call('consent/grant', args, [ana]).name).toBe('OK')
    expect(chain.call('consent/grant', { ...args, c: sha256(c) }, [ana]).name).toBe('exists')
  })

  test('is rotated by both keys; then only the new one withdraws, and the first withdrawal counts', () => {
    const chain = start()
    chain.call('consent/grant', grantArgs(chain), [ana])
    expect(chain.call('consent/rotate', { g, k2: ben.publicKey }, [ana]).name).toBe('notSigner')
    expect(chain.call('consent/rotate', { g, k2: ben.publicKey }, [ben]).name).toBe('notSigner')
    expect(chain.call('consent/rotate', { g, k2: ana.publicKey }, [ana]).name).toBe('sameKey')
    expect(chain.call('consent/rotate', { g, k2: ben.publicKey }, [ana, ben]).name).toBe('OK')
    expect(chain.call('consent/revoke', { g }, [ana]).name).toBe('notSigner')
    const revokedMs = chain.timeMs
    expect(chain.call('consent/revoke', { g }, [ben]).name).toBe('OK')
    chain.advance(HOUR_MS)
    expect(chain.call('consent/revoke', { g }, [ben]).name).toBe('OK')
    expect(chain.ledger.query(consentSchema, 'grant', { g })?.revokedMs).toBe(revokedMs)
    expect(stateOf(chain, g, revokedMs - 1)).toBe('active')
    expect(stateOf(chain, g, revokedMs)).toBe('revoked')
    expect(chain.call('consent/rotate', { g, k2: ana.publicKey }, [ben, ana]).name).toBe('revoked')
  })

  test('shows nothing but commitment, key, end and times', () => {
    const chain = start()
    chain.call('consent/grant', grantArgs(chain), [ana])
    const row = chain.ledger.get(consentSchema, 'grants', [g])
    expect(Object.keys(row ?? {}).sort()).toEqual(['c', 'k', 'madeMs', 'na'])
  })
})

test('a delegation is made and ended by its own key alone', () => {
  const chain = start()
  const { g: d, ...args } = grantArgs(chain)
  expect(chain.call('consent/delegate', { d, ...args }, [ben]).name).toBe('notSigner')
  expect(chain.call('consent/delegate', { d, ...args }, [ana]).name).toBe('OK')
  expect(chain.call('consent/delegate', { d, ...args }, [ana]).name).toBe('exists')
  expect(chain.call('consent/endDelegation', { d }, [ben]).name).toBe('notSigner')
  expect(chain.ledger.query(consentSchema, 'delegation', { d })?.state).toBe('active')
  expect(chain.call('consent/endDelegation', { d }, [ana]).name).toBe('OK')
  expect(chain.ledger.query(consentSchema, 'delegation', { d })?.state).toBe('revoked')
  // A delegation is not a grant.
  expect(chain.call('consent/revoke', { g: d }, [ana]).name).toBe('notFound')
})

describe('emergency', () => {
  const b = ledgerIdOf(c)
  const open = (chain: TestLedger, change: object = {}) => {
    const sign = chain.members['b']?.sign ?? ana
    const args = { b, org: 'b', c, na: chain.timeMs + HOUR_MS, ...change }
    return chain.call('consent/emergency', args, [sign]).name
  }
  test('needs the organisation itself, the right id and an end within 24 hours', () => {
    const chain = start()
    expect(open(chain, { org: 'a' })).toBe('notMember')
    expect(open(chain, { org: 'nobody' })).toBe('notMember')
    expect(open(chain, { b: g })).toBe('wrongId')
    expect(open(chain, { na: chain.timeMs })).toBe('endsInPast')
    expect(open(chain, { na: chain.timeMs + EMERGENCY_MAX_MS + 1 })).toBe('tooLong')
    expect(open(chain)).toBe('OK')
    expect(open(chain)).toBe('exists')
  })

  test('ends by itself, then waits for its review, then is overdue until it is reviewed', () => {
    const chain = start()
    const na = chain.timeMs + HOUR_MS
    open(chain)
    const at = (atMs: number) => chain.ledger.query(consentSchema, 'emergency', { b, atMs })?.state
    expect([at(na - 1), at(na), at(na + EMERGENCY_REVIEW_MS - 1), at(na + EMERGENCY_REVIEW_MS)]).toEqual([
      'open',
      'ended',
      'ended',
      'overdue',
    ])
    const overdue = (atMs: number) => chain.ledger.query(consentSchema, 'overdue', { atMs }).length
    expect([overdue(na), overdue(na + EMERGENCY_REVIEW_MS)]).toEqual([0, 1])
    const review = { b, outcome: 'justified' }
    const [a, org] = [chain.members['a']?.sign ?? ana, chain.members['b']?.sign ?? ana]
    expect(chain.call('consent/reviewEmergency', review, [a]).name).toBe('notMember')
    expect(chain.call('consent/reviewEmergency', review, [org]).name).toBe('OK')
    expect(chain.call('consent/reviewEmergency', review, [org]).name).toBe('alreadyReviewed')
    expect(at(na + EMERGENCY_REVIEW_MS)).toBe('reviewed')
    expect(overdue(na + EMERGENCY_REVIEW_MS)).toBe(0)
  })
})

type Step = { readonly do: 'grant' | 'rotate' | 'revoke' | 'wait'; readonly who: number; readonly as: number }

test('property: any order of calls by anybody does what a plain model says', () => {
  const people = [testKey('p0'), testKey('p1'), testKey('p2')] as const
  const keyAt = (i: number) => people[i] as (typeof people)[number]
  const step: fc.Arbitrary<Step> = fc.record({
    do: fc.constantFrom('grant', 'rotate', 'revoke', 'wait'),
    who: fc.nat(2),
    as: fc.nat(2),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const chain = start()
      const model = new Map<string, { holder: number; na: number; revoked: boolean }>()
      for (const { do: call, who, as } of steps) {
        const id = ledgerIdOf(keyAt(who).publicKey)
        const known = model.get(toHex(id))
        if (call === 'wait') {
          chain.advance(HOUR_MS)
        } else if (call === 'grant') {
          const na = endOf(chain)
          const { name } = chain.call('consent/grant', { g: id, c, k: keyAt(who).publicKey, na }, [keyAt(as)])
          const ok = as === who && known === undefined
          expect(name === 'OK').toBe(ok)
          if (ok) model.set(toHex(id), { holder: who, na, revoked: false })
        } else if (call === 'rotate') {
          const next = (as + 1) % 3
          const { name } = chain.call('consent/rotate', { g: id, k2: keyAt(next).publicKey }, [
            keyAt(as),
            keyAt(next),
          ])
          const ok = known !== undefined && known.holder === as && !known.revoked
          expect(name === 'OK').toBe(ok)
          if (ok) known.holder = next
        } else {
          const { name } = chain.call('consent/revoke', { g: id }, [keyAt(as)])
          const ok = known !== undefined && known.holder === as
          expect(name === 'OK').toBe(ok)
          if (ok) known.revoked = true
        }
        const { timeMs } = chain.ledger.head
        for (const person of people) {
          const held = model.get(toHex(ledgerIdOf(person.publicKey)))
          const expected = held && (held.revoked ? 'revoked' : timeMs < held.na ? 'active' : 'expired')
          expect(stateOf(chain, ledgerIdOf(person.publicKey))).toBe(expected)
        }
      }
    }),
    { numRuns: 60 },
  )
})
