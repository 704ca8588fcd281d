/**
 * FHIR R4 without stores: pure, synchronous, nothing injected; runs in worker threads and browsers.
 *
 * One resource's way in: `readFile` → `validate` → `ownerOf` → `labelOf` → `searchTokens` → `storedText`.
 */

export { type CodeCount, compartmentOf, type Label, labelOf } from './compartment.ts'
export { clinicalDates, type DateRange, dateRange } from './dates.ts'
export { structureDefinition } from './definitions.ts'
export { type Directory, directoryOf } from './directory.ts'
export type { FileForm, SourceFile } from './file-entries.ts'
export {
  type Dangling,
  danglingReferences,
  type FileScan,
  type FoundResource,
  type Identity,
  isSourceName,
  type Rejection,
  readFile,
  scanFile,
} from './files.ts'
export { type ExactJson, LIMITS, type ParsedJson, parseJson, serialise, storedText } from './json.ts'
export { type Owner, ownerOf } from './owner.ts'
export { type FoundReference, parseReference, walkReferences } from './references.ts'
export { matchesSearch } from './search-match.ts'
export { parseSearch } from './search-parse.ts'
export { queryTokens, searchTokens, typeToken } from './search-values.ts'
export type { Issue, IssueCode, LooseResource, ResourceCompartment } from './types.ts'
export { isKnownType, validate } from './validate.ts'
