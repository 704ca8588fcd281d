import {
  type CborValue,
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  rootOfHashes,
  type SigningKey,
  signCheckpoint,
  utf8,
} from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { countingRandom, testKey, testLedger, testMember } from '../../../testing/index.ts'
import { logIdOf } from './log.ts'
import { log } from './schema.ts'

const origin = 'a.example/facts'
const logId = logIdOf('a', origin)
const a = testMember('a')
const b = testMember('b')
const random = countingRandom('log')
const leaves = (count: number, seed = 'leaf') =>
  Array.from({ length: count }, (_, at) => utf8(`${seed} ${at}`))
const hashesOf = (count: number, seed?: string) => leaves(count, seed).map(leafHash)

function note(hashes: readonly Uint8Array[], key: SigningKey = a.log, name = origin): string {
  return signCheckpoint({ origin: name, size: hashes.length, root: rootOfHashes(hashes) }, [{ name, key }])
}

function start() {
  const chain = testLedger()
  chain.call('log/open', { org: 'a', origin }, [a.sign])
  const anchor = (
    oldSize: number,
    hashes: readonly Uint8Array[],
    change: { [name: string]: CborValue } = {},
    key = b.sign,
  ) => {
    const proof = oldSize === 0 || oldSize >= hashes.length ? [] : consistencyProof(hashes, oldSize)
    return chain.call('log/anchor', { logId, oldSize, note: note(hashes), proof, ...change }, [key]).name
  }
  const standing = () => chain.ledger.query(log, 'get', { logId })
  return { chain, anchor, standing }
}

describe('open', () => {
  test('gives the log an id that follows from organisation and origin, once, for the organisation alone', () => {
    const { chain, standing } = start()
    expect(standing()).toMatchObject({ state: 'open', log: { org: 'a', size: 0, root: emptyRoot } })
    expect(chain.call('log/open', { org: 'a', origin }, [a.sign]).name).toBe('exists')
    expect(chain.call('log/open', { org: 'a', origin: 'other' }, [b.sign]).name).toBe('notSigned')
    expect(chain.call('log/open', { org: 'a', origin: 'no spaces please' }, [a.sign]).name).toBe('badOrigin')
    expect(chain.ledger.query(log, 'list', { org: 'a' })).toHaveLength(1)
    expect(chain.ledger.query(log, 'list', { org: 'b' })).toEqual([])
  })
})

describe('anchor', () => {
  test('by any member moves the log forward; the same checkpoint again renews its time', () => {
    const { anchor, standing } = start()
    expect(anchor(0, hashesOf(3))).toBe('OK')
    expect(anchor(3, hashesOf(8))).toBe('OK')
    const before = standing()?.log.height as number
    expect(anchor(8, hashesOf(8))).toBe('OK')
    expect(standing()?.log).toMatchObject({ size: 8, root: rootOfHashes(hashesOf(8)), height: before + 1 })
  })

  test('property: only an extension of the anchored tree is accepted', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 20 }),
        fc.nat(19),
        (size, more, at) => {
          const { anchor, standing } = start()
          anchor(0, hashesOf(size))
          const rewritten = hashesOf(size + more)
          rewritten[at % size] = leafHash(utf8('rewritten'))
          expect(anchor(size, rewritten)).toBe(more === 0 ? 'rootDiffers' : 'notConsistent')
          expect(standing()?.log.size).toBe(size)
          expect(anchor(size, hashesOf(size + more))).toBe('OK')
        },
      ),
      { seed: 1, numRuns: 15 },
    )
  })

  test('is refused: stranger, unknown log, other signer, other origin, stale size, shrinking, no proof, not a note', () => {
    const { chain, anchor } = start()
    anchor(0, hashesOf(4))
    const hashes = hashesOf(6)
    expect(anchor(4, hashes, {}, testKey('stranger'))).toBe('notMember')
    expect(anchor(4, hashes, { logId: random(16) })).toBe('notFound')
    expect(anchor(4, hashes, { note: note(hashes, b.log) })).toBe('badNote')
    expect(anchor(4, hashes, { note: note(hashes, a.log, 'a.example/other') })).toBe('badNote')
    expect(anchor(4, hashes, { note: 'not a note' })).toBe('badNote')
    expect(anchor(3, hashes)).toBe('staleSize')
    expect(anchor(4, hashesOf(2))).toBe('shrinks')
    expect(anchor(4, hashes, { proof: [] })).toBe('notConsistent')
    expect(anchor(4, hashesOf(4), { proof: [random(32)] })).toBe('notConsistent')
    expect(anchor(4, hashes, { proof: Array.from({ length: 65 }, () => random(32)) })).toBe('BAD_ARGS')
    expect(chain.ledger.query(log, 'get', { logId })?.log.size).toBe(4)
  })
})

