import { instantOf } from '@salus/core'

const DAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** An HTTP date (RFC 9110 §5.6.7) of milliseconds since 1970: `Sun, 22 Nov 2026 13:05:09 GMT`. */
export function httpDate(timeMs: number): string {
  const instant = instantOf(timeMs)
  const weekday = DAYS[((Math.floor(timeMs / 86_400_000) % 7) + 7) % 7] as string
  const month = MONTHS[Number(instant.slice(5, 7)) - 1] as string
  return `${weekday}, ${instant.slice(8, 10)} ${month} ${instant.slice(0, 4)} ${instant.slice(11, 19)} GMT`
}
