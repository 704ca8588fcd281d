import type { TypedValue } from '@medplum/core'
import { definitions } from './definitions.ts'
import { type Issue, issue } from './types.ts'

/** What the validator collects: value set → the values bound to it. */
export type Tokens = Record<string, (TypedValue & { path: string })[]>

type CodeSet = {
  readonly any: ReadonlySet<string>
  readonly bySystem: ReadonlyMap<string, ReadonlySet<string> | true>
}
const codeSets = new Map<string, CodeSet | undefined>()

function codeSet(valueSet: string): CodeSet | undefined {
  if (codeSets.has(valueSet)) return codeSets.get(valueSet)
  const slim = definitions.valueSets[valueSet]
  let set: CodeSet | undefined
  if (slim) {
    const bySystem = new Map<string, ReadonlySet<string> | true>()
    const any = new Set<string>()
    for (const [system, codes] of Object.entries(slim)) {
      bySystem.set(system, codes === true ? true : new Set(codes))
      if (codes !== true) for (const code of codes) any.add(code)
    }
    set = { any, bySystem }
  }
  codeSets.set(valueSet, set)
  return set
}

/** Medplum leaves required bindings unchecked (it has no terminology); the closed sets of R4 are here. */
export function checkRequiredCodes(tokens: Tokens, issues: Issue[]): void {
  for (const [valueSet, values] of Object.entries(tokens)) {
    const set = codeSet(valueSet)
    if (!set) continue
    for (const { value, path } of values) {
      if (!holds(set, value)) {
        issues.push(
          issue(
            'REQUIRED_CODE',
            path,
            `The code is not in the required value set ${valueSet.split('|')[0]}.`,
            'Use a code of that value set.',
          ),
        )
      }
    }
  }
}

function holds(set: CodeSet, value: unknown): boolean {
  if (typeof value === 'object' && value !== null) {
    const primitive: unknown = value.valueOf()
    if (typeof primitive === 'string') return holds(set, primitive)
    const { coding, system, code } = value as { coding?: unknown; system?: unknown; code?: unknown }
    // A CodeableConcept meets a required binding with one coding of the set; one of text alone has none to check.
    if (Array.isArray(coding)) return coding.length === 0 || coding.some((c) => holds(set, c))
    if (typeof code !== 'string') return true
    const codes = set.bySystem.get(typeof system === 'string' ? system : '')
    return codes === true || (codes?.has(code) ?? false)
  }
  if (typeof value !== 'string') return true
  if (set.any.has(value)) return true
  for (const codes of set.bySystem.values()) if (codes === true) return true
  return false
}
