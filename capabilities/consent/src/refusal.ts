import type { Reason } from './decision.ts'
import type { Refusal } from './release-reply.ts'

/** Reasons that mend themselves or that the asker must mend; all others are one and the same to it. */
const TOLD: readonly (readonly [Reason, Refusal['code']])[] = [
  ['SEQUENCE', 'SEQUENCE'],
  ['REQUEST_TIME', 'BAD_REQUEST'],
  ['LEDGER_STALE', 'LEDGER_STALE'],
  ['RATE', 'RATE'],
]

/**
 * What the grantee is told. Only if every reason is one that may be told is it told the first; otherwise `DENIED`,
 * so that no answer depends on what a reader may not see.
 */
export function refusalOf(reasons: readonly Reason[]): Refusal['code'] {
  if (!reasons.every((reason) => TOLD.some(([told]) => told === reason))) return 'DENIED'
  return TOLD.find(([reason]) => reasons.includes(reason))?.[1] ?? 'DENIED'
}
