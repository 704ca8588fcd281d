import {
  AppError,
  bytes,
  equal,
  fromJson,
  list,
  object,
  optional,
  sha256,
  toBase64url,
  uint,
} from '@salus/core'
import { decodeReceipt, type Receipt } from '@salus/log'
import { type Connection, send, sendForJson } from '@salus/sdk'
import type { AccessFacts } from '../event.ts'
import { type AccessLine, whoLooked } from '../lists.ts'
import { readEvent } from '../read-event.ts'

/** Pages are followed up to this many events. */
const MAX_EVENTS = 200_000

const pageForm = object('Events about my record', {
  events: list(
    object('', {
      eventId: bytes('Event', { length: 16 }),
      event: bytes('AuditEvent, canonical JSON', { max: 1024 * 1024 }),
      salt: bytes('Salt of its leaf', { length: 32 }),
      leafIndex: uint('Place of its leaf in the log'),
    }),
    { max: 1_000 },
  ),
  next: optional(uint('Where the next page begins')),
})

/** One access, with what proves it. */
export interface Access {
  readonly facts: AccessFacts
  /** The AuditEvent, as logged. */
  readonly bytes: Uint8Array
  readonly salt: Uint8Array
  readonly leafIndex: number
}

/**
 * Every event about the person's record at one organisation (a session there), oldest first. Throws AppError `AUDIT`
 * for an event that this project did not write or that bears another id than its list says.
 */
export async function listAccesses(connection: Connection): Promise<Access[]> {
  const found: Access[] = []
  let after: number | undefined
  do {
    const path = after === undefined ? '/me/accesses' : `/me/accesses?after=${after}`
    const answer = (await sendForJson(connection, 'GET', path)) as { next?: unknown }
    const { events, next } = fromJson(pageForm, withoutNull(answer))
    for (const { eventId, event, salt, leafIndex } of events) {
      const facts = readEvent(event)
      if (!equal(facts.eventId, eventId))
        throw new AppError('AUDIT', 'eventId: the event bears another id than the list says')
      found.push({ facts, bytes: event, salt, leafIndex })
    }
    if (next !== undefined && next <= (after ?? 0))
      throw new AppError('BAD_REPLY', 'next: must rise from page to page')
    after = next
  } while (after !== undefined && found.length < MAX_EVENTS)
  return found
}

/** Who looked, newest first, over the lists of any number of organisations: both sides of one access are one line. */
export function accessLines(...lists: readonly (readonly Access[])[]): AccessLine[] {
  return whoLooked(lists.flat().map(({ facts }) => facts))
}

/** The receipt of one access, as a file and read. `anchorNow` waits until it is anchored on the ledger. */
export async function receiptFor(
  connection: Connection,
  { eventId, anchorNow = false }: { readonly eventId: Uint8Array; readonly anchorNow?: boolean },
): Promise<{ readonly file: string; readonly receipt: Receipt }> {
  const path = `/me/accesses/${toBase64url(eventId)}/receipt${anchorNow ? '?anchor=now' : ''}`
  const { body } = await send(connection, 'GET', path)
  const file = new TextDecoder().decode(body)
  return { file, receipt: decodeReceipt(file) }
}

/** `H(event)`, what the leaf commits to beside the id. */
export const digestOf = ({ bytes }: Pick<Access, 'bytes'>): Uint8Array => sha256(bytes)

function withoutNull(answer: { next?: unknown }): unknown {
  if (answer.next !== null) return answer
  const { next: _end, ...rest } = answer
  return rest
}
