import { bytes, equal, object, oneOf, toHex, uint } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testKey, testLedger } from '../../testing/index.ts'
import { decodeBlock } from '../block.ts'
import { Ledger } from '../ledger.ts'
import { memoryStore } from '../state/memory-store.ts'
import { CODES } from '../tx/codes.ts'
import { verifiedBy, verifyBundle } from '../tx/verify.ts'
import { defineContract, implement } from './define.ts'

const account = bytes('Account: first 16 bytes of its key', { length: 16 })
const amount = uint('Points', { max: 1000 })
const row = object('', { points: uint('Points') })

/** Two tables, scans and a late rejection: what savepoints must undo. */
const schema = defineContract({
  name: 'points',
  version: 1,
  doc: 'Points that move between accounts.',
  rejects: { tooFew: 100, unlucky: 101 },
  tables: {
    accounts: { doc: 'Points by account', key: [account], row },
    moves: { doc: 'Moves by kind and number', key: [oneOf('Kind', ['earn', 'move']), uint('Number')], row },
  },
  events: { moved: { doc: '', data: object('', { from: account, points: uint('') }) } },
  calls: {
    earn: { doc: 'Earn', input: object('', { points: amount }), output: object('', { points: uint('') }) },
    move: {
      doc: 'Move; an odd total of moves is unlucky',
      input: object('', { to: account, points: amount }),
    },
  },
  queries: {
    total: { doc: 'All points', input: object('', {}), output: uint('') },
  },
})

const idOf = (key: Uint8Array) => key.slice(0, 16)
const points = implement(schema, {
  calls: {
    earn(context, { points }) {
      const at = idOf(context.signers[0] as Uint8Array)
      const total = (context.tables.accounts.get([at])?.points ?? 0) + points
      context.tables.accounts.put([at], { points: total })
      context.tables.moves.put(['earn', [...context.tables.moves.scan(['earn'])].length], { points })
      return { points: total }
    },
    move(context, { to, points }) {
      const from = idOf(context.signers[0] as Uint8Array)
      const { accounts, moves } = context.tables
      const left = (accounts.get([from])?.points ?? 0) - points
      context.emit('moved', { from, points })
      if (left < 0) context.reject('tooFew')
      if (left === 0) accounts.delete([from])
      else accounts.put([from], { points: left })
      accounts.put([to], { points: (accounts.get([to])?.points ?? 0) + points })
      const count = [...moves.scan(['move'])].length
      moves.put(['move', count], { points })
      // Late, so that all of the above must be undone.
      if (points % 7 === 3) context.reject('unlucky', { count })
    },
  },
  queries: {
    total: (view) => [...view.tables.accounts.scan([])].reduce((sum, [, { points }]) => sum + points, 0),
  },
})

const keys = ['ana', 'ben', 'cleo'].map(testKey)
const publicKeyOf = (who: number) => (keys[who] as (typeof keys)[number]).publicKey

type Step =
  | { readonly kind: 'earn'; readonly who: number; readonly points: number }
  | { readonly kind: 'move'; readonly who: number; readonly to: number; readonly points: number }
  /** The body that many before this one, once more. */
  | { readonly kind: 'again'; readonly back: number }
  | { readonly kind: 'forged'; readonly who: number }

const who = fc.nat(2)
const small = fc.nat(12)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('earn' as const), who, points: small }),
  fc.record({ kind: fc.constant('move' as const), who, to: who, points: small }),
  fc.record({ kind: fc.constant('again' as const), back: fc.nat(8) }),
  fc.record({ kind: fc.constant('forged' as const), who }),
)
/** Blocks of bundles of steps. */
const run = fc.array(fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { maxLength: 3 }), {
  maxLength: 5,
})

/** The contract again, as simply as can be. */
function model() {
  const accounts = new Map<string, number>()
  const at = (account: number) => toHex(idOf(publicKeyOf(account)))
  let moves = 0
  return {
    accounts,
    apply(step: Step): { code: number; result: unknown } {
      if (step.kind === 'earn') {
        const points = (accounts.get(at(step.who)) ?? 0) + step.points
        accounts.set(at(step.who), points)
        return { code: CODES.OK, result: { points } }
      }
      if (step.kind !== 'move') throw new Error('not a call')
      const left = (accounts.get(at(step.who)) ?? 0) - step.points
      if (left < 0) return { code: 100, result: null }
      if (step.points % 7 === 3) return { code: 101, result: { count: moves } }
      if (left === 0) accounts.delete(at(step.who))
      else accounts.set(at(step.who), left)
      accounts.set(at(step.to), (accounts.get(at(step.to)) ?? 0) + step.points)
      moves++
      return { code: CODES.OK, result: null }
    },
  }
}

