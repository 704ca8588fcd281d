import table from './compartments.json' with { type: 'json' }
import type { LooseResource, ResourceCompartment } from './types.ts'

export interface Label {
  readonly compartment: ResourceCompartment
  /** The code that decided (`system|code`), where a value set did; else undefined and the author or type decided. */
  readonly because: string | undefined
}

/** Codes that no value set holds, by system, with how often each was met: what the import report shows a steward. */
export type CodeCount = Map<string, Map<string, number>>

interface TypeRule {
  readonly compartment: string
  readonly types?: readonly string[]
  readonly prefixes?: readonly string[]
  /** Type → `system|code` of a category that brings it here. */
  readonly categories?: Readonly<Record<string, readonly string[]>>
}

interface CodeSet {
  readonly compartment: string
  readonly codes: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly prefixes?: Readonly<Record<string, readonly string[]>>
}

const SETS = table.sets as unknown as readonly CodeSet[]
const TYPE_RULES = table.types as unknown as readonly TypeRule[]
const PATIENT_AUTHORS: Readonly<Record<string, string>> = table.patientAuthors.types
const NO_RANK = SETS.length
const PATIENT_MADE_RANK = 0

/** system → code → rank of the set that decides; a lower rank decides first. */
const ranks = new Map<string, Map<string, number>>()
/** system → rank, prefix: classifications, whose codes are hierarchical by their text. */
const prefixRanks = new Map<string, { readonly rank: number; readonly prefix: string }[]>()
for (const [rank, set] of SETS.entries()) {
  for (const [system, codes] of Object.entries(set.codes)) {
    const known = ranks.get(system) ?? new Map<string, number>()
    for (const code of Object.keys(codes)) if (!known.has(code)) known.set(code, rank)
    ranks.set(system, known)
  }
  for (const [system, prefixes] of Object.entries(set.prefixes ?? {})) {
    prefixRanks.set(system, [
      ...(prefixRanks.get(system) ?? []),
      ...prefixes.map((prefix) => ({ rank, prefix })),
    ])
  }
}

/** Which compartment a resource belongs to (protocol §2). The table `compartments.json` is the only place to change. */
export function compartmentOf(resource: LooseResource): ResourceCompartment {
  return labelOf(resource).compartment
}

/** The label of protocol §2. `unheld`, if given, gains every coding inside that no value set holds. */
export function labelOf(resource: LooseResource, unheld?: CodeCount): Label {
  const best: Best = { rank: NO_RANK, because: undefined }
  visitCodings(resource, best, unheld)
  if (best.rank !== PATIENT_MADE_RANK && isPatientMade(resource)) {
    return { compartment: 'patient-made', because: undefined }
  }
  const set = SETS[best.rank]
  if (set) return { compartment: set.compartment as ResourceCompartment, because: best.because }
  return { compartment: compartmentByType(resource), because: undefined }
}

interface Best {
  rank: number
  because: string | undefined
}

/** Every Coding inside, contained resources, extensions and labels in `meta` too. */
function visitCodings(node: object, best: Best, unheld: CodeCount | undefined): void {
  if (Array.isArray(node)) {
    for (const item of node) if (typeof item === 'object' && item !== null) visitCodings(item, best, unheld)
    return
  }
  const { code, system, value } = node as { code?: unknown; system?: unknown; value?: unknown }
  // A Quantity also has system and code; those are units.
  if (typeof code === 'string' && typeof system === 'string' && value === undefined) {
    const rank = rankOf(system, code)
    if (rank < best.rank) {
      best.rank = rank
      best.because = `${system}|${code}`
    }
    if (rank === NO_RANK && unheld) count(unheld, system, code)
  }
  for (const key in node) {
    const child = (node as Record<string, unknown>)[key]
    if (typeof child === 'object' && child !== null) visitCodings(child, best, unheld)
  }
}

function rankOf(system: string, code: string): number {
  let rank = ranks.get(system)?.get(code) ?? NO_RANK
  for (const rule of prefixRanks.get(system) ?? []) {
    if (rule.rank < rank && code.startsWith(rule.prefix)) rank = rule.rank
  }
  return rank
}

function count(unheld: CodeCount, system: string, code: string): void {
  let codes = unheld.get(system)
  if (!codes) {
    codes = new Map()
    unheld.set(system, codes)
  }
  codes.set(code, (codes.get(code) ?? 0) + 1)
}

/** Made by the patient, or by a relative for her: everybody named as its author is one of them. */
function isPatientMade(resource: LooseResource): boolean {
  const element = PATIENT_AUTHORS[resource.resourceType]
  if (element === undefined) return false
  const value = resource[element]
  const authors = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return authors.length > 0 && authors.every(isPatientOrRelative)
}

function isPatientOrRelative(author: unknown): boolean {
  const { reference, type } = (author ?? {}) as { reference?: unknown; type?: unknown }
  if (typeof reference === 'string') return /(^|\/)(Patient|RelatedPerson)\/[^/]+$/.test(reference)
  return type === 'Patient' || type === 'RelatedPerson'
}

function compartmentByType(resource: LooseResource): ResourceCompartment {
  const type = resource.resourceType
  const categories = categoriesOf(resource)
  for (const rule of TYPE_RULES) {
    const wanted = rule.categories?.[type]
    const matches =
      rule.types?.includes(type) ||
      rule.prefixes?.some((prefix) => type.startsWith(prefix)) ||
      wanted?.some((category) => categories.has(category))
    if (matches) return rule.compartment as ResourceCompartment
  }
  return 'general'
}

function categoriesOf(resource: LooseResource): ReadonlySet<string> {
  const found = new Set<string>()
  const concepts = resource['category']
  for (const concept of Array.isArray(concepts) ? concepts : [concepts]) {
    const codings = (concept as { coding?: unknown } | undefined)?.coding
    for (const coding of Array.isArray(codings) ? codings : []) {
      const { system, code } = (coding ?? {}) as { system?: unknown; code?: unknown }
      if (typeof code === 'string') found.add(`${String(system)}|${code}`)
    }
  }
  return found
}
