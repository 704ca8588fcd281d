import type { LooseResource } from './types.ts'

/** Milliseconds since 1970-01-01 UTC, both ends included. A date without zone is taken as UTC. */
export interface DateRange {
  readonly startMs: number
  readonly endMs: number
}

/** The time a FHIR date, dateTime or instant covers: `2015` is the whole year. Undefined when it is none. */
export declare function dateRange(text: string): DateRange | undefined
/** When what a resource tells of happened (grant filters `from` and `to`); undefined when it does not say. */
export declare function clinicalDates(resource: LooseResource): DateRange | undefined
