import { AppError, fromJson, type Random, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import { type FastifyInstance, fastify } from 'fastify'
import type { Actor } from './actor.ts'
import { openApi } from './open-api.ts'
import { type Problem, problemOf } from './problem.ts'
import { RequestLimits } from './request-limits.ts'
import type { Answer, Audience, Call, Route } from './route.ts'
import { type Sessions, unauthenticated } from './sessions.ts'

/** Body size of a route that names none. */
const DEFAULT_BODY_BYTES = 256 * 1024
const CLOSE_AFTER_MS = 2_000

/** One line of the access log: no query, no body, no id from the path, so that it cannot hold health data. */
export interface AccessLine {
  readonly requestId: string
  readonly method: string
  readonly route: string
  readonly status: number
  readonly ms: number
  readonly code?: string
}

export interface HttpServerOptions {
  readonly routes: readonly Route[]
  readonly sessions: Sessions
  readonly clock: Clock
  readonly random: Random
  readonly title: string
  readonly version: string
  readonly onAccess?: (line: AccessLine) => void
  /** Called for errors that are no AppError: a bug. Gets the stack, which may hold data: for a debugger only. */
  readonly onBug?: (error: unknown, requestId: string) => void
  /** Turns an error into the answer of a protocol that has its own form (FHIR's OperationOutcome). */
  readonly errorForms?: readonly { readonly prefix: string; form(problem: Problem): Answer }[]
}

/** One organisation's HTTP surface: every route, with sessions, limits, problem+json errors and an OpenAPI page. */
export class HttpServer {
  readonly #app: FastifyInstance
  readonly #options: HttpServerOptions
  readonly #limits: RequestLimits
  #underWay = 0
  #closing = false

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#limits = new RequestLimits(options.clock)
    this.#app = fastify({
      logger: false,
      // `close` has waited for what was under way; idle connections would hold it for over a minute.
      forceCloseConnections: true,
      bodyLimit: DEFAULT_BODY_BYTES,
      routerOptions: { maxParamLength: 1_024 },
    })
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    for (const route of options.routes) this.#mount(route)
    const document = openApi(options.routes, { title: options.title, version: options.version })
    this.#app.get('/openapi.json', (_request, reply) => reply.type('application/json').send(document))
    this.#app.setNotFoundHandler((request, reply) => {
      const problem = problemOf(
        new AppError('NOT_FOUND', 'path: this server has no such route; /openapi.json lists them all'),
      )
      return this.#send(reply, this.#errorAnswer(request.url, problem))
    })
    this.#app.setErrorHandler((error, request, reply) =>
      this.#send(reply, this.#errorAnswer(request.url, problemOf(error))),
    )
  }

  /** Listens; port 0 takes a free one. Returns the base URL. */
  async listen({ port, address }: { port: number; address: string }): Promise<string> {
    return this.#app.listen({ port, host: address })
  }

  /** Answers a request in process, without a socket. */
  async inject(request: {
    method: Route['method']
    url: string
    headers?: Record<string, string>
    body?: string | Uint8Array
  }): Promise<{ status: number; headers: Record<string, unknown>; body: Uint8Array }> {
    const reply = await this.#app.inject({
      method: request.method,
      url: request.url,
      ...(request.headers === undefined ? {} : { headers: request.headers }),
      ...(request.body === undefined
        ? {}
        : { payload: typeof request.body === 'string' ? request.body : Buffer.from(request.body) }),
    })
    return { status: reply.statusCode, headers: reply.headers, body: new Uint8Array(reply.rawPayload) }
  }

  /**
   * Lets requests under way finish, at most two seconds, then closes every connection. `release` ends those that only
   * wait for something to happen.
   */
  async close(release: () => void = () => undefined): Promise<void> {
    this.#closing = true
    release()
    const { clock } = this.#options
    const untilMs = clock.now() + CLOSE_AFTER_MS
    while (this.#underWay > 0 && clock.now() < untilMs)
      await new Promise<void>((resolve) => void clock.schedule(20, resolve))
    await this.#app.close()
  }

  #mount(route: Route): void {
    this.#app.route({
      method: route.method,
      url: route.path,
      bodyLimit: route.maxBodyBytes ?? DEFAULT_BODY_BYTES,
      handler: async (request, reply) => {
        const { clock, onAccess, onBug } = this.#options
        const startMs = clock.now()
        const requestId = toHex(this.#options.random(8))
        reply.header('x-request-id', requestId)
        let answer: Answer
        let code: string | undefined
        this.#underWay += 1
        try {
          if (this.#closing)
            throw new AppError('UNAVAILABLE', 'node: is stopping; try again or ask another node')
          // Counted first: who guesses at tokens is a caller too.
          this.#limits.take(request.ip)
          const actor = this.#authenticate(request.headers.authorization, route.audience)
          answer = await route.handle({
            actor,
            params: request.params as Record<string, string>,
            query: textValues(request.query),
            queryText: request.url.split('?').slice(1).join('?'),
            headers: textValues(request.headers),
            body: this.#body(route, request.body) as never,
            requestId,
          } satisfies Call<never>)
        } catch (error) {
          const problem = problemOf(error)
          code = problem.code
          if (problem.status === 500) onBug?.(error, requestId)
          answer = this.#errorAnswer(request.url, problem)
        } finally {
          this.#underWay -= 1
        }
        onAccess?.({
          requestId,
          method: route.method,
          route: route.path,
          status: answer.status ?? 200,
          ms: clock.now() - startMs,
          ...(code === undefined ? {} : { code }),
        })
        return this.#send(reply, answer)
      },
    })
  }

  #authenticate(header: string | undefined, audience: Audience): Actor | undefined {
    const token = header?.startsWith('Bearer ') ? header.slice(7) : undefined
    if (audience === 'anyone') return undefined
    if (token === undefined) throw unauthenticated()
    const actor = this.#options.sessions.resolve(token)
    if (!allowed(actor, audience))
      throw new AppError('FORBIDDEN', `authorization: this route is for ${audience}; the session is not`)
    return actor
  }

  #body(route: Route, body: unknown): unknown {
    const raw = body instanceof Uint8Array ? body : undefined
    if (route.rawBody !== undefined) return raw === undefined ? new Uint8Array() : new Uint8Array(raw)
    if (route.body === undefined) return undefined
    let parsed: unknown
    try {
      parsed = JSON.parse(raw === undefined ? '' : new TextDecoder('utf-8', { fatal: true }).decode(raw))
    } catch {
      throw new AppError('BAD_REQUEST', 'body: not JSON; send the object that /openapi.json describes')
    }
    return fromJson(route.body, parsed)
  }

  #errorAnswer(url: string, problem: Problem): Answer {
    const own = this.#options.errorForms?.find((form) => url.startsWith(form.prefix))
    if (own !== undefined) return own.form(problem)
    return {
      status: problem.status,
      headers: problem.status === 503 ? { 'retry-after': '1' } : {},
      raw: { type: 'application/problem+json', body: JSON.stringify(problem) },
    }
  }

  #send(
    reply: {
      code(status: number): unknown
      header(name: string, value: string): unknown
      type(t: string): unknown
      send(body: unknown): unknown
    },
    answer: Answer,
  ): unknown {
    reply.code(answer.status ?? 200)
    for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value)
    if (answer.raw !== undefined) {
      reply.type(answer.raw.type)
      const { body } = answer.raw
      return reply.send(
        typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.length),
      )
    }
    if (answer.json === undefined) return reply.send(undefined)
    reply.type('application/json')
    return reply.send(JSON.stringify(answer.json))
  }
}

function allowed(actor: Actor, audience: Audience): boolean {
  if (audience === 'anyone' || audience === 'signed-in') return true
  if (audience === 'holder') return actor.kind === 'holder'
  if (actor.kind !== 'staff') return false
  // Auditors look; they let nobody in and change nothing.
  if (audience === 'staff') return actor.roles.some((role) => role !== 'auditor')
  return actor.roles.includes(audience)
}

function textValues(values: unknown): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries((values ?? {}) as Record<string, unknown>)) {
    if (typeof value === 'string') out[name] = value
    else if (Array.isArray(value)) out[name] = value.join(',')
  }
  return out
}
