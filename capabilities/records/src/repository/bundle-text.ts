import type { Resource } from '@medplum/fhirtypes'
import { fromUtf8 } from '@salus/core'

/**
 * JSON text of an answer in which stored resources stand byte for byte as they were stored: serialising them again
 * would lose the digits of their numbers.
 */
export function answerText(
  answer: Resource,
  storedJson: (resource: object) => Uint8Array | undefined,
): string {
  const whole = storedJson(answer)
  if (whole !== undefined) return fromUtf8(whole)
  if (answer.resourceType !== 'Bundle' || answer.entry === undefined) return JSON.stringify(answer)
  const { entry, ...head } = answer
  const entries = entry.map(({ resource, ...rest }) => {
    if (resource === undefined) return JSON.stringify(rest)
    const members = JSON.stringify(rest).slice(1, -1)
    return `{${members}${members === '' ? '' : ','}"resource":${answerText(resource, storedJson)}}`
  })
  return `${JSON.stringify(head).slice(0, -1)},"entry":[${entries.join(',')}]}`
}
