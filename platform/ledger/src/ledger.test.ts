import {
  bytes,
  compareBytes,
  encode,
  equal,
  leafHash,
  object,
  optional,
  text,
  uint,
  verifyInclusion,
  verifySparse,
} from '@salus/core'
import { describe, expect, test } from 'vitest'
import { countingRandom, testKey, testLedger, testMember } from '../testing/index.ts'
import { txLeaf } from './block.ts'
import { governance } from './contracts/governance/schema.ts'
import { Ledger } from './ledger.ts'
import { defineContract, implement } from './runtime/define.ts'
import { proveResult } from './runtime/outcome.ts'
import { memoryStore } from './state/memory-store.ts'
import { CODES } from './tx/codes.ts'

const id = bytes('Note', { length: 16 })
const row = object('A note', {
  owner: bytes('Key', { length: 32 }),
  text: text('Text', { max: 20 }),
  seq: optional(uint('n')),
})

/** Small notes: enough to see every rule of the runtime. */
const schema = defineContract({
  name: 'notes',
  version: 1,
  doc: 'Notes that their owner may change.',
  rejects: { exists: 100, notFound: 101, notOwner: 102, regretted: 103 },
  tables: { notes: { doc: 'Notes', key: [id], row } },
  events: { written: { doc: 'A note was written', data: object('', { id }) } },
  calls: {
    write: {
      doc: 'Write',
      input: object('', { id, text: text('Text', { max: 20 }) }),
      output: object('', { seq: uint('n') }),
    },
    erase: { doc: 'Erase', input: object('', { id }) },
    regret: { doc: 'Write, then reject', input: object('', { id }) },
  },
  queries: { get: { doc: 'One', input: object('', { id }), output: optional(row) } },
})

const notes = implement(schema, {
  calls: {
    write(context, { id, text }) {
      const owner = context.signers[0] as Uint8Array
      const before = context.tables.notes.get([id])
      if (before !== undefined && !equal(before.owner, owner)) context.reject('notOwner')
      const seq = (before?.seq ?? 0) + 1
      context.tables.notes.put([id], { owner, text, seq })
      context.emit('written', { id })
      return { seq }
    },
    erase(context, { id }) {
      const before = context.tables.notes.get([id]) ?? context.reject('notFound')
      if (!context.signedBy(before.owner)) context.reject('notOwner')
      context.tables.notes.delete([id])
    },
    regret(context, { id }) {
      context.tables.notes.put([id], { owner: context.signers[0] as Uint8Array, text: 'gone' })
      context.emit('written', { id })
      context.reject('regretted', { left: [...context.tables.notes.scan([])].length })
    },
  },
  queries: { get: (view, { id }) => view.tables.notes.get([id]) },
})

const ana = testKey('ana')
const ben = testKey('ben')
const random = countingRandom('ids')
const fresh = () => random(16)
const start = (options = {}) => testLedger({ contracts: [notes], ...options })

