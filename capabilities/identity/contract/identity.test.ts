import { sha256 } from '@salus/core'
import { type TestLedger, testKey, testLedger } from '@salus/ledger/testing'
import { describe, expect, test } from 'vitest'
import { identity } from './identity.ts'
import { identitySchema, RECOVERY_DELAY_MS } from './schema.ts'

const start = (): TestLedger => testLedger({ contracts: [identity] })
const cancel = testKey('cancel')
const device = testKey('device')
const thief = testKey('thief')
const r = sha256(cancel.publicKey).slice(0, 16)
const c = sha256(device.publicKey)
const member = (chain: TestLedger, org: string) => chain.members[org]?.sign ?? thief

describe('credential', () => {
  const h = sha256(c)
  const set = (chain: TestLedger, status: string, org: string) =>
    chain.call('identity/setCredential', { h, status }, [member(chain, org)]).name
  test('its first setting makes the issuer; only the issuer changes it; ended is final', () => {
    const chain = start()
    expect(set(chain, 'suspended', 'a')).toBe('firstStatus')
    expect(set(chain, 'active', 'nobody')).toBe('notMember')
    expect(set(chain, 'active', 'a')).toBe('OK')
    expect(set(chain, 'ended', 'b')).toBe('notIssuer')
    expect(set(chain, 'suspended', 'a')).toBe('OK')
    expect(set(chain, 'active', 'a')).toBe('OK')
    expect(set(chain, 'ended', 'a')).toBe('OK')
    expect(set(chain, 'active', 'a')).toBe('ended')
    expect(chain.ledger.query(identitySchema, 'credential', { h })).toMatchObject({
      issuer: 'a',
      status: 'ended',
    })
  })
})

describe('recovery', () => {
  const arm = (chain: TestLedger) =>
    chain.call('identity/armRecovery', { r, cancelKey: cancel.publicKey, c }, [cancel]).name
  const begin = (chain: TestLedger, by = device) =>
    chain.call('identity/startRecovery', { r, newKey: by.publicKey }, [by, member(chain, 'a')]).name
  const stop = (chain: TestLedger, by = cancel) => chain.call('identity/cancelRecovery', { r }, [by]).name
  const stateAt = (chain: TestLedger, atMs?: number) =>
    chain.ledger.query(identitySchema, 'recovery', { r, ...(atMs !== undefined && { atMs }) })?.state

  test('is armed by its cancel key under the id of that key', () => {
    const chain = start()
    const args = { r, cancelKey: cancel.publicKey, c }
    expect(chain.call('identity/armRecovery', args, [thief]).name).toBe('notSigner')
    expect(chain.call('identity/armRecovery', { ...args, r: c.slice(0, 16) }, [cancel]).name).toBe('wrongId')
    expect(arm(chain)).toBe('OK')
    expect(arm(chain)).toBe('exists')
    expect(stateAt(chain)).toBe('armed')
  })

  test('starts only with a member and the new key, and is complete after the delay, evaluated', () => {
    const chain = start()
    expect(begin(chain)).toBe('notFound')
    arm(chain)
    expect(chain.call('identity/startRecovery', { r, newKey: device.publicKey }, [device]).name).toBe(
      'notMember',
    )
    expect(
      chain.call('identity/startRecovery', { r, newKey: device.publicKey }, [member(chain, 'a')]).name,
    ).toBe('notSigner')
    const startedMs = chain.timeMs
    expect(begin(chain)).toBe('OK')
    expect(stateAt(chain, startedMs + RECOVERY_DELAY_MS - 1)).toBe('started')
    expect(stateAt(chain, startedMs + RECOVERY_DELAY_MS)).toBe('complete')
  })

  test('is begun again by the same home only, for another device and with the whole delay before it', () => {
    const chain = start()
    arm(chain)
    begin(chain, thief)
    for (const laterMs of [RECOVERY_DELAY_MS - 10_000, 2 * RECOVERY_DELAY_MS]) {
      chain.advance(laterMs)
      const elsewhere = [device, member(chain, 'b')]
      const args = { r, newKey: device.publicKey }
      expect(chain.call('identity/startRecovery', args, elsewhere).name).toBe('notArmed')
      const againMs = chain.timeMs
      expect(begin(chain)).toBe('OK')
      expect(stateAt(chain, againMs + RECOVERY_DELAY_MS - 1)).toBe('started')
      expect(chain.ledger.query(identitySchema, 'recovery', { r })?.newKey).toEqual(device.publicKey)
    }
    expect(stop(chain)).toBe('OK')
    expect(stateAt(chain)).toBe('armed')
  })

  test('the owner’s cancel in time arms it again; too late, or by another, it is refused', () => {
    const chain = start()
    arm(chain)
    expect(stop(chain)).toBe('notStarted')
    begin(chain, thief)
    expect(stop(chain, thief)).toBe('notSigner')
    chain.advance(RECOVERY_DELAY_MS - 10_000)
    expect(stop(chain)).toBe('OK')
    expect(stateAt(chain)).toBe('armed')
    expect(chain.ledger.query(identitySchema, 'recovery', { r })?.newKey).toBeUndefined()
    expect(begin(chain)).toBe('OK')
    chain.advance(RECOVERY_DELAY_MS)
    expect(stop(chain)).toBe('complete')
  })
})
