import type { LooseResource } from './types.ts'

/** Milliseconds since 1970-01-01 UTC, both ends included. A date without zone is taken as UTC. */
export interface DateRange {
  readonly startMs: number
  readonly endMs: number
}

const DATE =
  /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$/
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** The time a FHIR date, dateTime or instant covers: `2015` is the whole year. Undefined when it is none. */
export function dateRange(text: string): DateRange | undefined {
  const parts = DATE.exec(text)
  if (!parts) return undefined
  const year = Number(parts[1])
  if (parts[2] === undefined) return { startMs: dayMs(year, 1, 1), endMs: dayMs(year + 1, 1, 1) - 1 }
  const month = Number(parts[2])
  if (month < 1 || month > 12) return undefined
  if (parts[3] === undefined) {
    const end = month === 12 ? dayMs(year + 1, 1, 1) : dayMs(year, month + 1, 1)
    return { startMs: dayMs(year, month, 1), endMs: end - 1 }
  }
  const day = Number(parts[3])
  if (day < 1 || day > daysIn(year, month)) return undefined
  const startOfDay = dayMs(year, month, day)
  if (parts[4] === undefined) return { startMs: startOfDay, endMs: startOfDay + DAY_MS - 1 }
  const zone = zoneMs(parts[8])
  const minute = startOfDay + (Number(parts[4]) * 60 + Number(parts[5])) * MINUTE_MS - zone
  if (parts[6] === undefined) return { startMs: minute, endMs: minute + MINUTE_MS - 1 }
  const second = minute + Number(parts[6]) * 1000
  if (parts[7] === undefined) return { startMs: second, endMs: second + 999 }
  const ms = second + Number(parts[7].padEnd(3, '0').slice(0, 3))
  return { startMs: ms, endMs: ms }
}

function zoneMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const sign = zone.startsWith('-') ? -1 : 1
  return sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))) * MINUTE_MS
}

/** Days since 1970-01-01 of a Gregorian date, in milliseconds (the days-from-civil algorithm). */
function dayMs(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return (era * 146_097 + dayOfEra - 719_468) * DAY_MS
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

// When it happened, not when it was written down; a later path stands in where the earlier ones are absent.
const PATHS: Readonly<Record<string, readonly string[]>> = {
  Account: ['servicePeriod'],
  AdverseEvent: ['date', 'detected', 'recordedDate'],
  AllergyIntolerance: ['onset', 'recordedDate', 'lastOccurrence'],
  Appointment: ['start+end', 'created'],
  AppointmentResponse: ['start+end'],
  AuditEvent: ['period', 'recorded'],
  Basic: ['created'],
  CarePlan: ['period', 'created'],
  CareTeam: ['period'],
  ChargeItem: ['occurrence', 'enteredDate'],
  Claim: ['billablePeriod', 'created'],
  ClaimResponse: ['created'],
  ClinicalImpression: ['effective', 'date'],
  Communication: ['sent', 'received'],
  CommunicationRequest: ['occurrence', 'authoredOn'],
  Composition: ['date'],
  Condition: ['onset+abatement', 'recordedDate'],
  Consent: ['dateTime'],
  Coverage: ['period'],
  CoverageEligibilityRequest: ['serviced', 'created'],
  CoverageEligibilityResponse: ['serviced', 'created'],
  DetectedIssue: ['identified'],
  DeviceRequest: ['occurrence', 'authoredOn'],
  DeviceUseStatement: ['timing', 'recordedOn'],
  DiagnosticReport: ['effective', 'issued'],
  DocumentManifest: ['created'],
  DocumentReference: ['context.period', 'date'],
  Encounter: ['period'],
  EpisodeOfCare: ['period'],
  ExplanationOfBenefit: ['billablePeriod', 'created'],
  FamilyMemberHistory: ['date'],
  Flag: ['period'],
  Goal: ['start', 'statusDate'],
  GuidanceResponse: ['occurrenceDateTime'],
  ImagingStudy: ['started'],
  Immunization: ['occurrence', 'recorded'],
  ImmunizationEvaluation: ['date'],
  ImmunizationRecommendation: ['date'],
  Invoice: ['date'],
  List: ['date'],
  MeasureReport: ['period', 'date'],
  Media: ['created', 'issued'],
  MedicationAdministration: ['effective'],
  MedicationDispense: ['whenHandedOver', 'whenPrepared'],
  MedicationRequest: ['authoredOn'],
  MedicationStatement: ['effective', 'dateAsserted'],
  NutritionOrder: ['dateTime'],
  Observation: ['effective', 'issued'],
  PaymentNotice: ['created'],
  PaymentReconciliation: ['created'],
  Procedure: ['performed'],
  Provenance: ['occurred', 'recorded'],
  QuestionnaireResponse: ['authored'],
  RequestGroup: ['authoredOn'],
  ResearchSubject: ['period'],
  RiskAssessment: ['occurrence'],
  ServiceRequest: ['occurrence', 'authoredOn'],
  Specimen: ['collection.collected', 'receivedTime'],
  SupplyDelivery: ['occurrence'],
  SupplyRequest: ['occurrence', 'authoredOn'],
  Task: ['executionPeriod', 'authoredOn'],
  VisionPrescription: ['dateWritten', 'created'],
}

/**
 * When what a resource tells of happened (grant filters `from` and `to`); undefined when it does not say, as for
 * Patient, FamilyMemberHistory without date or RelatedPerson. An open period has no known end: its end is `Infinity`.
 */
export function clinicalDates(resource: LooseResource): DateRange | undefined {
  for (const path of PATHS[resource.resourceType] ?? []) {
    const range = path.includes('+') ? joined(resource, path.split('+')) : rangeAt(resource, path.split('.'))
    if (range) return range
  }
  return undefined
}

function joined(resource: LooseResource, [from, to]: readonly string[]): DateRange | undefined {
  const start = rangeAt(resource, [from ?? ''])
  if (!start) return undefined
  const end = rangeAt(resource, [to ?? ''])
  return end
    ? { startMs: Math.min(start.startMs, end.startMs), endMs: Math.max(start.endMs, end.endMs) }
    : start
}

const CHOICES = ['', 'DateTime', 'Period', 'Instant', 'Date', 'Timing'] as const

function rangeAt(node: unknown, path: readonly string[]): DateRange | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  const [name = '', ...rest] = path
  const record = node as Record<string, unknown>
  if (rest.length > 0) return rangeAt(record[name], rest)
  for (const choice of CHOICES) {
    const range = rangeOf(record[name + choice])
    if (range) return range
  }
  return undefined
}

/** A date text, a Period, or a Timing with events or bounds. */
function rangeOf(value: unknown): DateRange | undefined {
  if (typeof value === 'string') return dateRange(value)
  if (typeof value !== 'object' || value === null) return undefined
  const { start, end, event, repeat } = value as Record<string, unknown>
  if (Array.isArray(event)) {
    const ranges = event.map(rangeOf).filter((r): r is DateRange => r !== undefined)
    if (ranges.length > 0) {
      return {
        startMs: Math.min(...ranges.map((r) => r.startMs)),
        endMs: Math.max(...ranges.map((r) => r.endMs)),
      }
    }
  }
  if (repeat !== undefined) return rangeOf((repeat as { boundsPeriod?: unknown } | null)?.boundsPeriod)
  const from = typeof start === 'string' ? dateRange(start) : undefined
  const to = typeof end === 'string' ? dateRange(end) : undefined
  if (!from && !to) return undefined
  return { startMs: from?.startMs ?? Number.NEGATIVE_INFINITY, endMs: to?.endMs ?? Number.POSITIVE_INFINITY }
}