describe('a body', () => {
  test('runs once, changes the state, returns its output, and its proofs hold', () => {
    const chain = start()
    const id = fresh()
    const { name, result, outcome, txId } = chain.call('notes/write', { id, text: 'one' }, [ana])
    expect([name, result]).toEqual(['OK', { seq: 1 }])
    expect(chain.ledger.query(schema, 'get', { id })).toEqual({ owner: ana.publicKey, text: 'one', seq: 1 })
    const { index, size, path } = proveResult(outcome, 0)
    const leaf = leafHash(txLeaf(txId, CODES.OK, outcome.results[0]?.resultHash as Uint8Array))
    expect(verifyInclusion({ leafHash: leaf, index, size, proof: path, root: outcome.leaf.txRoot })).toBe(
      true,
    )
    const { key, value, proof, stateRoot } = chain.ledger.prove(schema, 'notes', [id])
    expect(value).toEqual(encode({ owner: ana.publicKey, text: 'one', seq: 1 }))
    expect(verifySparse({ root: outcome.leaf.stateRoot, key, value, proof })).toBe(true)
    expect(stateRoot).toEqual(outcome.leaf.stateRoot)
    const absent = chain.ledger.prove(schema, 'notes', [fresh()])
    expect(verifySparse({ root: stateRoot, key: absent.key, value: undefined, proof: absent.proof })).toBe(
      true,
    )
    expect(outcome.events).toEqual([{ txId, index: 0, contract: 'notes', event: 'written', data: { id } }])
  })

  test('given again in another bundle, by another sponsor, in the same or a later block: runs once', () => {
    const chain = start()
    const body = chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    const again = () => [chain.bundle([body, body]), chain.bundle([body], { sponsor: 'b' })]
    const first = chain.block(again())
    expect(first.results.map(({ code }) => code)).toEqual([CODES.OK, CODES.REPLAYED, CODES.REPLAYED])
    const second = chain.block([chain.bundle([body], { sponsor: 'b' })])
    expect(second.results.map(({ code }) => code)).toEqual([CODES.REPLAYED])
    // The id stands in one leaf of all blocks: what else is reported is not under it.
    const ids = [...first.results, ...second.results].filter(({ txId }) => equal(txId, body.txId))
    expect(ids).toHaveLength(1)
  })

  test('rejected leaves nothing but its code and data, and cannot be tried again', () => {
    const chain = start()
    const id = fresh()
    const before = chain.ledger.prove(schema, 'notes', [id])
    const body = chain.sign('notes/regret', { id }, [ana])
    const first = chain.block([chain.bundle([body])])
    expect(first.results[0]).toMatchObject({ code: 103, result: { left: 1 }, txId: body.txId })
    expect(first.events).toEqual([])
    expect(chain.ledger.get(schema, 'notes', [id])).toBeUndefined()
    expect(before.value).toBeUndefined()
    expect(chain.block([chain.bundle([body], { sponsor: 'b' })]).results[0]?.code).toBe(CODES.REPLAYED)
  })

  test('with a wrong, missing or foreign signature is refused under H(item) and its txId stays usable', () => {
    const chain = start()
    const good = chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    const forged = { body: good.body, auth: [ben.sign(good.body)] }
    const missing = { body: good.body, auth: [] }
    const bad = chain.block([chain.bundle([forged, missing])])
    expect(bad.results.map(({ code }) => code)).toEqual([CODES.BAD_SIGNATURE, CODES.BAD_SIGNATURE])
    expect(bad.results.some(({ txId }) => equal(txId, good.txId))).toBe(false)
    expect(chain.block([chain.bundle([good])]).results[0]?.code).toBe(CODES.OK)
  })

  test('of another chain, expired, or too far ahead is refused and not recorded', () => {
    const chain = start()
    const other = testLedger({ contracts: [notes], members: ['c'] })
    const foreign = other.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    const late = chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    chain.timeMs += 20 * 60_000
    const early = chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    chain.timeMs -= 10 * 60_000
    const outcome = chain.block([chain.bundle([foreign, late, early])])
    expect(outcome.results.map(({ code }) => code)).toEqual([
      CODES.WRONG_CHAIN,
      CODES.EXPIRED,
      CODES.UNTIL_TOO_FAR,
    ])
    expect(outcome.results.every(({ untilMs }) => untilMs === undefined)).toBe(true)
  })

  test('with an unknown call, a call named like a member of Object, or wrong arguments says so', () => {
    const chain = start()
    expect(chain.call('notes/none', {}, [ana]).name).toBe('UNKNOWN_CALL')
    expect(chain.call('none/write', {}, [ana]).name).toBe('UNKNOWN_CALL')
    expect(chain.call('notes/toString', {}, [ana]).name).toBe('UNKNOWN_CALL')
    expect(chain.call('notes/write', { id: fresh(), text: 'x', more: 1 }, [ana]).name).toBe('BAD_ARGS')
    expect(chain.call('organisations/enter', {}, [ana]).name).toBe('UNKNOWN_CALL')
  })

  test('one bad body in a bundle does not hold up the others', () => {
    const chain = start()
    const ok = () => chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    const bad = { body: new Uint8Array([0xff]), auth: [] }
    const outcome = chain.block([chain.bundle([ok(), bad, ok()])])
    expect(outcome.results.map(({ code }) => code)).toEqual([CODES.OK, CODES.MALFORMED, CODES.OK])
  })
})

