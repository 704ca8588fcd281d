import { type AuditTrail, readEvent } from '@salus/audit'
import { AppError, fromBase64url, toBase64url } from '@salus/core'
import { encodeReceipt } from '@salus/log'
import { bytes, type Holder, json, type Route } from '@salus/server'
import type { FactLog } from '../fact-log.ts'
import type { LedgerPart } from '../ledger-part.ts'
import type { Receipts } from '../receipts.ts'

const EVENTS_PER_PAGE = 500
/** Cosigners answer in milliseconds; one that is away is not waited for any longer. */
const COSIGNED_WITHIN_MS = 5_000

export interface AuditRoutesParts {
  readonly trail: AuditTrail
  readonly receipts: Receipts
  readonly factLog: FactLog
  readonly ledger: LedgerPart
  /** Which events a holder may see: a delegate sees none of what her mandate leaves out. */
  readonly maySee: (holder: Holder, event: Uint8Array) => boolean
}

/** Who looked: the owner's list, and a receipt for each line of it. */
export function auditRoutes({ trail, receipts, factLog, ledger, maySee }: AuditRoutesParts): Route[] {
  return [
    {
      method: 'GET',
      path: '/me/accesses',
      summary: 'Everything that happened to my record here, oldest first; refusals too',
      audience: 'holder',
      query: { after: 'The `next` of the page before' },
      handle({ actor, query }) {
        const holder = actor as Holder
        const after = Number(query['after'] ?? 0)
        if (!Number.isSafeInteger(after) || after < 0)
          throw new AppError('BAD_REQUEST', 'after: must be a number')
        const { events, next } = trail.list(holder.owner, { after, limit: EVENTS_PER_PAGE })
        return json({
          events: events
            .filter(({ json: event }) => maySee(holder, event))
            .map(({ eventId, json: event, salt, leafIndex }) => ({
              eventId: toBase64url(eventId),
              event: toBase64url(event),
              salt: toBase64url(salt),
              leafIndex,
            })),
          next: next ?? null,
        })
      },
    },
    {
      method: 'GET',
      path: '/me/accesses/:eventId/receipt',
      summary: 'The receipt of one access, verifiable offline; `anchor=now` waits for its anchor',
      audience: 'holder',
      query: { anchor: '`now` to anchor the log first' },
      async handle({ actor, params, query }) {
        const holder = actor as Holder
        const eventId = fromBase64url(params['eventId'] ?? '')
        const event = trail.event(holder.owner, eventId)
        if (!maySee(holder, event.json))
          throw new AppError('NOT_FOUND', 'eventId: no such access is on your list')
        if (query['anchor'] === 'now' && (factLog.anchor()?.size ?? 0) <= event.leafIndex)
          await factLog.anchorNow()
        await ledger.witnessed()
        const { eventId: id, digest, salt, leafIndex } = event
        const fact = { kind: 2, fields: [id, digest], salt, leafIndex }
        const receipt = await receipts.ofFact(fact, query['anchor'] === 'now' ? COSIGNED_WITHIN_MS : 0)
        return bytes(encodeReceipt(receipt), 'application/json')
      },
    },
  ]
}

/** The versions that an event names, for the rule on what a delegate may see. */
export function recordsIn(event: Uint8Array): readonly string[] {
  return readEvent(event).versions.map(({ recordId }) => recordId)
}
