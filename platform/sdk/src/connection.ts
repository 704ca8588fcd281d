import { AppError, type CborValue, decode, fromJson, type Infer, type Schema } from '@salus/core'
import type { Network } from '@salus/host'

/** Largest answer that is read. */
const MAX_REPLY_BYTES = 512 * 1024 * 1024
const MAX_PROBLEM_BYTES = 64 * 1024

/** One node, and who we are to it. Plain data: `withToken` makes another one. */
export interface Connection {
  /** Base URL without a trailing slash. */
  readonly url: string
  readonly network: Network
  readonly token?: string
}

export function connect({ url, network }: { readonly url: string; readonly network: Network }): Connection {
  return { url: url.replace(/\/+$/, ''), network }
}

/** The same node with a session. */
export function withToken(connection: Connection, token: string): Connection {
  return { url: connection.url, network: connection.network, token }
}

export interface RequestOptions {
  readonly json?: unknown
  readonly raw?: { readonly type: string; readonly body: Uint8Array | string }
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * One request. Throws AppError: the node's own `code` when it answered with a problem, `UNREACHABLE` when it did not
 * answer, `BAD_REPLY` when what came is not what was asked for. Problems carry `status` in their data.
 */
export async function send(
  connection: Connection,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: RequestOptions = {},
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Uint8Array }> {
  const headers: Record<string, string> = { ...options.headers }
  if (connection.token !== undefined) headers['authorization'] = `Bearer ${connection.token}`
  let body: string | Uint8Array | undefined
  if (options.json !== undefined) {
    headers['content-type'] = 'application/json'
    body = JSON.stringify(options.json)
  } else if (options.raw !== undefined) {
    headers['content-type'] = options.raw.type
    body = options.raw.body
  }
  let response: Response
  try {
    response = await connection.network.fetch(`${connection.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as BodyInit }),
    })
  } catch (cause) {
    throw new AppError(
      'UNREACHABLE',
      'node: did not answer; check its address and that it runs',
      {},
      { cause },
    )
  }
  const reply = new Uint8Array(await response.arrayBuffer())
  if (reply.length > MAX_REPLY_BYTES) throw new AppError('BAD_REPLY', 'node: its answer is too large')
  if (!response.ok) throw problemError(response.status, reply)
  return { status: response.status, headers: response.headers, body: reply }
}

/** A request whose answer is JSON, checked against `schema`. */
export async function sendFor<S extends Schema>(
  connection: Connection,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  schema: S,
  options: RequestOptions = {},
): Promise<Infer<S>> {
  return fromJson(schema, await sendForJson(connection, method, path, options))
}

/** A request whose answer is JSON that the caller checks. */
export async function sendForJson(
  connection: Connection,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: RequestOptions = {},
): Promise<unknown> {
  const { body } = await send(connection, method, path, options)
  if (body.length === 0) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch (cause) {
    throw new AppError('BAD_REPLY', 'node: its answer is not JSON', {}, { cause })
  }
}

/** A request whose answer is strict DAG-CBOR. */
export async function sendForCbor(
  connection: Connection,
  method: 'GET' | 'POST',
  path: string,
  options: RequestOptions = {},
): Promise<CborValue> {
  const { body } = await send(connection, method, path, options)
  return decode(body, { maxBytes: MAX_REPLY_BYTES })
}

function problemError(status: number, reply: Uint8Array): AppError {
  if (reply.length <= MAX_PROBLEM_BYTES) {
    try {
      const problem = JSON.parse(new TextDecoder().decode(reply)) as Record<string, unknown>
      if (typeof problem['code'] === 'string' && typeof problem['detail'] === 'string') {
        const path = typeof problem['path'] === 'string' ? { path: problem['path'] } : {}
        return new AppError(problem['code'], problem['detail'], { status, ...path })
      }
      const issue = (problem['issue'] as { code?: unknown; diagnostics?: unknown }[] | undefined)?.[0]
      if (problem['resourceType'] === 'OperationOutcome' && issue !== undefined)
        return new AppError(
          `FHIR_${String(issue.code).toUpperCase()}`,
          String(issue.diagnostics ?? 'refused'),
          { status },
        )
    } catch {
      // Not a problem document: the status alone is told.
    }
  }
  return new AppError('BAD_REPLY', `node: answered ${status} without saying why`, { status })
}
