import { AppError, sealKeyPair, tuple } from '@salus/core'
import { manualClock, memoryNetwork, seededRandom } from '@salus/host'
import { describe, expect, test } from 'vitest'
import { FakeLedger } from '../../testing/fake-ledger.ts'
import { chainId, fixed, keyOf, NOON } from '../../testing/sample.ts'
import { signRecalled } from './recall.ts'
import { orgWire } from './transport.ts'

function wireTo(handler: (request: Request) => Response | Promise<Response>) {
  const clock = manualClock(NOON)
  const ledger = new FakeLedger(chainId, clock)
  const other = keyOf('sign b')
  ledger.members.set('b', {
    org: 'b',
    name: 'B',
    url: 'http://b',
    sign: other.publicKey,
    seal: new Uint8Array(1216),
    log: other.publicKey,
    active: true,
  })
  const network = memoryNetwork()
  network.serve('http://b', handler)
  const keys = { org: 'a', sign: keyOf('sign a'), seal: sealKeyPair(fixed('seal a')) }
  return { clock, other, wire: orgWire({ keys, ledger, network, clock, random: seededRandom('a') }) }
}
const signed = { bytes: fixed('request'), sig: new Uint8Array(64) }

describe('the wire between organisations', () => {
  test('carries a request and its answer', async () => {
    const seen: string[] = []
    const { wire } = wireTo(async (request) => {
      seen.push(`${request.method} ${new URL(request.url).pathname}`)
      return new Response(tuple(fixed('reply'), new Uint8Array(64)) as BodyInit)
    })
    expect(await wire.release('b', signed)).toEqual({ bytes: fixed('reply'), sig: new Uint8Array(64) })
    expect(seen).toEqual(['POST /org/release'])
  })

  test('a problem keeps its code; nonsense is BAD_REPLY; nobody there is UNREACHABLE', async () => {
    const problem = { code: 'TOO_MANY', detail: 'rate: too many', status: 429 }
    const refusing = wireTo(() => new Response(JSON.stringify(problem), { status: 429 }))
    await expect(refusing.wire.release('b', signed)).rejects.toMatchObject({ code: 'TOO_MANY' })
    const odd = wireTo(() => new Response('hello'))
    await expect(odd.wire.release('b', signed)).rejects.toMatchObject({ code: 'BAD_REPLY' })
    await expect(odd.wire.objects('b', [fixed('x')])).rejects.toMatchObject({ code: 'BAD_REPLY' })
    await expect(odd.wire.release('c', signed)).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  test('gives up on a silent node after three seconds of its clock', async () => {
    const { clock, wire } = wireTo(() => new Promise<Response>(() => undefined))
    const asked = wire.release('b', signed).catch((error: unknown) => error)
    await Promise.resolve()
    clock.advance(3_000)
    expect(await asked).toMatchObject({ code: 'UNREACHABLE' })
  })

  test('a recall is believed only with the grantee’s signature, and failing is no error', async () => {
    const g = fixed('g').slice(0, 16)
    const recalled = { v: 1, g, org: 'b', dropped: 3, time: NOON }
    const answer = (key: ReturnType<typeof keyOf>) => {
      const form = signRecalled(key, chainId, recalled)
      return new Response(tuple(form.bytes, form.sig) as BodyInit)
    }
    expect(await wireTo(() => answer(keyOf('sign b'))).wire.pushRecall('b', g)).toEqual(recalled)
    expect(await wireTo(() => answer(keyOf('somebody'))).wire.pushRecall('b', g)).toBeUndefined()
    const gone = wireTo(() => {
      throw new AppError('X', 'down')
    })
    expect(await gone.wire.pushRecall('b', g)).toBeUndefined()
  })
})
