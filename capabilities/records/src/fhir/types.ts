/** A resource read from JSON whose type is known and whose content is not yet checked. */
export interface LooseResource {
  readonly resourceType: string
  readonly id?: string
  readonly [member: string]: unknown
}

/**
 * What is wrong with a resource. `path` names elements and indexes only (`Patient.contact[0].gender`);
 * neither it nor `message` nor `mend` repeats a value, because values are health data.
 */
export interface Issue {
  readonly code: IssueCode
  readonly path: string
  readonly message: string
  readonly mend: string
}

export type IssueCode =
  | 'NOT_JSON'
  | 'NOT_A_RESOURCE'
  | 'NOT_A_RECORD'
  | 'TOO_BIG'
  | 'TOO_DEEP'
  | 'DUPLICATE_MEMBER'
  | 'UNKNOWN_TYPE'
  | 'INVALID_ID'
  | 'DUPLICATE_ID'
  | 'STRUCTURE'
  | 'VALUE'
  | 'INVARIANT'
  | 'REQUIRED_CODE'

/**
 * The compartments of protocol §2 that a record can be in. `emergency` holds generated summaries and nothing else: no
 * resource that arrives is labelled so. `audit` holds no record.
 */
export type ResourceCompartment =
  | 'general'
  | 'medication'
  | 'labs'
  | 'imaging'
  | 'financial'
  | 'mental'
  | 'substance'
  | 'sexual-reproductive'
  | 'genetics'
  | 'notes'
  | 'patient-made'
  | 'emergency'

export function issue(code: IssueCode, path: string, message: string, mend: string): Issue {
  return { code, path, message, mend }
}
