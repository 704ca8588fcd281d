import { afterEach, expect, test } from 'vitest'
import { type HttpListener, serveHttp } from './serve-http.ts'

let open: HttpListener | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

const start = async (serve: Parameters<typeof serveHttp>[0], maxBodyBytes = 1_024) => {
  open = await serveHttp(serve, { port: 0, maxBodyBytes })
  return open.url
}

test('method, path, headers and body arrive, status and headers of the answer go back', async () => {
  const url = await start(async (request) => {
    const { pathname, search } = new URL(request.url)
    const body = await request.text()
    return new Response(`${request.method} ${pathname}${search} ${request.headers.get('x-a')} ${body}`, {
      status: 201,
      headers: { 'x-b': 'two' },
    })
  })
  const answer = await fetch(`${url}/a/b?c=d`, { method: 'POST', headers: { 'x-a': 'one' }, body: 'hello' })
  expect([answer.status, answer.headers.get('x-b'), await answer.text()]).toEqual([
    201,
    'two',
    'POST /a/b?c=d one hello',
  ])
})

test('a body above the limit is refused, with and without a length, and the handler never sees it', async () => {
  let calls = 0
  const url = await start(() => new Response(String(++calls)), 10)
  const large = await fetch(url, { method: 'POST', body: 'x'.repeat(11) })
  expect(large.status).toBe(413)
  const stream = new Blob(['x'.repeat(1_000)]).stream()
  const chunked = await fetch(url, { method: 'POST', body: stream, duplex: 'half' } as RequestInit).catch(
    () => 'cut',
  )
  expect(chunked === 'cut' || (chunked as Response).status === 413).toBe(true)
  expect(calls).toBe(0)
})

test('a handler that throws is a 500 that says nothing of it', async () => {
  const url = await start(() => {
    throw new Error('secret')
  })
  const answer = await fetch(url)
  expect([answer.status, await answer.text()]).toEqual([500, 'the server failed\n'])
})

test('a port that is taken is refused by name', async () => {
  const url = await start(() => new Response('ok'))
  await expect(serveHttp(() => new Response(''), { port: Number(new URL(url).port) })).rejects.toMatchObject({
    code: 'PORT_TAKEN',
  })
})
