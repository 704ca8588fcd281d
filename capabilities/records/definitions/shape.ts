/** The shape of `r4.json`: tables of rows that refer to each other by index. */
export interface SlimDefinitions {
  readonly source: string
  /** key, FHIRPath expression, text. Severity error only. */
  readonly constraints: readonly (readonly [key: string, expression: string, human: string])[]
  readonly types: readonly (readonly TypeRow[])[]
  readonly elements: readonly ElementRow[]
  readonly structures: Readonly<Record<string, Structure>>
  readonly searchParameters: readonly SearchRow[]
  /** Search parameters by which a type belongs to a patient. */
  readonly patientCompartment: Readonly<Record<string, readonly string[]>>
  /** Value set (with version) → system → codes; `true` where any code of the system is allowed. */
  readonly valueSets: Readonly<Record<string, Readonly<Record<string, readonly string[] | true>>>>
}

/** Type code, then the types a Reference may lead to. */
export type TypeRow = readonly [code: string, ...targets: string[]]

/** `content` is the path that a contentReference leads to; `flags`: 1 summary, 2 modifier. Missing ends are empty. */
export type ElementRow = readonly [
  path: string,
  min: number,
  max: string,
  types: number,
  constraints?: readonly number[],
  binding?: string,
  content?: string,
  flags?: number,
  baseMax?: string,
]

export interface Structure {
  readonly type: string
  readonly kind: string
  readonly abstract: boolean
  readonly elements: readonly number[]
}

export interface SearchRow {
  readonly id: string
  readonly code: string
  readonly base: readonly string[]
  readonly type: string
  readonly expression: string
  readonly target?: readonly string[]
  /** Parts of a composite; `definition` is the id of a search parameter. */
  readonly component?: readonly { readonly definition: string; readonly expression: string }[]
}
