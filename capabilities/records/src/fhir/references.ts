import type { LooseResource } from './types.ts'

export interface FoundReference {
  /** `Observation.subject`, `Claim.item[0].encounter[0]`, `Patient.contained[0].managingOrganization`. */
  readonly path: string
  /** As written; undefined for a reference by identifier or display only. */
  readonly reference: string | undefined
  /** Anything beside `reference` (display, identifier, type, extension): what a view cuts away. */
  readonly rest: boolean
  /** The Reference object inside the resource. */
  readonly node: Readonly<Record<string, unknown>>
}

/** Every Reference inside, contained and nested resources too, in document order. */
export declare function walkReferences(resource: LooseResource): FoundReference[]
/** Parts of a literal reference: relative, absolute, with a version; undefined for fragments, urns and queries. */
export declare function parseReference(reference: string): { readonly type: string; readonly id: string; readonly base: string | undefined } | undefined
