import { AppError, decode, encode, fromBase64url, type Random, sha256, toBase64url } from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import type { Actor, Role } from './actor.ts'

const TOKEN_BYTES = 32
const MAX_TOKEN_CHARS = 64

/**
 * Bearer tokens: 32 random bytes, of which the store keeps only the SHA-256. A token is compared by looking its
 * hash up, so no timing tells how near a guess was.
 */
export class Sessions {
  readonly #sql: Sql
  readonly #clock: Clock
  readonly #random: Random

  constructor({ sql, clock, random }: { sql: Sql; clock: Clock; random: Random }) {
    this.#sql = sql
    this.#clock = clock
    this.#random = random
    sql.exec(
      'CREATE TABLE IF NOT EXISTS server_session (tokenHash BLOB PRIMARY KEY, actor BLOB NOT NULL, untilMs INTEGER NOT NULL) WITHOUT ROWID',
    )
  }

  /** A new token for `actor`, valid for `lifetimeMs`. */
  open(actor: Actor, lifetimeMs: number): { token: string; untilMs: number } {
    const token = this.#random(TOKEN_BYTES)
    const untilMs = this.#clock.now() + lifetimeMs
    this.#sql
      .prepare('INSERT INTO server_session VALUES (?, ?, ?)')
      .run(sha256(token), actorBytes(actor), untilMs)
    return { token: toBase64url(token), untilMs }
  }

  /** The actor of a token. Throws AppError `UNAUTHENTICATED` when it is unknown or has ended. */
  resolve(token: string): Actor {
    const row = this.#sql
      .prepare('SELECT actor, untilMs FROM server_session WHERE tokenHash = ?')
      .get<{ actor: Uint8Array; untilMs: number }>(hashOf(token))
    if (row === undefined || row.untilMs <= this.#clock.now()) throw unauthenticated()
    return actorFrom(row.actor)
  }

  /** Ends one token. Ending one that is unknown is not an error. */
  close(token: string): void {
    this.#sql.prepare('DELETE FROM server_session WHERE tokenHash = ?').run(hashOf(token))
  }

  /** Ends every session for which `ends` says so: a lost device, a member of staff who leaves. */
  closeWhere(ends: (actor: Actor) => boolean): number {
    let closed = 0
    for (const row of this.#sql.prepare('SELECT tokenHash, actor FROM server_session').all()) {
      if (!ends(actorFrom(row['actor'] as Uint8Array))) continue
      this.#sql.prepare('DELETE FROM server_session WHERE tokenHash = ?').run(row['tokenHash'] as Uint8Array)
      closed += 1
    }
    return closed
  }

  /** Forgets the sessions that have ended. */
  sweep(): void {
    this.#sql.prepare('DELETE FROM server_session WHERE untilMs <= ?').run(this.#clock.now())
  }
}

export function unauthenticated(): AppError {
  return new AppError(
    'UNAUTHENTICATED',
    'authorization: no session with this token, or it has ended; open one with POST /sessions and send it as "Bearer <token>"',
  )
}

function hashOf(token: string): Uint8Array {
  if (token.length > MAX_TOKEN_CHARS) throw unauthenticated()
  try {
    return sha256(fromBase64url(token))
  } catch {
    throw unauthenticated()
  }
}

function actorBytes(actor: Actor): Uint8Array {
  return encode(
    actor.kind === 'holder'
      ? {
          kind: actor.kind,
          owner: actor.owner,
          linkKey: actor.linkKey,
          ...(actor.delegation === undefined ? {} : { delegation: actor.delegation }),
        }
      : {
          kind: actor.kind,
          practitioner: actor.practitioner,
          name: actor.name,
          roles: [...actor.roles],
          ...(actor.credential === undefined ? {} : { credential: actor.credential }),
        },
  )
}

function actorFrom(bytes: Uint8Array): Actor {
  // Only this module writes these rows, through `actorBytes`.
  return decode(bytes) as unknown as Actor & { roles?: readonly Role[] }
}
