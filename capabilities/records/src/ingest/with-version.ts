import { fromUtf8, utf8 } from '@salus/core'
import { parseJson, storedText } from '../fhir/index.ts'

/** The stored JSON with another `meta.versionId`, made before the version is sealed and its digest taken. */
export function withVersion(json: Uint8Array, version: number): Uint8Array {
  const { value, exact } = parseJson(fromUtf8(json))
  const { id } = value as { id: string }
  return utf8(storedText(exact, { id, meta: { versionId: String(version) } }))
}
