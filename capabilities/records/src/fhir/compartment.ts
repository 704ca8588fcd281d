import type { LooseResource, ResourceCompartment } from './types.ts'

export interface Label {
  readonly compartment: ResourceCompartment
  /** The code that decided (`system|code`), where a value set did; else undefined and the type decided. */
  readonly because: string | undefined
}

/** Codes that no value set holds, by system: what the import report shows a steward. */
export type CodeCount = Map<string, Map<string, number>>

/** The label of protocol §2. `unheld`, if given, gains every coding inside that no value set holds. */
export declare function labelOf(resource: LooseResource, unheld?: CodeCount): Label
export declare function compartmentOf(resource: LooseResource): ResourceCompartment
