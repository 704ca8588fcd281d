import { equal, toHex } from '@salus/core'
import { checkStatement, compareSequences, type SequenceFinding, sequenceOf } from '../sequence.ts'
import type { Access } from './list-accesses.ts'

/** What is wrong with the two views of one grant. */
export interface GrantAlert {
  readonly g: Uint8Array
  readonly findings: readonly SequenceFinding[]
}

/** How far a side says that it counted under a grant: what its list must reach. */
export interface Counted {
  readonly g: Uint8Array
  readonly requests: number
  /** `H` of the last request; zeros before the first. */
  readonly last: Uint8Array
}

/**
 * Compares what custodian and grantee tell the patient about every grant that either names (protocol §12): gaps,
 * chains that do not hold, and accesses that only one of them tells of. Empty where all agree.
 */
export function compareSides(input: {
  /** Lists of the custodian and of the grantee. */
  readonly custodian: readonly Access[]
  readonly grantee: readonly Access[]
  /** What the custodian counts, so that an end cut off on both lists shows too. */
  readonly counted?: readonly Counted[]
}): GrantAlert[] {
  const { counted = [] } = input
  const custodian = input.custodian.map(({ facts }) => facts)
  const grantee = input.grantee.map(({ facts }) => facts)
  const ids = new Map<string, Uint8Array>()
  for (const { grant } of [...custodian, ...grantee])
    if (grant !== undefined) ids.set(toHex(grant.g), grant.g)
  for (const { g } of counted) ids.set(toHex(g), g)
  const alerts: GrantAlert[] = []
  for (const g of ids.values()) {
    const sides = {
      custodian: sequenceOf(
        custodian.filter(({ recorder, custodian: holder }) => recorder.org === holder.org),
        g,
      ),
      grantee: sequenceOf(
        grantee.filter(({ kind }) => kind === 'receive'),
        g,
      ),
    }
    const claim = counted.find((each) => equal(each.g, g))
    const findings = [
      ...compareSequences(sides),
      ...(claim === undefined
        ? []
        : checkStatement(
            { v: 1, g, party: 'custodian', upTo: claim.requests, head: claim.last, time: 0 },
            sides.custodian,
          )),
    ]
    if (findings.length > 0) alerts.push({ g, findings })
  }
  return alerts
}
