import { AppError, addYears } from '@salus/core'

/** Kinds of data that law treats differently. Protocol §7. */
export const DATA_CLASSES = ['patient-made', 'chart', 'access-event', 'documentation'] as const
export type DataClass = (typeof DATA_CLASSES)[number]

/** One rule: how long this class is kept in this place, from which day, on which ground. */
export interface RetentionRule {
  readonly jurisdiction: string
  readonly dataClass: DataClass
  /** Where several rules hold, the longest wins. */
  readonly years: number
  readonly from: 'last-entry' | 'creation' | 'majority'
  /** What a refusal names. */
  readonly basis: string
}

/**
 * The table is data. A steward adds the rules of the place; a node with a jurisdiction that is not here keeps nothing
 * by this table and must not be started with one. Periods are the ones the named texts state; HIPAA sets none for
 * charts, so charts in the United States follow 42 CFR 482.24(b) and the state's law.
 */
export const RETENTION: readonly RetentionRule[] = [
  {
    jurisdiction: 'US',
    dataClass: 'chart',
    years: 5,
    from: 'last-entry',
    basis: '42 CFR 482.24(b)(1): hospitals keep medical records for at least 5 years',
  },
  {
    jurisdiction: 'US',
    dataClass: 'access-event',
    years: 6,
    from: 'creation',
    basis: '45 CFR 164.528(a)(1): accounting of disclosures for the 6 years before the request',
  },
  {
    jurisdiction: 'US',
    dataClass: 'documentation',
    years: 6,
    from: 'creation',
    basis: '45 CFR 164.316(b)(2)(i): documentation is kept for 6 years',
  },
  {
    jurisdiction: 'US-MA',
    dataClass: 'chart',
    years: 20,
    from: 'last-entry',
    basis: 'M.G.L. c. 111 § 70: hospitals keep records for 20 years after discharge or final treatment',
  },
  {
    jurisdiction: 'DE',
    dataClass: 'chart',
    years: 10,
    from: 'last-entry',
    basis: 'GDPR Art. 17(3)(b); § 630f(3) BGB: 10 years after the end of treatment',
  },
  {
    jurisdiction: 'DE',
    dataClass: 'access-event',
    years: 3,
    from: 'creation',
    basis: 'GDPR Art. 17(3)(e); § 195 BGB: 3 years, for legal claims',
  },
  {
    jurisdiction: 'DE',
    dataClass: 'documentation',
    years: 3,
    from: 'creation',
    basis: 'GDPR Art. 17(3)(e); § 195 BGB: 3 years, for legal claims',
  },
]

/** Ground for holding what stays as restricted, wherever GDPR applies. */
export const RESTRICTION_BASIS = 'GDPR Art. 18: restricted, not used for care, until the date'

export type ErasureEffect =
  | { readonly effect: 'delete' }
  /** Hidden from care until the day, then destroyed. `keep` stays readable to the patient: who looked. */
  | { readonly effect: 'restrict' | 'keep'; readonly retainUntil: string; readonly basis: string }

/**
 * What "erase" does to data of a class on a day. `jurisdictions`: the place and what contains it (`['US-MA', 'US']`).
 * Throws AppError `RETENTION` where the table says nothing of the place and class: erasing too much cannot be undone.
 */
export function erasureEffect(input: {
  readonly jurisdictions: readonly string[]
  readonly dataClass: DataClass
  /** Days, YYYY-MM-DD. */
  readonly lastEntryDay: string
  readonly createdDay: string
  readonly majorityDay?: string
  readonly today: string
  readonly table?: readonly RetentionRule[]
}): ErasureEffect {
  const { dataClass, today } = input
  if (dataClass === 'patient-made') return { effect: 'delete' }
  const rules = (input.table ?? RETENTION).filter(
    (rule) => rule.dataClass === dataClass && input.jurisdictions.includes(rule.jurisdiction),
  )
  if (rules.length === 0) {
    throw new AppError('RETENTION', 'jurisdiction: the retention table has no rule for it; add one', {
      dataClass,
    })
  }
  const days = { 'last-entry': input.lastEntryDay, creation: input.createdDay, majority: input.majorityDay }
  let longest: { retainUntil: string; basis: string } | undefined
  for (const { from, years, basis } of rules) {
    const start = days[from]
    // A rule that counts from majority says nothing of who is of age.
    if (start === undefined) continue
    const retainUntil = addYears(start, years)
    if (longest === undefined || retainUntil > longest.retainUntil) longest = { retainUntil, basis }
  }
  if (longest === undefined || longest.retainUntil <= today) return { effect: 'delete' }
  return { effect: dataClass === 'access-event' ? 'keep' : 'restrict', ...longest }
}
