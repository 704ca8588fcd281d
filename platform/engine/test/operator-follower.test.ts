import { equal, toHex } from '@salus/core'
import { CODES, decodeBlock, decodeBody, encodeBlock } from '@salus/ledger'
import { testMember } from '@salus/ledger/testing'
import { decodeReceipt, encodeReceipt, verifyReceipt } from '@salus/log'
import { afterEach, expect, test } from 'vitest'
import {
  decodeBlocksAnswer,
  encodeBlocksAnswer,
  type Follower,
  type Operator,
  type OperatorTransport,
} from '../embedded/index.ts'
import { openSponsor, txReceipt } from '../src/index.ts'
import {
  bundleOf,
  directTransport,
  followerOn,
  freshBody,
  machine,
  operatorOn,
  random,
  testClock,
  until,
} from './network.ts'
import { notesSchema } from './notes.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

function closing<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one)
  return one
}

test('operator and followers execute the same blocks to the same roots, and cosign the block log to a quorum', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  const b = closing(
    await followerOn(
      machine('b', clock),
      directTransport(() => a),
    ),
  )
  const c = closing(
    await followerOn(
      machine('c', clock),
      directTransport(() => a),
    ),
  )
  const { chainId } = a.ledger
  const bodies = Array.from({ length: 20 }, (_, at) => freshBody(chainId, clock.now(), `note ${at}`))
  for (let at = 0; at < 20; at += 5) {
    // Followers hand their bundles to the operator.
    await (at % 2 === 0 ? b : a).submit(
      bundleOf(chainId, clock.now(), bodies.slice(at, at + 5), at % 2 === 0 ? 'b' : 'a'),
    )
    clock.advance(20)
    await until(
      () => b.head().height === a.head().height && c.head().height === a.head().height,
      'same height',
    )
  }
  expect(a.head().height).toBe(4)
  for (const one of [b, c]) expect(toHex(one.head().stateRoot)).toBe(toHex(a.head().stateRoot))
  const [key] = decodeBody(bodies[7]?.body ?? new Uint8Array()).keys
  expect(b.ledger.query(notesSchema, 'read', { key })).toEqual({ text: 'note 7' })
  await until(
    () => a.blockLog.tiles.cosignedCheckpoint(5)?.isSufficient === true,
    'a cosigned checkpoint of all blocks',
  )
  const names = [...(a.blockLog.tiles.cosignedCheckpoint(5)?.note ?? '').matchAll(/^— (\S+) /gm)].map(
    (line) => line[1],
  )
  expect(names).toEqual(expect.arrayContaining(['a', 'b', 'c']))
  for (const one of [a, b, c]) expect(one.health()).toMatchObject({ working: true, alarms: [] })
})

test('a receipt made by operator or follower verifies from the genesis id alone', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  const b = closing(
    await followerOn(
      machine('b', clock),
      directTransport(() => a),
    ),
  )
  const body = freshBody(a.ledger.chainId, clock.now())
  await a.submit(bundleOf(a.ledger.chainId, clock.now(), [freshBody(a.ledger.chainId, clock.now()), body]))
  clock.advance(20)
  await until(() => a.head().height === 1, 'block 1', clock)
  const c = closing(
    await followerOn(
      machine('c', clock),
      directTransport(() => a),
    ),
  )
  await until(() => a.blockLog.tiles.cosignedCheckpoint(2)?.isSufficient === true, 'a quorum')
  // The cosigned checkpoint travels with the next block.
  clock.advance(1)
  await a.heartbeat()
  await until(() => b.head().height === 2 && c.head().height === 2, 'block 2')
  const genesis = a.ledger.block(0) as Uint8Array
  for (const engine of [a, b]) {
    let receipt = await txReceipt(engine.ledger, engine, { height: 1, index: 1, keys: [{ genesis }] })
    for (let turn = 0; turn < 100 && !receipt; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      receipt = await txReceipt(engine.ledger, engine, { height: 1, index: 1, keys: [{ genesis }] })
    }
    if (!receipt) throw new Error('no receipt')
    expect(receipt.tx?.body).toEqual(body.body)
    const verdict = verifyReceipt(decodeReceipt(encodeReceipt(receipt)), { genesisId: a.ledger.chainId })
    expect(verdict.detail.filter(({ holds }) => !holds)).toEqual([])
    // Three organisations and no witness in this genesis.
    expect(verdict.status).toBe('not-witnessed')
  }
})

