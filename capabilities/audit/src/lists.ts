import { toHex } from '@salus/core'
import type { AccessFacts } from './event.ts'

/** A line of the patient's "who looked" list. */
export interface AccessLine {
  readonly eventId: string
  readonly timeMs: number
  readonly person: string
  readonly organisation: string
  readonly custodian: string
  readonly kind: AccessFacts['kind']
  readonly purpose: string
  readonly outcome: AccessFacts['outcome']
  readonly records: readonly string[]
  readonly views: number
  readonly grant?: string
  readonly emergency?: string
  readonly degraded: boolean
  readonly marked?: string
}

/** Who looked, newest first: every access and every refusal, one line each, both sides' events joined. */
export function whoLooked(events: readonly AccessFacts[]): AccessLine[] {
  const seen = new Set<string>()
  return events
    .toSorted((a, b) => b.timeMs - a.timeMs || (toHex(a.eventId) < toHex(b.eventId) ? -1 : 1))
    .filter((event) => {
      // The grantee's own event of the same request tells nothing new; where only it exists, it is the line.
      const requestHash = event.grant?.requestHash ?? event.emergency?.requestHash
      if (event.kind === 'receive' && requestHash && hasSource(events, requestHash)) return false
      const id = toHex(event.eventId)
      return !seen.has(id) && seen.add(id) !== undefined
    })
    .map(lineOf)
}

function hasSource(events: readonly AccessFacts[], requestHash: Uint8Array): boolean {
  const wanted = toHex(requestHash)
  return events.some((event) => {
    const own = event.grant?.requestHash ?? event.emergency?.requestHash
    return event.kind !== 'receive' && own !== undefined && toHex(own) === wanted
  })
}

function lineOf(event: AccessFacts): AccessLine {
  const { requester } = event
  return {
    eventId: toHex(event.eventId),
    timeMs: event.timeMs,
    person: requester.name ?? requester.practitioner ?? requester.as,
    organisation: requester.org,
    custodian: event.custodian.org,
    kind: event.kind,
    purpose: event.purpose,
    outcome: event.outcome,
    records: event.versions.map(({ recordId, version }) => `${recordId}/_history/${version}`),
    views: event.versions.filter(({ view }) => view !== undefined).length,
    ...(event.grant === undefined ? {} : { grant: toHex(event.grant.g) }),
    ...(event.emergency === undefined ? {} : { emergency: toHex(event.emergency.b) }),
    degraded: event.degraded,
    ...(event.marked === undefined ? {} : { marked: event.marked }),
  }
}

/** A line of the accounting that 45 CFR 164.528 demands: date, to whom, what, why. */
export interface DisclosureLine {
  readonly timeMs: number
  readonly recipient: string
  readonly what: readonly string[]
  readonly purpose: string
}

/** 45 CFR 164.528(a)(1): treatment, payment, operations and what the patient asked for need no accounting. */
const NOT_ACCOUNTED = new Set(['TREAT', 'CAREMGT', 'HPAYMT', 'HOPERAT', 'PATRQT'])
const DISCLOSURES: ReadonlySet<AccessFacts['kind']> = new Set(['release', 'break-glass', 'export'])

/**
 * Accounting of disclosures of one custodian, oldest first, over a span of time (six years before the request unless
 * the patient asks for less). The full list is `whoLooked`; this is the subset that the rule names.
 */
export function accountingOfDisclosures(
  events: readonly AccessFacts[],
  span: { readonly custodian: string; readonly fromMs: number; readonly toMs: number },
): DisclosureLine[] {
  return events
    .filter(
      (event) =>
        DISCLOSURES.has(event.kind) &&
        event.outcome === 'permitted' &&
        event.custodian.org === span.custodian &&
        event.requester.org !== span.custodian &&
        event.timeMs >= span.fromMs &&
        event.timeMs < span.toMs &&
        !NOT_ACCOUNTED.has(event.purpose),
    )
    .toSorted((a, b) => a.timeMs - b.timeMs)
    .map((event) => ({
      timeMs: event.timeMs,
      recipient: event.requester.org,
      what: event.versions.map(({ recordId }) => recordId),
      purpose: event.purpose,
    }))
}
