import { AppError } from '@salus/core'
import { memoryNetwork } from '@salus/host'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { httpTransport, type Operator } from '../embedded/index.ts'
import { bundleOf, followerOn, freshBody, machine, operatorOn, random, testClock, until } from './network.ts'

// The routes as a node maps them, over a network inside the process.

let clock: ReturnType<typeof testClock>
let operator: Awaited<ReturnType<typeof operatorOn>>
let follower: Awaited<ReturnType<typeof followerOn>>
const network = memoryNetwork()
let stopServing: () => void

beforeEach(async () => {
  clock = testClock()
  operator = await operatorOn(machine('a', clock))
  stopServing = network.serve('http://a.example', (request) => answer(operator, request))
  follower = await followerOn(machine('b', clock), httpTransport({ network, url: 'http://a.example/' }))
})

afterEach(async () => {
  network.join()
  await follower.close()
  stopServing()
  await operator.close()
})

test('bundles, blocks and cosignatures travel over the routes', async () => {
  const { chainId } = operator.ledger
  await follower.submit(bundleOf(chainId, clock.now(), [freshBody(chainId, clock.now())], 'b'))
  await until(() => follower.head().height === 1, 'block 1', clock)
  expect(follower.head().stateRoot).toEqual(operator.head().stateRoot)
  await until(() => operator.checkpoint().includes('— b '), 'b’s cosignature', clock)
})

test('the operator’s refusal comes out as it went in', async () => {
  await expect(follower.submit(random(50))).rejects.toMatchObject({
    code: 'BUNDLE_REFUSED',
    data: { name: 'MALFORMED' },
  })
})

test('a cut line is UNREACHABLE and shows in health; the follower takes up again by itself', async () => {
  await until(() => follower.health().working, 'the first answer', clock)
  network.stop('http://a.example')
  await until(() => !follower.health().working, 'it is noticed', clock)
  const { chainId } = operator.ledger
  const wire = bundleOf(chainId, clock.now(), [freshBody(chainId, clock.now())], 'b')
  await expect(follower.submit(wire)).rejects.toMatchObject({ code: 'UNREACHABLE' })
  await operator.heartbeat()
  const { height } = operator.head()
  network.join()
  await until(() => follower.head().height >= height, 'it caught up', clock)
  expect(follower.health().alarms).toEqual([])
})

async function answer(operator: Operator, request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  try {
    if (pathname === '/ledger/blocks') {
      const from = Number(searchParams.get('from'))
      await operator.waitAbove(from - 1, Number(searchParams.get('waitMs')))
      return new Response(operator.blocks(from) as Uint8Array<ArrayBuffer>)
    }
    if (pathname === '/ledger/bundles') await operator.submit(new Uint8Array(await request.arrayBuffer()))
    else await operator.cosign(await request.text())
    return Response.json({}, { status: 202 })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message, data } = error
    return Response.json({ code, detail: message, data }, { status: 400 })
  }
}