describe('a bundle', () => {
  const body = (chain: ReturnType<typeof start>) =>
    chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
  const codesOf = (chain: ReturnType<typeof start>, ...wires: Uint8Array[]) =>
    chain.block(wires).bundles.map(({ code }) => code)

  test('is refused whole: undecodable, wrong chain, unknown sponsor, wrong signature, replayed', () => {
    const chain = start()
    const other = testLedger({ contracts: [notes], members: ['c'] })
    expect(codesOf(chain, new Uint8Array([1, 2]))).toEqual([CODES.MALFORMED])
    expect(codesOf(chain, other.bundle([body(chain)]))).toEqual([CODES.WRONG_CHAIN])
    expect(codesOf(chain, chain.bundle([body(chain)], { sponsor: 'stranger' }))).toEqual([
      CODES.UNKNOWN_SPONSOR,
    ])
    const wire = chain.bundle([body(chain)])
    const forged = wire.slice()
    forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1
    expect(codesOf(chain, forged)).toEqual([CODES.BAD_SIGNATURE])
    expect(codesOf(chain, wire, wire)).toEqual([CODES.OK, CODES.REPLAYED])
    expect(codesOf(chain, wire)).toEqual([CODES.REPLAYED])
  })

  test('expires and may not lie too far ahead; what expired is forgotten, and still does not run again', () => {
    const chain = start()
    const wire = chain.bundle([body(chain)], { untilMs: chain.timeMs + 60_000 })
    expect(codesOf(chain, wire)).toEqual([CODES.OK])
    expect(chain.ledger.seenCount).toBe(2)
    chain.advance(5 * 60_000)
    expect(chain.ledger.seenCount).toBe(0)
    expect(codesOf(chain, wire)).toEqual([CODES.EXPIRED])
    expect(codesOf(chain, chain.bundle([body(chain)], { untilMs: chain.timeMs + 600_001 }))).toEqual([
      CODES.UNTIL_TOO_FAR,
    ])
    expect(codesOf(chain, chain.bundle([body(chain)], { untilMs: chain.timeMs + 600_000 }))).toEqual([
      CODES.OK,
    ])
  })

  test('beyond the quota waits for block time to refill the bucket; a bad signature costs ten', () => {
    const chain = start({ params: { quotaUnitsPerSecond: 1, quotaBurstUnits: 12 } })
    const forged = () => ({ body: body(chain).body, auth: [new Uint8Array(64)] })
    // 1 for the body, 1 for the first KiB.
    expect(codesOf(chain, chain.bundle([body(chain)]))).toEqual([CODES.OK])
    expect(chain.ledger.get(governance, 'usage', ['a'])?.usedMilliUnits).toBe(2_000)
    // A second refilled one; 2 more, and 9 for the signature.
    expect(codesOf(chain, chain.bundle([forged()]))).toEqual([CODES.OK])
    expect(chain.ledger.get(governance, 'usage', ['a'])?.usedMilliUnits).toBe(12_000)
    const next = chain.bundle([body(chain)])
    expect(codesOf(chain, next)).toEqual([CODES.QUOTA])
    expect(codesOf(chain, next)).toEqual([CODES.OK])
    // Another sponsor has a bucket of its own.
    expect(codesOf(chain, chain.bundle([body(chain)], { sponsor: 'b' }))).toEqual([CODES.OK])
  })

  test('checkBundle and checkBody foretell what a block says', () => {
    const chain = start()
    const signed = body(chain)
    const wire = chain.bundle([signed])
    const { ledger } = chain
    expect(ledger.checkBundle(wire, chain.timeMs)).toBe(CODES.OK)
    expect(ledger.checkBody(signed.body, signed.txId, chain.timeMs)).toBe(CODES.OK)
    expect(ledger.checkBundle(wire, chain.timeMs + 120_000)).toBe(CODES.EXPIRED)
    chain.block([wire])
    expect(ledger.checkBundle(wire, chain.timeMs)).toBe(CODES.REPLAYED)
    expect(ledger.checkBody(signed.body, signed.txId, chain.timeMs)).toBe(CODES.REPLAYED)
    const wrong = chain.sign('notes/write', { id: fresh() }, [ana])
    expect(ledger.checkBody(wrong.body, wrong.txId, chain.timeMs)).toBe(CODES.BAD_ARGS)
  })
})

describe('a ledger', () => {
  test('opened again on its store goes on where it was, replay set included', () => {
    const store = memoryStore()
    const chain = start({ store })
    const body = chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    chain.block([chain.bundle([body])])
    const again = Ledger.open({ store, contracts: [notes], genesis: chain.genesis })
    expect(again.head).toEqual(chain.ledger.head)
    expect(again.checkBody(body.body, body.txId, chain.timeMs)).toBe(CODES.REPLAYED)
    expect(again.outcome(1)).toEqual(chain.ledger.outcome(1))
  })

  test('prepare changes nothing: the same block gives the same outcome twice', () => {
    const chain = start()
    const body = chain.sign('notes/write', { id: fresh(), text: 'x' }, [ana])
    const block = { v: 1 as const, height: 1, timeMs: chain.timeMs, bundles: [chain.bundle([body])] }
    const first = chain.ledger.prepare(block, () => true)
    const second = chain.ledger.prepare(block, () => true)
    expect(second.outcome).toEqual(first.outcome)
    expect(chain.ledger.head.height).toBe(0)
  })

  test('refuses a store of another genesis and blocks that do not follow', () => {
    const store = memoryStore()
    const chain = start({ store })
    const other = testLedger({ contracts: [notes], members: ['c'] })
    expect(() => Ledger.open({ store, contracts: [notes], genesis: other.genesis })).toThrow(
      'another genesis',
    )
    const at = (height: number, timeMs: number) => () =>
      chain.ledger.execute({ v: 1, height, timeMs, bundles: [] }, () => false)
    expect(at(2, chain.timeMs)).toThrow('block.height')
    expect(at(1, chain.ledger.head.timeMs)).toThrow('block.timeMs')
  })

  test('heartbeat blocks move time and keep the state root', () => {
    const chain = start()
    const { stateRoot } = chain.ledger.head
    chain.advance(15_000)
    expect(chain.ledger.head).toMatchObject({ height: 1, stateRoot })
  })

  test('two ledgers over two stores do not touch each other', () => {
    const one = start()
    const two = start()
    one.call('notes/write', { id: fresh(), text: 'x' }, [ana])
    expect(two.ledger.head.height).toBe(0)
    expect(compareBytes(one.ledger.head.stateRoot, two.ledger.head.stateRoot)).not.toBe(0)
  })

  test('a member’s organisation key is what its bundles are verified with', () => {
    const chain = start()
    expect(chain.ledger.sponsorKey('a')).toEqual(testMember('a').sign.publicKey)
    expect(chain.ledger.sponsorKey('stranger')).toBeUndefined()
  })
})
