import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError } from '@salus/core'
import type { Serve } from '../network.ts'
import { codeOf } from './disk-error.ts'

export interface ServeOptions {
  /** 0 takes a free port. */
  readonly port: number
  /** Loopback unless told. */
  readonly address?: string
  /** A larger request body is answered 413 and not read. Default 256 KiB. */
  readonly maxBodyBytes?: number
  /** A request that has not arrived whole by then is answered 408. Default 10 s. */
  readonly requestTimeoutMs?: number
}

export interface HttpListener {
  /** Base URL without a slash at its end. */
  readonly url: string
  /** Takes no new requests, lets those under way finish (at most 2 s), then closes. */
  close(): Promise<void>
}

const CLOSE_AFTER_MS = 2_000

/**
 * A small HTTP server over `Request → Response`, for programs with a handful of routes. A handler that throws is
 * answered 500 without saying why.
 * @throws {AppError} PORT_TAKEN, LISTEN_FAILED
 */
export async function serveHttp(serve: Serve, options: ServeOptions): Promise<HttpListener> {
  const { port, address = '127.0.0.1', maxBodyBytes = 256 * 1024, requestTimeoutMs = 10_000 } = options
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16 * 1024,
    },
    (incoming, outgoing) => {
      void answer(serve, incoming, outgoing, maxBodyBytes)
    },
  )
  server.maxConnections = 1_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(cause, address, port)))
    server.listen({ port, host: address }, resolve)
  })
  const bound = server.address() as AddressInfo
  return {
    url: `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), CLOSE_AFTER_MS)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

async function answer(
  serve: Serve,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  maxBodyBytes: number,
): Promise<void> {
  try {
    const body = await bodyOf(incoming, maxBodyBytes)
    const response =
      body === undefined
        ? new Response('the request is too large\n', { status: 413, headers: { connection: 'close' } })
        : await serve(requestOf(incoming, body))
    const bytes = new Uint8Array(await response.arrayBuffer())
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.end(incoming.method === 'HEAD' ? undefined : bytes)
  } catch {
    if (!outgoing.headersSent) outgoing.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' })
    outgoing.end('the server failed\n')
  }
}

/** The whole body, or undefined when it is larger than it may be. */
async function bodyOf(incoming: IncomingMessage, maxBodyBytes: number): Promise<Uint8Array | undefined> {
  if (Number(incoming.headers['content-length'] ?? 0) > maxBodyBytes) return undefined
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of incoming as AsyncIterable<Buffer>) {
    sizeBytes += part.length
    if (sizeBytes > maxBodyBytes) return undefined
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}

function requestOf(incoming: IncomingMessage, body: Uint8Array): Request {
  const { method = 'GET', url = '/' } = incoming
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) headers.append(name, one)
  }
  // The path is the client's; the host is not, so that nothing is decided on a name that it chose.
  const target = new URL(`http://localhost${url.startsWith('/') ? url : '/'}`)
  const hasBody = method !== 'GET' && method !== 'HEAD'
  return new Request(target, {
    method,
    headers,
    ...(hasBody ? { body: body as Uint8Array<ArrayBuffer> } : {}),
  })
}

function listenError(cause: unknown, address: string, port: number): AppError {
  if (codeOf(cause) === 'EADDRINUSE')
    return new AppError(
      'PORT_TAKEN',
      `port ${port} at ${address}: another program listens there; choose another`,
      {
        port,
      },
    )
  return new AppError(
    'LISTEN_FAILED',
    `port ${port} at ${address}: cannot listen (${codeOf(cause)})`,
    { port },
    { cause },
  )
}
