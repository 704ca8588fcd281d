import type { CapabilityStatement } from '@medplum/fhirtypes'
import { RESOURCE_TYPES, searchParametersOf } from '../fhir/definitions.ts'

const INTERACTIONS = [
  'read',
  'vread',
  'update',
  'patch',
  'delete',
  'history-instance',
  'create',
  'search-type',
] as const

/** What this server does, made from what it does. `date` is that of the last change to its abilities. */
export function capabilityStatement(): CapabilityStatement {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-11-22',
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['application/fhir+json'],
    patchFormat: ['application/json-patch+json'],
    implementation: { description: "One organisation's own records, sealed at rest, every access logged" },
    rest: [
      {
        mode: 'server',
        documentation:
          'Searches cover one patient, named by the search, or the directory. Totals are given on request (_total=accurate) and count what may be seen. Not supported: chains and _has, _summary and _elements, XML, GraphQL, FHIRPath Patch, searches over all patients.',
        security: {
          description: 'Bearer tokens of this server; the header x-purpose names the purpose of use',
        },
        interaction: [{ code: 'transaction' }, { code: 'batch' }],
        resource: [...RESOURCE_TYPES].sort().map((type) => ({
          type: type as 'Patient',
          versioning: 'versioned-update' as const,
          readHistory: true,
          updateCreate: true,
          conditionalCreate: true,
          conditionalUpdate: true,
          conditionalDelete: 'single' as const,
          interaction: INTERACTIONS.filter((code) => code !== 'delete' || type !== 'Patient').map((code) => ({
            code,
          })),
          searchParam: [...searchParametersOf(type).values()]
            .filter((parameter) => (parameter.type as string) !== 'special')
            .map(({ code, type: kind }) => ({ name: code as string, type: kind as 'token' })),
        })),
      },
    ],
  }
}
