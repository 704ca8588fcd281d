import type { LooseResource } from '../fhir/index.ts'
import { packCode } from '../packed-codes.ts'

/** Beyond this many the last ones are left out; see `codesOf`. */
const MAX_CODES = 48

/**
 * Every distinct coding inside a resource, contained and copied ones too, packed: what a grant's filter on codes is
 * held against. Beyond the limit the rest is left out, so a filter can show less but never more.
 */
export function codesOf(resource: LooseResource): string[] {
  const codes = new Set<string>()
  collectCodes(resource, codes)
  return [...codes]
}

function collectCodes(value: unknown, codes: Set<string>): void {
  if (typeof value !== 'object' || value === null || codes.size >= MAX_CODES) return
  if (Array.isArray(value)) {
    for (const item of value) collectCodes(item, codes)
    return
  }
  const { system, code } = value as { system?: unknown; code?: unknown }
  if (typeof code === 'string' && typeof system === 'string') codes.add(packCode({ system, code }))
  for (const item of Object.values(value)) collectCodes(item, codes)
}
