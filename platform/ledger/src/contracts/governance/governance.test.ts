import { type CborValue, encode, sha256 } from '@salus/core'
import { describe, expect, test } from 'vitest'
import { countingRandom, testKey, testLedger, testMember } from '../../../testing/index.ts'
import { Ledger } from '../../ledger.ts'
import { defineContract, implement } from '../../runtime/define.ts'
import { memoryStore } from '../../state/memory-store.ts'
import { CODES } from '../../tx/codes.ts'
import { organisations } from '../organisations/schema.ts'
import { quorumOf } from '../organisations/signers.ts'
import { governance } from './schema.ts'

const random = countingRandom('governance')
const signOf = (org: string) => testMember(org).sign

function admission(org: string) {
  const member = testMember(org)
  const { seal } = member
  const keys = { sign: member.sign.publicKey, seal, log: member.log.publicKey }
  return { kind: 'admit', org, name: org, url: `https://${org}.example`, ...keys }
}

function start(members: readonly string[]) {
  const chain = testLedger({ members })
  const propose = (change: CborValue, by = 'a') => {
    const p = random(16)
    return { p, ...chain.call('governance/propose', { p, change }, [signOf(by)]) }
  }
  const vote = (p: Uint8Array, by: string, yes = true) =>
    chain.call('governance/vote', { p, yes }, [signOf(by)]).name
  const stateOf = (p: Uint8Array) => chain.ledger.query(governance, 'proposal', { p })?.state
  const standing = (org: string) => chain.ledger.query(governance, 'member', { org })?.state
  return { chain, propose, vote, stateOf, standing }
}

test('the quorum is ⌊2n/3⌋+1', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 10].map(quorumOf)).toEqual([1, 2, 3, 3, 4, 5, 5, 7])
})

describe('a proposal', () => {
  test('of the only member passes at once; the admitted member may sponsor from the next block on', () => {
    const { chain, propose, stateOf, standing } = start(['a'])
    const { p, name } = propose(admission('b'))
    expect([name, stateOf(p), standing('b')]).toEqual(['OK', 'passed', 'active'])
    expect(chain.ledger.sponsorKey('b')).toEqual(signOf('b').publicKey)
    const body = chain.sign('organisations/registerStaffKey', { org: 'b', key: new Uint8Array(33) }, [
      signOf('b'),
    ])
    expect(chain.block([chain.bundle([body], { sponsor: 'b' })]).results[0]?.code).toBe(CODES.OK)
  })

  test('among four passes with the third yes, not before; a no does not count', () => {
    const { propose, vote, stateOf, standing } = start(['a', 'b', 'c', 'd'])
    const { p } = propose({ kind: 'suspend', org: 'd' })
    expect(vote(p, 'b', false)).toBe('OK')
    expect(vote(p, 'c')).toBe('OK')
    expect([stateOf(p), standing('d')]).toEqual(['open', 'active'])
    expect(vote(p, 'd')).toBe('OK')
    expect([stateOf(p), standing('d')]).toEqual(['passed', 'suspended'])
    expect(vote(p, 'b')).toBe('closed')
  })

  test('lapses after its time: evaluated, not written', () => {
    const { chain, propose, vote, stateOf } = start(['a', 'b'])
    const { p } = propose({ kind: 'suspend', org: 'b' })
    chain.advance(8 * 24 * 3_600_000)
    expect(stateOf(p)).toBe('lapsed')
    expect(vote(p, 'b')).toBe('closed')
  })

  test('counts a member once, and nobody who is no active member', () => {
    const { chain, propose, vote } = start(['a', 'b', 'c'])
    const { p } = propose({ kind: 'suspend', org: 'c' })
    expect(vote(p, 'a')).toBe('alreadyVoted')
    expect(vote(p, 'stranger')).toBe('notMember')
    expect(chain.call('governance/propose', { p, change: admission('d') }, [signOf('b')]).name).toBe('exists')
    expect(
      chain.call('governance/propose', { p: random(16), change: admission('d') }, [testKey('x')]).name,
    ).toBe('notMember')
  })

  test('may be voted on with an ES256 key that the organisation registered, until it ends', () => {
    // The signature itself is verified outside; here the block is told that it holds.
    const { chain, propose, stateOf } = start(['a', 'b'])
    const key = new Uint8Array(33).fill(2)
    chain.call('organisations/registerStaffKey', { org: 'b', key }, [signOf('b')])
    const { p } = propose({ kind: 'quota', org: 'b', unitsPerSecond: 7, burstUnits: 9 })
    const vote = () => {
      const call = { v: 1, chain: chain.chainId, call: 'governance/vote', args: { p, yes: true } }
      const body = encode({ ...call, nonce: random(16), until: chain.timeMs + 1000, keys: [key] })
      const block = {
        v: 1 as const,
        height: chain.ledger.head.height + 1,
        timeMs: chain.timeMs++,
        bundles: [chain.bundle([{ body, auth: [new Uint8Array(64)] }])],
      }
      return chain.ledger.execute(block, () => true).results[0]?.code
    }
    chain.call('organisations/endStaffKey', { org: 'b', key }, [signOf('b')])
    expect(vote()).toBe(governance.rejects.notMember)
    expect(chain.call('organisations/registerStaffKey', { org: 'b', key }, [signOf('b')]).name).toBe(
      'keyInUse',
    )
    key.fill(3)
    chain.call('organisations/registerStaffKey', { org: 'b', key }, [signOf('b')])
    expect(vote()).toBe(CODES.OK)
    expect(stateOf(p)).toBe('passed')
    expect(chain.ledger.query(governance, 'quota', { org: 'b' })).toEqual({
      unitsPerSecond: 7,
      burstUnits: 9,
    })
  })

  test('that cannot take effect is refused when it is made', () => {
    const { propose } = start(['a', 'b'])
    expect(propose(admission('b')).name).toBe('exists')
    expect(propose({ ...admission('c'), org: 'C C' }).name).toBe('badOrg')
    expect(propose({ ...admission('c'), sign: signOf('b').publicKey }).name).toBe('keyInUse')
    expect(propose({ kind: 'restore', org: 'b' }).name).toBe('wrongState')
    expect(propose({ kind: 'suspend', org: 'x' }).name).toBe('notFound')
    expect(propose({ kind: 'parameter', name: 'writeFloor', value: 0 }).name).toBe('floorFalls')
    expect(propose({ kind: 'parameter', name: 'readFloor', value: 70_000 }).name).toBe('badValue')
    expect(propose({ kind: 'parameter', name: 'votingMs', value: 1 }).name).toBe('badValue')
    expect(propose({ kind: 'parameter', name: 'answerMs', value: 2 ** 53 - 1 }).name).toBe('badValue')
    expect(propose({ kind: 'upgrade', contract: 'log', version: 2, height: 1 }).name).toBe('heightPassed')
    expect(propose({ kind: 'nothing' }).name).toBe('BAD_ARGS')
  })
})

