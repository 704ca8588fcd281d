import { AppError, equal } from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import type { Sessions } from '@salus/server'
import { SESSION_WINDOW_MS, type SessionRequest, sessionRequestIsSigned } from '../client/link-session.ts'
import type { Links } from './links.ts'
import type { IdentityKeys } from './ports.ts'

/** A holder's token lives for half a day. */
export const HOLDER_SESSION_MS = 12 * 3_600_000

export interface HolderSessionsParts {
  readonly sql: Sql
  readonly keys: Pick<IdentityKeys, 'org' | 'chainId'>
  readonly links: Links
  readonly sessions: Sessions
  readonly clock: Clock
  /** End of a delegation, ms UTC; undefined unless it is active now. */
  readonly delegationEndMs: (d: Uint8Array) => number | undefined
}

/** Sessions of patients and their delegates: a signature of the registered link key gives a bearer token. */
export class HolderSessions {
  readonly #parts: HolderSessionsParts

  constructor(parts: HolderSessionsParts) {
    this.#parts = parts
    parts.sql.exec(
      'CREATE TABLE IF NOT EXISTS identity_nonce (nonce BLOB PRIMARY KEY, timeMs INTEGER NOT NULL) WITHOUT ROWID',
    )
  }

  /**
   * Throws AppError `UNAUTHENTICATED`, the same for an unknown key, a wrong signature, a time that is off and an ended
   * delegation; `CONFLICT` for a request seen before.
   */
  open(request: SessionRequest): { readonly token: string; readonly untilMs: number } {
    const { keys, links, sessions, clock } = this.#parts
    const nowMs = clock.now()
    const link = links.find(request.linkKey)
    const inTime = Math.abs(nowMs - request.timeMs) <= SESSION_WINDOW_MS
    if (link === undefined || !inTime || !sessionRequestIsSigned(request, keys.org, keys.chainId))
      throw unknownLink()
    this.#countOnce(request, nowMs)
    const { owner, delegation } = link
    const actor = { kind: 'holder', owner, linkKey: request.linkKey } as const
    if (delegation === undefined) return sessions.open(actor, HOLDER_SESSION_MS)
    const endMs = this.#parts.delegationEndMs(delegation)
    if (endMs === undefined || endMs <= nowMs) throw unknownLink()
    return sessions.open({ ...actor, delegation }, Math.min(HOLDER_SESSION_MS, endMs - nowMs))
  }

  /** Ends the owner's own sessions but those of the link key `except`; delegates' go on. */
  closeOwner(owner: Uint8Array, except?: Uint8Array): number {
    return this.#parts.sessions.closeWhere(
      (actor) =>
        actor.kind === 'holder' &&
        actor.delegation === undefined &&
        equal(actor.owner, owner) &&
        !(except !== undefined && equal(actor.linkKey, except)),
    )
  }

  /** Ends every session over an owner's record, delegates' too, but those of the link key `except`. */
  closeEverybody(owner: Uint8Array, except: Uint8Array): number {
    return this.#parts.sessions.closeWhere(
      (actor) => actor.kind === 'holder' && equal(actor.owner, owner) && !equal(actor.linkKey, except),
    )
  }

  /** Ends the sessions of a delegation. */
  closeDelegation(d: Uint8Array): number {
    return this.#parts.sessions.closeWhere(
      (actor) => actor.kind === 'holder' && actor.delegation !== undefined && equal(actor.delegation, d),
    )
  }

  #countOnce({ nonce }: SessionRequest, nowMs: number): void {
    const { sql } = this.#parts
    sql.prepare('DELETE FROM identity_nonce WHERE timeMs < ?').run(nowMs - 3 * SESSION_WINDOW_MS)
    const { changes } = sql.prepare('INSERT OR IGNORE INTO identity_nonce VALUES (?, ?)').run(nonce, nowMs)
    if (changes === 0) throw new AppError('CONFLICT', 'nonce: was used before; draw a new one')
  }
}

function unknownLink(): AppError {
  return new AppError(
    'UNAUTHENTICATED',
    'linkKey: opens no session here now; check that it is registered here, the device’s clock, and any delegation’s end',
  )
}