test('a follower refuses a block whose root differs: alarm with height and both roots, nothing kept, nothing signed', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  await a.heartbeat()
  const right = a.head().stateRoot
  const lying = directTransport(() => a)
  const forged = { height: 1, root: new Uint8Array(32).fill(9) }
  const b = closing(
    await followerOn(machine('b', clock), {
      ...lying,
      async blocks(from, waitMs, signal) {
        const answer = decodeBlocksAnswer(await lying.blocks(from, waitMs, signal, 0))
        const blocks = answer.blocks.map(({ bytes, leaf }) => {
          const other = leaf.slice()
          for (let at = 0; at + 32 <= other.length; at++)
            if (equal(other.subarray(at, at + 32), right)) other.set(forged.root, at)
          return { bytes, leaf: other }
        })
        return encodeBlocksAnswer({ ...answer, blocks })
      },
    }),
  )
  await expect(b.reached(1)).rejects.toThrow(/stopped/)
  expect(b.head().height).toBe(0)
  const [alarm] = b.health().alarms
  expect(alarm).toMatchObject({ code: 'ROOT_MISMATCH', message: expect.stringContaining('block 1') })
  expect(alarm?.message).toContain(toHex(right))
  expect(alarm?.message).toContain(toHex(forged.root))
  expect(b.health().working).toBe(false)
  expect(b.checkpoint()).toBeUndefined()
})

test('a follower refuses an operator that changed a block behind its log', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  await a.submit(bundleOf(a.ledger.chainId, clock.now(), [freshBody(a.ledger.chainId, clock.now())]))
  clock.advance(20)
  await until(() => a.blockLog.height === 1, 'block 1')
  const direct = directTransport(() => a)
  const b = closing(
    await followerOn(machine('b', clock), {
      ...direct,
      async blocks(from, waitMs, signal) {
        const answer = decodeBlocksAnswer(await direct.blocks(from, waitMs, signal, 0))
        const blocks = answer.blocks.map(({ bytes, leaf }) => ({
          bytes: encodeBlock({ ...decodeBlock(bytes), bundles: [] }),
          leaf,
        }))
        return encodeBlocksAnswer({ ...answer, blocks })
      },
    }),
  )
  await expect(b.reached(1)).rejects.toMatchObject({ code: 'ENGINE_STOPPED', data: { height: 1 } })
})

test('a follower catches up after it was away, and its copy of the block log is the operator’s', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  const away = machine('b', clock)
  let b = await followerOn(
    away,
    directTransport(() => a),
  )
  for (let block = 0; block < 3; block++) {
    clock.advance(10)
    await a.heartbeat()
  }
  await b.reached(3)
  await b.close()
  for (let block = 0; block < 5; block++) {
    clock.advance(10)
    await a.heartbeat()
  }
  b = closing(
    await followerOn(
      away,
      directTransport(() => a),
    ),
  )
  await b.reached(8)
  await until(() => b.blockLog.height === 8, 'the copy of the log')
  expect(b.blockLog.tiles.root).toEqual(a.blockLog.tiles.root)
})

test('a restored older copy does not cosign until it has executed again what it vouched for', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  const first = machine('b', clock)
  let b = await followerOn(
    first,
    directTransport(() => a),
  )
  for (let block = 0; block < 4; block++) {
    clock.advance(10)
    await a.heartbeat()
  }
  await b.reached(4)
  await until(() => b.checkpoint() !== undefined && a.checkpoint().includes('— b '), 'b cosigned')
  await b.close()
  const mark = (await first.disk.read('cosign-mark')) as Uint8Array
  // Everything but the mark is as on the first day.
  const restored = machine('b', clock)
  await restored.disk.write('cosign-mark', mark)
  let served = 2
  const direct = directTransport(() => a)
  const partial: OperatorTransport = {
    ...direct,
    async blocks(from, waitMs, signal) {
      const answer = decodeBlocksAnswer(await direct.blocks(from, waitMs, signal, 0))
      if (from > served) await new Promise((resolve) => setImmediate(resolve))
      return encodeBlocksAnswer({ ...answer, blocks: answer.blocks.slice(0, Math.max(0, served - from + 1)) })
    },
  }
  b = closing(await followerOn(restored, partial))
  await b.reached(2)
  await until(() => b.health().alarms.some(({ code }) => code === 'ROLLED_BACK'), 'the alarm')
  expect(b.checkpoint()).toBeUndefined()
  served = 100
  await until(() => b.head().height === 4, 'it executed them', clock)
  await until(() => b.checkpoint() !== undefined, 'it cosigns again', clock)
})