function play(blocks: readonly (readonly (readonly Step[])[])[]) {
  const store = memoryStore()
  const chain = testLedger({ contracts: [points], store })
  const expected = model()
  const bodies: { body: Uint8Array; auth: readonly Uint8Array[] }[] = []
  for (const block of blocks) {
    const answers: { code: number; result: unknown }[] = []
    const wires = block.map((bundle) => {
      const items = bundle.map((step) => {
        if (step.kind === 'again') {
          const body = bodies.at(-1 - step.back)
          if (body !== undefined) {
            answers.push({ code: CODES.REPLAYED, result: null })
            return body
          }
        }
        if (step.kind === 'forged' || step.kind === 'again') {
          answers.push({ code: CODES.BAD_SIGNATURE, result: null })
          const body = chain.sign('points/earn', { points: 1 }, [keys[0] as (typeof keys)[number]])
          return { body: body.body, auth: [new Uint8Array(64)] }
        }
        const signer = keys[step.who] as (typeof keys)[number]
        const args = step.kind === 'earn' ? {} : { to: idOf(publicKeyOf(step.to)) }
        const body = chain.sign(`points/${step.kind}`, { ...args, points: step.points }, [signer])
        bodies.push(body as (typeof bodies)[number])
        answers.push(expected.apply(step))
        return body
      })
      return chain.bundle(items)
    })
    const outcome = chain.block(wires)
    expect(outcome.results.map(({ code, result }) => ({ code, result }))).toEqual(answers)
    const moved = answers.filter(({ code, result }) => code === CODES.OK && result === null).length
    expect(outcome.events).toHaveLength(moved)
  }
  return { chain, expected, store }
}

describe('property: the runtime', () => {
  test('does what a simple model does, body by body, replays and forgeries among them', () => {
    fc.assert(
      fc.property(run, (blocks) => {
        const { chain, expected } = play(blocks)
        const rows = [...chain.ledger.tables(schema).accounts.scan([])]
        expect(new Map(rows.map(([[at], row]) => [toHex(at), row.points]))).toEqual(expected.accounts)
        const total = [...expected.accounts.values()].reduce((sum, points) => sum + points, 0)
        expect(chain.ledger.query(schema, 'total', {})).toBe(total)
      }),
      { seed: 11, numRuns: 60 },
    )
  })

  test('leads to the same leaves from the same blocks, with a restart after any of them', () => {
    fc.assert(
      fc.property(run, fc.nat(5), (blocks, restartAt) => {
        const { chain } = play(blocks)
        const store = memoryStore()
        const open = () => Ledger.open({ store, contracts: [points], genesis: chain.genesis })
        let other = open()
        for (let height = 1; height <= chain.ledger.head.height; height++) {
          if (height === restartAt) other = open()
          const block = blockAt(chain.ledger, height)
          const key = chain.ledger.sponsorKey('a')
          other.execute(block, verifiedBy(block.bundles.map((wire) => verifyBundle(wire, key))))
        }
        expect(other.head).toEqual(chain.ledger.head)
        expect(equal(other.head.stateRoot, chain.ledger.head.stateRoot)).toBe(true)
        expect(other.seenCount).toBe(chain.ledger.seenCount)
      }),
      { seed: 12, numRuns: 30 },
    )
  })
})

describe('a store put back to an earlier height', () => {
  test('replays the blocks that follow to the same roots', () => {
    const { chain } = play([
      [[{ kind: 'earn', who: 0, points: 9 }]],
      [[{ kind: 'move', who: 0, to: 1, points: 4 }]],
    ])
    const store = memoryStore()
    const back = Ledger.open({ store, contracts: [points], genesis: chain.genesis })
    for (let height = 1; height <= 2; height++) {
      const block = blockAt(chain.ledger, height)
      const { leafBytes } = back.execute(block, () => true)
      expect(leafBytes).toEqual(chain.ledger.outcome(height)?.leafBytes)
    }
  })

  test('a handler that throws anything but a rejection stops the block and commits nothing', () => {
    const broken = implement(schema, {
      calls: {
        earn: () => {
          throw new Error('a bug')
        },
        move: () => {},
      },
      queries: { total: () => 0 },
    })
    const chain = testLedger({ contracts: [broken] })
    const { head } = chain.ledger
    expect(() => chain.call('points/earn', { points: 1 }, [keys[0] as never])).toThrow('a bug')
    expect(chain.ledger.head).toBe(head)
    expect(chain.ledger.block(1)).toBeUndefined()
  })
})

function blockAt(ledger: Ledger, height: number) {
  return decodeBlock(ledger.block(height) as Uint8Array)
}
