import type { Schema } from '@salus/core'
import type { Actor } from './actor.ts'

/**
 * Who may call a route: `anyone`, a `holder` (patient or delegate), staff of a role, `staff` of any role but auditor,
 * or whoever is signed in.
 */
export type Audience =
  | 'anyone'
  | 'holder'
  | 'clinician'
  | 'admin'
  | 'auditor'
  | 'steward'
  | 'staff'
  | 'signed-in'

/** What a handler gets. `body` is checked against the route's schema; raw routes get the bytes. */
export interface Call<Body = unknown> {
  readonly actor: Actor | undefined
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  /** The query as it was sent, without `?`: for routes where a repeated parameter means more than a list. */
  readonly queryText?: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Body
  /** For diagnosis; has no tie to a person. */
  readonly requestId: string
}

/** What a handler answers: a value for JSON, or bytes or text with their content type. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly raw?: { readonly type: string; readonly body: Uint8Array | string }
}

/**
 * One HTTP endpoint as a value, so that the server, the OpenAPI page and the tests read the same thing.
 * `path` is in Fastify's form (`/tx/:txId`, trailing `*`).
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly summary: string
  readonly audience: Audience
  /** Schema of a JSON body. Bytes fields are base64url in JSON. */
  readonly body?: Schema
  /** Content type of a body that the handler reads itself, as bytes. */
  readonly rawBody?: string
  readonly maxBodyBytes?: number
  /** Schema of the JSON answer, for OpenAPI only. */
  readonly reply?: Schema
  readonly query?: Readonly<Record<string, string>>
  handle(call: Call<never>): Promise<Answer> | Answer
}

/** A route whose handler's body type follows from its schema. */
export function route<Body>(
  definition: Omit<Route, 'handle'> & { handle(call: Call<Body>): Promise<Answer> | Answer },
): Route {
  return definition as Route
}

export const json = (value: unknown, status = 200): Answer => ({ status, json: value })
export const bytes = (body: Uint8Array | string, type: string): Answer => ({ raw: { type, body } })
