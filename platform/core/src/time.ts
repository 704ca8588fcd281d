import { AppError } from './errors.ts'

const DAY_MS = 86_400_000

/** Days from 1970-01-01 to a day of the proleptic Gregorian calendar; months and days count from 1. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  }
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

/**
 * Milliseconds since 1970-01-01 UTC at which a day `YYYY-MM-DD` begins; negative before 1970.
 * Throws AppError `TIME` for anything else, and for days that no calendar has.
 */
export function dayStartMs(day: string): number {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day)
  if (match === null) throw new AppError('TIME', 'day: write it as YYYY-MM-DD')
  const days = daysFromCivil(Number(match[1]), Number(match[2]), Number(match[3]))
  if (dayOf(days * DAY_MS) !== day) throw new AppError('TIME', 'day: no such day in the calendar')
  return days * DAY_MS
}

/** The UTC day `YYYY-MM-DD` of a time; years 0000 to 9999. Throws AppError `TIME` outside them. */
export function dayOf(timeMs: number): string {
  const { year, month, day } = civilFromDays(Math.floor(timeMs / DAY_MS))
  if (!(year >= 0 && year <= 9_999)) throw new AppError('TIME', 'time: the year must be 0000 to 9999')
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`
}

/** A FHIR instant, `2026-11-22T13:05:09.001Z`, of integer milliseconds since 1970-01-01 UTC. */
export function instantOf(timeMs: number): string {
  const inDayMs = timeMs - Math.floor(timeMs / DAY_MS) * DAY_MS
  const hour = digits(Math.floor(inDayMs / 3_600_000), 2)
  const minute = digits(Math.floor(inDayMs / 60_000) % 60, 2)
  const second = digits(Math.floor(inDayMs / 1_000) % 60, 2)
  return `${dayOf(timeMs)}T${hour}:${minute}:${second}.${digits(inDayMs % 1_000, 3)}Z`
}

/** Reads what `instantOf` writes. Throws AppError `TIME`. */
export function instantMs(instant: string): number {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})\.(\d{3})Z$/.exec(instant)
  if (match === null) throw new AppError('TIME', 'instant: write it as 2026-11-22T13:05:09.001Z')
  const inDayMs =
    Number(match[2]) * 3_600_000 + Number(match[3]) * 60_000 + Number(match[4]) * 1_000 + Number(match[5])
  const timeMs = dayStartMs(match[1] as string) + inDayMs
  if (instantOf(timeMs) !== instant) throw new AppError('TIME', 'instant: no such time of day')
  return timeMs
}

/** The day `years` later; 29 February becomes 1 March where the year has none, so that no period is cut short. */
export function addYears(day: string, years: number): string {
  dayStartMs(day)
  const year = Number(day.slice(0, 4)) + years
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const rest = day.slice(4) === '-02-29' && !leap ? '-03-01' : day.slice(4)
  return dayOf(dayStartMs(`${digits(year, 4)}${rest}`))
}
