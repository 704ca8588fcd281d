import { AppError, decode, equal, parseCheckpoint, parseNote, parseTlogProof } from '@salus/core'
import {
  FACT_KINDS,
  factLogOrigin,
  type Receipt,
  type ReceiptCheck,
  type ReceiptTrust,
  type ReceiptVerdict,
  verifyReceipt,
} from '@salus/log'
import { type Access, digestOf } from './list-accesses.ts'

/**
 * Whether a receipt proves exactly this access: its fact is this event's id and digest under the salt that came with
 * it, in the log of the organisation that recorded it; and the receipt itself holds, from the genesis id on. The checks
 * about this access come first in `detail`. Never throws.
 */
export function verifyAccess(access: Access, receipt: Receipt, trust: ReceiptTrust): ReceiptVerdict {
  const own = [
    check('event', () => factIs(access, receipt)),
    check('log', () => logIs(access.facts.recorder.org, receipt)),
  ]
  if (own.some(({ holds }) => !holds)) return { valid: false, status: 'invalid', detail: own }
  const verdict = verifyReceipt(receipt, trust)
  return { ...verdict, detail: [...own, ...verdict.detail] }
}

function check(name: string, test: () => string): ReceiptCheck {
  try {
    return { check: name, holds: true, found: test() }
  } catch (error) {
    const found = error instanceof AppError ? error.message : 'malformed'
    return { check: name, holds: false, found }
  }
}

function factIs(access: Access, { fact }: Receipt): string {
  const wrong = (rule: string) => new AppError('RECEIPT', `fact: ${rule}`)
  if (fact?.kind !== FACT_KINDS.auditEvent) throw wrong('is not that of an access')
  const fields = decode(fact.fields)
  const [eventId, digest] = Array.isArray(fields) && fields.length === 2 ? fields : []
  if (!(eventId instanceof Uint8Array) || !(digest instanceof Uint8Array))
    throw wrong('does not have an id and a digest')
  if (!equal(eventId, access.facts.eventId)) throw wrong('is another access')
  if (!equal(digest, digestOf(access))) throw wrong('commits to another text of this access')
  if (fact.salt === undefined || !equal(fact.salt, access.salt)) throw wrong('has another salt')
  return 'the fact is this very event'
}

function logIs(org: string, { chain, log }: Receipt): string {
  if (log === undefined) throw new AppError('RECEIPT', 'log: is missing')
  const { origin } = parseCheckpoint(parseNote(parseTlogProof(log).checkpoint).text)
  if (origin !== factLogOrigin(chain, org))
    throw new AppError('RECEIPT', 'log: is not that of the organisation that recorded the access')
  return `in the log of ${org}`
}