describe('members', () => {
  test('a suspended member cannot sponsor; restored it can', () => {
    const { chain, propose, vote } = start(['a', 'b', 'c', 'd'])
    const decide = (change: CborValue) => {
      const { p } = propose(change)
      vote(p, 'b')
      vote(p, 'c')
    }
    const wire = () =>
      chain.bundle([chain.sign('governance/leave', { org: 'x' }, [signOf('d')])], { sponsor: 'd' })
    decide({ kind: 'suspend', org: 'd' })
    expect(chain.block([wire()]).bundles[0]?.code).toBe(CODES.SUSPENDED)
    decide({ kind: 'restore', org: 'd' })
    expect(chain.block([wire()]).bundles[0]?.code).toBe(CODES.OK)
  })

  test('leave on their own; the last one cannot', () => {
    const { chain, standing } = start(['a', 'b'])
    expect(chain.call('governance/leave', { org: 'b' }, [signOf('a')]).name).toBe('notMember')
    expect(chain.call('governance/leave', { org: 'b' }, [signOf('b')]).name).toBe('OK')
    expect(standing('b')).toBe('left')
    expect(chain.call('governance/leave', { org: 'a' }, [signOf('a')]).name).toBe('lastMember')
  })

  test('that left may be admitted again, with their history kept', () => {
    const { chain, propose, standing } = start(['a', 'b'])
    chain.call('governance/leave', { org: 'b' }, [signOf('b')])
    expect(propose(admission('b')).name).toBe('OK')
    expect(standing('b')).toBe('active')
    expect(chain.ledger.query(organisations, 'history', { org: 'b' })).toHaveLength(2)
  })

  test('parameters change by vote and show in the query', () => {
    const { chain, propose } = start(['a'])
    propose({ kind: 'parameter', name: 'tickMs', value: 2_000 })
    expect(chain.ledger.query(governance, 'params', {})).toMatchObject({ tickMs: 2_000, writeFloor: 1 })
  })
})

describe('an upgrade', () => {
  const made = (version: number, answer: string) =>
    implement(
      defineContract({
        name: 'greeting',
        version,
        doc: 'Greets',
        rejects: {},
        tables: {},
        calls: {},
        queries: {
          greet: {
            doc: 'Greet',
            input: organisations.queries.keys.input,
            output: governance.queries.member.input,
          },
        },
      }),
      { calls: {}, queries: { greet: () => ({ org: answer }) } },
    )
  const contracts = [made(1, 'one'), made(2, 'two')]

  const upgrade = (ready: readonly string[]) => {
    const store = memoryStore()
    const chain = testLedger({ contracts, store, members: ['a', 'b'] })
    const p = random(16)
    const change = { kind: 'upgrade', contract: 'greeting', version: 2, height: 8 }
    chain.call('governance/propose', { p, change }, [signOf('a')])
    expect(chain.call('governance/ready', { p }, [signOf('a')]).name).toBe('wrongState')
    chain.call('governance/vote', { p, yes: true }, [signOf('b')])
    for (const org of ready) expect(chain.call('governance/ready', { p }, [signOf(org)]).name).toBe('OK')
    const answers: unknown[] = []
    while (chain.ledger.head.height < 8) {
      chain.advance(1)
      const next = chain.ledger.head.height + 1
      answers.push([next, chain.ledger.queryByName('greeting', 'greet', { org: 'a' })])
    }
    return { chain, store, answers: answers.slice(-3) }
  }

  test('acts from its height on once every member is ready', () => {
    const { answers } = upgrade(['a', 'b'])
    expect(answers).toEqual([
      [7, { org: 'one' }],
      [8, { org: 'two' }],
      [9, { org: 'two' }],
    ])
  })

  test('without every member’s report never acts', () => {
    const { answers, chain } = upgrade(['a'])
    expect(answers.at(-1)).toEqual([9, { org: 'one' }])
    expect(chain.ledger.query(governance, 'upgrades', {})).toHaveLength(1)
  })

  test('stops a program that does not have the version, before it executes anything', () => {
    const { chain, store } = upgrade(['a', 'b'])
    const open = () => Ledger.open({ store, contracts: [contracts[0] as never], genesis: chain.genesis })
    expect(open).toThrow('version 2')
    expect(sha256(chain.genesis)).toEqual(chain.chainId)
  })
})
