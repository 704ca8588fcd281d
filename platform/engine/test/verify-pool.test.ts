import { availableParallelism } from 'node:os'
import { AppError } from '@salus/core'
import { inlineWorkers, type WorkerPool } from '@salus/host'
import { systemWorkers } from '@salus/host/system'
import { testMember } from '@salus/ledger/testing'
import { describe, expect, test } from 'vitest'
import {
  openSponsor,
  type VerifyAnswer,
  type VerifyJob,
  verifyJob,
  verifyPool,
  verifyWorkerUrl,
} from '../src/index.ts'
import { bundleOf, freshBody, machine, openLedger, operatorOn, random, testClock, until } from './network.ts'

const clock = testClock()
const { chainId } = openLedger(machine('a', clock).store)
const sponsorKey = testMember('a').sign.publicKey
const body = () => freshBody(chainId, clock.now())
const forged = () => ({ ...body(), auth: [new Uint8Array(64).fill(3)] })

/** Counts what is really verified. */
function counted(pool: WorkerPool<VerifyJob, VerifyAnswer>): {
  pool: typeof pool
  parts: number
  jobs: number
} {
  const count = {
    parts: 0,
    jobs: 0,
    pool: {
      run(job: VerifyJob, transfer?: readonly ArrayBuffer[]) {
        count.jobs++
        count.parts += job.parts.length
        return pool.run(job, transfer)
      },
      close: () => pool.close(),
    },
  }
  return count
}

const pools: [string, () => WorkerPool<VerifyJob, VerifyAnswer>][] = [
  ['inline', () => inlineWorkers(verifyJob)],
  ['threads', () => systemWorkers(verifyWorkerUrl, { size: Math.min(2, availableParallelism()) })],
]

describe.each(pools)('verification on %s', (_, workers) => {
  test('says of each bundle whether sponsor and bodies signed it', async () => {
    const verifier = verifyPool({ workers: workers() })
    const good = bundleOf(chainId, clock.now(), [body(), body()])
    const mixed = bundleOf(chainId, clock.now(), [body(), forged(), body()])
    const stranger = bundleOf(chainId, clock.now(), [body()], 'b')
    const answers = await Promise.all([
      verifier.verify(good, sponsorKey),
      verifier.verify(mixed, sponsorKey),
      verifier.verify(stranger, sponsorKey),
      verifier.verify(random(100), sponsorKey),
      verifier.verify(good, undefined),
    ])
    expect(answers.map((answer) => [...answer])).toEqual([[1, 1, 1], [1, 1, 0, 1], [0, 1], [], [0, 1, 1]])
    expect(await verifier.verifyItem(body())).toBe(true)
    expect(await verifier.verifyItem(forged())).toBe(false)
    await verifier.close()
  })
})

test('a bundle is verified once, however often it is asked for, and anew under another sponsor key', async () => {
  const count = counted(inlineWorkers(verifyJob))
  const verifier = verifyPool({ workers: count.pool })
  const wire = bundleOf(chainId, clock.now(), [body()])
  await Promise.all([verifier.verify(wire, sponsorKey), verifier.verify(wire.slice(), sponsorKey)])
  await verifier.verify(wire, sponsorKey)
  expect(count.parts).toBe(1)
  expect([...(await verifier.verify(wire, testMember('b').sign.publicKey))]).toEqual([0, 1])
  expect(count.parts).toBe(2)
})

test('what one turn asks for shares jobs, and wires are not taken from their owner', async () => {
  const count = counted(inlineWorkers(verifyJob))
  const verifier = verifyPool({ workers: count.pool })
  const wires = Array.from({ length: 40 }, () => bundleOf(chainId, clock.now(), [body()]))
  await Promise.all(wires.map((wire) => verifier.verify(wire, sponsorKey)))
  expect(count.parts).toBe(40)
  expect(count.jobs).toBeLessThanOrEqual(2)
  for (const wire of wires) expect(wire.length).toBeGreaterThan(100)
})

test('a worker that dies is no verdict: the next one to ask tries again', async () => {
  let dead = true
  const inline = inlineWorkers<VerifyJob, VerifyAnswer>(verifyJob)
  const pool: typeof inline = {
    run: async (job, transfer) => {
      if (dead) throw new AppError('WORKERS_LOST', 'the worker ended under the task')
      return inline.run(job, transfer)
    },
    close: () => inline.close(),
  }
  const verifier = verifyPool({ workers: pool })
  const wire = bundleOf(chainId, clock.now(), [body()])
  await expect(verifier.verify(wire, sponsorKey)).rejects.toMatchObject({ code: 'WORKERS_LOST' })
  dead = false
  expect([...(await verifier.verify(wire, sponsorKey))]).toEqual([1, 1])
})

test('sponsor and operator of one node verify a body once between them', async () => {
  const count = counted(inlineWorkers(verifyJob))
  const own = { ...machine('a', clock), verifier: verifyPool({ workers: count.pool }) }
  const operator = await operatorOn(own)
  const { ledger } = operator
  const { verifier } = own
  const sponsor = openSponsor({
    org: 'a',
    key: testMember('a').sign,
    ledger,
    engine: operator,
    verifier,
    clock,
    random,
  })
  const bodies = Array.from({ length: 5 }, body)
  await Promise.all(bodies.map((one) => sponsor.submit(one)))
  await until(() => operator.head().height === 1, 'block 1', clock)
  expect(operator.blockAt(1)?.outcome.results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
  expect(count.parts).toBe(5)
  await sponsor.close()
  await operator.close()
})
