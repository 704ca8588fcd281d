import type { LooseResource } from '@salus/records/fhir'
import type { SourcedResource } from './source-files.ts'

/** What goes to which hospital. A resource that goes to both stands in both lists. */
export interface Split {
  readonly a: readonly SourcedResource[]
  readonly b: readonly SourcedResource[]
}

/**
 * Splits records between two hospitals as if she had been treated in turn at both: a patient's encounters, in order of
 * start and id, go alternately to A and B; every resource follows the encounter that it names; what names none goes to
 * A; Patient and directory resources go to both.
 */
export function splitBetweenHospitals(resources: readonly SourcedResource[]): Split {
  const hospitalOf = new Map<string, 'a' | 'b'>()
  const encounters = Map.groupBy(
    resources.filter(({ type, owner }) => type === 'Encounter' && owner.kind === 'patient'),
    ({ owner }) => (owner.kind === 'patient' ? owner.name : ''),
  )
  for (const list of encounters.values()) {
    const ordered = [...list].sort(
      (x, y) => compare(startOf(x.resource), startOf(y.resource)) || compare(x.id, y.id),
    )
    for (const [at, { recordId }] of ordered.entries()) hospitalOf.set(recordId, at % 2 === 0 ? 'a' : 'b')
  }
  const a: SourcedResource[] = []
  const b: SourcedResource[] = []
  for (const one of resources) {
    if (one.type === 'Patient' || one.owner.kind === 'directory') {
      a.push(one)
      b.push(one)
    } else if ((hospitalOf.get(one.recordId) ?? hospitalOf.get(encounterOf(one.resource) ?? '')) === 'b')
      b.push(one)
    else a.push(one)
  }
  return { a, b }
}

/** The encounter that a resource names: `encounter`, `context`, a Claim's or ExplanationOfBenefit's item. */
function encounterOf(resource: LooseResource): string | undefined {
  const { encounter, context, item } = resource as {
    encounter?: unknown
    context?: unknown
    item?: readonly { encounter?: unknown }[]
  }
  const named = [
    encounter,
    context,
    (context as { encounter?: unknown } | undefined)?.encounter,
    ...(Array.isArray(item) ? item.map((one) => one.encounter) : []),
  ]
  for (const value of named.flat()) {
    const reference = (value as { reference?: unknown } | undefined)?.reference
    if (typeof reference === 'string' && reference.startsWith('Encounter/')) return reference
  }
  return undefined
}

function startOf(resource: LooseResource): string {
  return String((resource['period'] as { start?: unknown } | undefined)?.start ?? '')
}

function compare(x: string, y: string): number {
  return x < y ? -1 : x > y ? 1 : 0
}
