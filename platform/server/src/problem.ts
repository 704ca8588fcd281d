import { AppError } from '@salus/core'

/** An error as HTTP tells it. See RFC 9457; `code`, `path` and `mend` are ours. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly path?: string
}

const STATUS: Readonly<Record<string, number>> = {
  SCHEMA: 400,
  CBOR: 400,
  BAD_REQUEST: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  GONE: 410,
  TOO_LARGE: 413,
  INVALID: 422,
  TOO_MANY: 429,
  DISK_FULL: 507,
  BUSY: 503,
  ENGINE_FULL: 503,
  ENGINE_STOPPED: 503,
  SPONSOR_FULL: 503,
  SPONSOR_CLOSED: 503,
  WORKERS_BUSY: 503,
  LOG_BUSY: 503,
  TX_NOT_FINAL: 503,
  UNREACHABLE: 502,
  LEDGER_STALE: 503,
  UNAVAILABLE: 503,
}

/** Codes that a capability answers with, and the HTTP status each has. Called once at start, by the capability's routes. */
export function statusOf(code: string, extra: Readonly<Record<string, number>> = {}): number {
  return extra[code] ?? STATUS[code] ?? 422
}

/**
 * The problem to answer with. An `AppError` tells its code and message; anything else is a bug, and a bug's
 * text may hold what it choked on, so the caller learns only that it happened.
 */
export function problemOf(error: unknown, extra: Readonly<Record<string, number>> = {}): Problem {
  if (error instanceof AppError) {
    const path = error.data['path']
    return {
      type: `urn:salus:error:${error.code}`,
      title: error.code,
      status: statusOf(error.code, extra),
      code: error.code,
      detail: error.message,
      ...(typeof path === 'string' ? { path } : {}),
    }
  }
  const status = httpStatusOf(error)
  if (status !== undefined && status < 500) {
    const tooLarge = status === 413
    return {
      type: `urn:salus:error:${tooLarge ? 'TOO_LARGE' : 'BAD_REQUEST'}`,
      title: tooLarge ? 'TOO_LARGE' : 'BAD_REQUEST',
      status,
      code: tooLarge ? 'TOO_LARGE' : 'BAD_REQUEST',
      detail: tooLarge
        ? 'body: larger than this route accepts; send it in smaller parts'
        : 'body: not readable in the content type that the request names',
    }
  }
  return {
    type: 'urn:salus:error:INTERNAL',
    title: 'INTERNAL',
    status: 500,
    code: 'INTERNAL',
    detail:
      'The server failed; nothing was changed by this request unless it says so. Its log has the request id.',
  }
}

function httpStatusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const status = (error as { statusCode?: unknown }).statusCode
  return typeof status === 'number' ? status : undefined
}
