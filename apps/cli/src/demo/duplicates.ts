import type { SourcedResource } from './source-files.ts'

/** Types of which hospital B gets a second, differently worded record of the same fact. */
const DOUBLED = ['Immunization', 'MedicationRequest', 'AllergyIntolerance'] as const
const CONCEPT = {
  Immunization: 'vaccineCode',
  MedicationRequest: 'medicationCodeableConcept',
  AllergyIntolerance: 'code',
} as const

/**
 * Records that hospital B wrote down too: the same immunisation, medication and allergy of the patient, under ids of
 * its own and in other words. Where her files have none of a type, there is none.
 */
export function duplicatesFor(records: readonly SourcedResource[], patient: string): SourcedResource[] {
  return DOUBLED.flatMap((type) => {
    // The newest one, so that a grant which begins at a date shows both wordings.
    const first = records
      .filter(
        ({ type: of, owner, resource }) =>
          of === type &&
          owner.kind === 'patient' &&
          owner.name === patient &&
          resource[CONCEPT[type]] !== undefined,
      )
      .sort((x, y) => (dayOf(x.resource) < dayOf(y.resource) ? 1 : -1))[0]
    if (first === undefined) return []
    const resource = JSON.parse(first.text) as Record<string, unknown>
    const id = `b-${first.id}`.slice(0, 64)
    const concept = resource[CONCEPT[type]] as { text?: string; coding?: { display?: string }[] }
    const words = concept.text ?? concept.coding?.[0]?.display ?? type
    const doubled = {
      ...resource,
      id,
      text: undefined,
      encounter: undefined,
      context: undefined,
      [CONCEPT[type]]: { ...concept, text: `${words} (as told by the patient)` },
    }
    return [
      {
        ...first,
        id,
        recordId: `${type}/${id}`,
        resource: doubled as unknown as SourcedResource['resource'],
        text: JSON.stringify(doubled),
      },
    ]
  })
}

function dayOf(resource: SourcedResource['resource']): string {
  return String(resource['authoredOn'] ?? resource['occurrenceDateTime'] ?? resource['recordedDate'] ?? '')
}