describe('fork', () => {
  const fork = (chain: ReturnType<typeof start>['chain'], evidence: CborValue) =>
    chain.call('log/fork', { logId, evidence }, [b.sign]).name
  const one = hashesOf(5)
  const two = hashesOf(5, 'other')

  test('two roots of one size end the log; a vote opens its successor', () => {
    const { chain, anchor, standing } = start()
    expect(fork(chain, { kind: 'roots', note1: note(one), note2: note(one) })).toBe('noFork')
    expect(fork(chain, { kind: 'roots', note1: note(one), note2: note(hashesOf(6)) })).toBe('noFork')
    expect(fork(chain, { kind: 'roots', note1: note(one), note2: note(two, b.log) })).toBe('noFork')
    expect(fork(chain, { kind: 'roots', note1: note(one), note2: note(two) })).toBe('OK')
    expect(standing()?.state).toBe('forked')
    expect(anchor(0, one)).toBe('closed')

    const next = 'a.example/facts-2'
    chain.call('log/open', { org: 'a', origin: next }, [a.sign])
    const p = random(16)
    const change = { kind: 'succeedLog', logId, successor: logIdOf('a', next) }
    chain.call('governance/propose', { p, change }, [a.sign])
    expect(chain.call('governance/vote', { p, yes: true }, [b.sign]).name).toBe('OK')
    expect(standing()).toMatchObject({ state: 'succeeded', log: { successor: logIdOf('a', next) } })
  })

  test('one position with two leaves, each proven', () => {
    const { chain, standing } = start()
    const shown = (seed: string, size: number) => ({
      note: note(hashesOf(size, seed)),
      leaf: leaves(size, seed)[2] as Uint8Array,
      proof: inclusionProof(hashesOf(size, seed), 2),
    })
    const [first, second, same] = [shown('leaf', 5), shown('other', 7), shown('leaf', 7)]
    const evidence = (x: typeof first, y: typeof first) => {
      const notes = { note1: x.note, note2: y.note }
      return {
        kind: 'leaves',
        index: 2,
        ...notes,
        leaf1: x.leaf,
        proof1: x.proof,
        leaf2: y.leaf,
        proof2: y.proof,
      }
    }
    expect(fork(chain, evidence(first, same))).toBe('noFork')
    expect(fork(chain, evidence(first, { ...second, proof: first.proof }))).toBe('noFork')
    expect(fork(chain, evidence(first, second))).toBe('OK')
    expect(standing()?.state).toBe('forked')
  })
})

describe('challenge', () => {
  const hashes = hashesOf(6)
  const leaf = leaves(6)[4] as Uint8Array
  const args = { logId, note: note(hashes), index: 4, leaf, proof: inclusionProof(hashes, 4) }

  test('unanswered for an hour makes the log suspect; an answer under the anchored root ends that', () => {
    const { chain, anchor, standing } = start()
    expect(chain.call('log/challenge', { ...args, index: 3 }, [b.sign]).name).toBe('notIncluded')
    expect(chain.call('log/challenge', args, [b.sign]).name).toBe('OK')
    expect(chain.call('log/challenge', args, [b.sign]).name).toBe('exists')
    expect(standing()).toMatchObject({ state: 'open', openChallenges: 1 })
    chain.advance(3_600_000)
    chain.advance(1)
    expect(standing()?.state).toBe('suspect')
    const more = hashesOf(9)
    const answer = { logId, index: 4, leafHash: leafHash(leaf), proof: inclusionProof(more, 4) }
    expect(chain.call('log/answer', answer, [a.sign]).name).toBe('notIncluded')
    expect(anchor(0, more)).toBe('OK')
    expect(chain.call('log/answer', answer, [a.sign]).name).toBe('OK')
    expect(standing()).toMatchObject({ state: 'open', openChallenges: 0 })
    expect(chain.call('log/answer', answer, [a.sign]).name).toBe('OK')
    expect(chain.ledger.query(log, 'challenges', { logId })[0]?.challenge.by).toBe('b')
  })
})
