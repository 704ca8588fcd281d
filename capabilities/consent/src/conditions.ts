import { AppError, type CborValue, decode } from '@salus/core'
import type { DecisionState, Labels } from './decision.ts'
import type { ReleaseRequest } from './release-request.ts'
import type { Terms } from './terms.ts'

/** What a condition may look at: the request, the ledger at the checked head, the version's labels. */
export interface ConditionInput {
  readonly request: ReleaseRequest
  readonly state: DecisionState
  readonly labels: Labels
}

/**
 * A kind of condition, defined by a capability. `holds` is pure and total; a throw counts as false.
 * `say` gives the sentence the person reads: it may use the arguments only.
 */
export interface ConditionKind {
  readonly kind: string
  readonly v: number
  say(args: CborValue): string
  holds(args: CborValue, input: ConditionInput): boolean
}

export type ConditionKinds = ReadonlyMap<string, ConditionKind>

export const noConditions: ConditionKinds = new Map()

const keyOf = (kind: string, v: number): string => `${v}:${kind}`

/** Joins kinds. Throws AppError `CONDITION` if two share kind and version. */
export function conditionKinds(kinds: readonly ConditionKind[]): ConditionKinds {
  const all = new Map<string, ConditionKind>()
  for (const kind of kinds) {
    const key = keyOf(kind.kind, kind.v)
    if (all.has(key)) throw new AppError('CONDITION', `condition ${key}: registered twice`)
    all.set(key, kind)
  }
  return all
}

type Condition = Terms['conditions'][number]

/** An unknown kind or version, unreadable arguments or a throwing predicate deny. Protocol §4. */
export function conditionHolds(kinds: ConditionKinds, condition: Condition, input: ConditionInput): boolean {
  const kind = kinds.get(keyOf(condition.kind, condition.v))
  if (kind === undefined) return false
  try {
    return kind.holds(decode(condition.args), input) === true
  } catch {
    return false
  }
}

/** The sentence of a condition. Throws AppError `UNKNOWN_CONDITION`: nobody may agree to what he cannot read. */
export function sayCondition(kinds: ConditionKinds, condition: Condition): string {
  const kind = kinds.get(keyOf(condition.kind, condition.v))
  if (kind === undefined) {
    throw new AppError('UNKNOWN_CONDITION', 'conditions: this program does not know this kind; update it', {
      kind: condition.kind,
      v: condition.v,
    })
  }
  return kind.say(decode(condition.args)).replaceAll(/[\r\n]+/g, ' ')
}
