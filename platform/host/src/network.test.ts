import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryNetwork, type Network, type Serve } from './network.ts'
import { systemNetwork } from './system/index.ts'

const handler: Serve = async (request) => {
  const { pathname } = new URL(request.url)
  if (pathname === '/teapot') return new Response('short and stout', { status: 418 })
  if (pathname === '/moved') return new Response(null, { status: 302, headers: { location: '/teapot' } })
  return new Response(
    `${request.method} ${pathname} ${request.headers.get('x-word')} ${await request.text()}`,
  )
}

const memory = memoryNetwork()
memory.serve('http://node-a', handler)

async function respond(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk)
  const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}
  const headers = { 'x-word': String(incoming.headers['x-word'] ?? '') }
  const response = await handler(
    new Request(`http://node-a${incoming.url}`, { method: incoming.method ?? 'GET', headers, ...body }),
  )
  outgoing
    .writeHead(response.status, Object.fromEntries(response.headers))
    .end(Buffer.from(await response.arrayBuffer()))
}
const server = createServer((incoming, outgoing) => void respond(incoming, outgoing))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
afterAll(() => server.close())

const kinds: [name: string, network: Network, origin: string][] = [
  ['memory', memory, 'http://node-a'],
  ['system', systemNetwork(), `http://127.0.0.1:${(server.address() as AddressInfo).port}`],
]

describe.each(kinds)('%s network', (_, network, origin) => {
  test('carries method, headers and body there, and the answer back', async () => {
    const response = await network.fetch(`${origin}/tx`, {
      method: 'POST',
      headers: { 'x-word': 'hello' },
      body: 'body',
    })
    expect(await response.text()).toBe('POST /tx hello body')
  })

  test('an answer of any status resolves, and redirects are not followed', async () => {
    expect((await network.fetch(`${origin}/teapot`)).status).toBe(418)
    expect((await network.fetch(`${origin}/moved`)).status).toBe(302)
  })

  test('nobody there is UNREACHABLE, and the error does not repeat the path', async () => {
    const failure = await network.fetch('http://127.0.0.1:1/Patient/secret').catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'UNREACHABLE' })
    expect(JSON.stringify([failure, String(failure)])).not.toContain('secret')
  })

  test('an aborted request rejects with the reason', async () => {
    const reason = new Error('too slow')
    await expect(network.fetch(origin, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

test('links are cut by place and origin, and joined again', async () => {
  const network = memoryNetwork()
  network.serve('http://a', () => new Response('ok'))
  const b = network.from('b')
  const c = network.from('c')
  network.cut('b', 'http://a')
  await expect(b.fetch('http://a/')).rejects.toMatchObject({ code: 'UNREACHABLE' })
  expect((await c.fetch('http://a/')).ok).toBe(true)
  network.stop('http://a')
  await expect(c.fetch('http://a/')).rejects.toMatchObject({ code: 'UNREACHABLE' })
  network.join()
  expect((await b.fetch('http://a/')).ok).toBe(true)
})

test('a link cut while the server works loses the answer, not the work', async () => {
  const network = memoryNetwork()
  let done = 0
  network.serve('http://a', () => {
    network.cut('b', 'http://a')
    done++
    return new Response('ok')
  })
  await expect(network.from('b').fetch('http://a/')).rejects.toMatchObject({ code: 'UNREACHABLE' })
  expect(done).toBe(1)
})