test('above thirty seconds between block time and its own clock a follower withholds its cosignature', async () => {
  const clock = testClock()
  const slow = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  const b = closing(
    await followerOn(
      machine('b', slow),
      directTransport(() => a),
    ),
  )
  clock.advance(60_000)
  await a.heartbeat()
  await until(() => b.health().alarms.length > 0, 'the alarm', slow)
  expect(b.head().height).toBe(a.head().height)
  expect(b.health().alarms[0]).toMatchObject({ code: 'CLOCK' })
  const sizeOf = (note = '') => note.split('\n')[1]
  expect(sizeOf(b.checkpoint())).not.toBe('2')
  slow.advance(clock.now() - slow.now())
  clock.advance(100)
  await a.heartbeat()
  await until(() => sizeOf(b.checkpoint()) === String(a.head().height + 1), 'it cosigns again', slow)
})

test('a censoring sponsor is got around: the same body through another one, executed once', async () => {
  const clock = testClock()
  const a = closing(await operatorOn(machine('a', clock)))
  const atB = machine('b', clock)
  const b = closing(
    await followerOn(
      atB,
      directTransport(() => a),
    ),
  )
  const { chainId } = a.ledger
  const deaf: Operator | Follower = { ...a, submit: async () => {} }
  const common = { clock, random }
  const censoring = closing(
    openSponsor({
      ...common,
      org: 'a',
      key: testMember('a').sign,
      ledger: a.ledger,
      engine: deaf,
      verifier: machine('a', clock).verifier,
    }),
  )
  const honest = closing(
    openSponsor({
      ...common,
      org: 'b',
      key: testMember('b').sign,
      ledger: b.ledger,
      engine: b,
      verifier: atB.verifier,
    }),
  )
  const body = freshBody(chainId, clock.now())
  const taken = await censoring.submit(body)
  clock.advance(1_000)
  expect(censoring.status(body.txId).state).toBe('bundled')
  expect((await honest.submit(body)).txId).toEqual(taken.txId)
  await until(() => b.head().height === 1, 'block 1', clock)
  expect(await honest.follow(body.txId).wait()).toMatchObject({ height: 1, index: 0, code: CODES.OK })
  // Given again straight to the operator it runs no second time.
  await a.submit(bundleOf(chainId, clock.now(), [body]))
  await until(() => a.head().height === 2, 'block 2', clock)
  expect(a.blockAt(2)?.outcome.results.map(({ code }) => code)).toEqual([CODES.REPLAYED])
  expect(censoring.status(body.txId)).toMatchObject({ state: 'final', height: 1 })
})

test('the operator does not order on a store that was rolled back behind its block log', async () => {
  const clock = testClock()
  const first = machine('a', clock)
  const a = await operatorOn(first)
  await a.heartbeat()
  await a.close()
  const rolledBack = { ...first, store: machine('a', clock).store }
  await expect(operatorOn(rolledBack)).rejects.toMatchObject({
    code: 'BLOCK_LOG_AHEAD',
    data: { logged: 1, height: 0 },
  })
})

test('after a crash the block log is completed from the store', async () => {
  const clock = testClock()
  const first = machine('a', clock)
  const a = await operatorOn(first)
  for (let block = 0; block < 3; block++) {
    clock.advance(5)
    await a.heartbeat()
  }
  const root = a.blockLog.tiles.root
  await a.close()
  // The store is as it was; of the log and the mark nothing is left.
  const b = closing(await operatorOn({ ...machine('a', clock), store: first.store }))
  expect(b.blockLog.tiles.root).toEqual(root)
  expect(b.health().loggedHeight).toBe(3)
})
