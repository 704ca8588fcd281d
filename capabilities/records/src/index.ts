export {
  type Archive,
  type ArchiveVersion,
  archiveText,
  MAX_ARCHIVE_CHARACTERS,
  mergedArchive,
  readArchive,
} from './archive/archive-format.ts'
export { type ExportParts, exportArchive } from './archive/export-archive.ts'
export { type ArchiveImportParts, type ArchiveReport, importArchive } from './archive/import-archive.ts'
export * from './chart/chart.ts'
export * from './chart/reconcile.ts'
export * from './custody/custody-store.ts'
export * from './custody/rows.ts'
export {
  Erasure,
  type ErasureParts,
  type ErasureReceipts,
  type ErasureResult,
  type IssuedReceipt,
  type Retention,
} from './erasure/erasure.ts'
export { type Marker, markerOf } from './erasure/markers.ts'
export { replayMarkers } from './erasure/replay-markers.ts'
export { resumeRotations } from './erasure/rotation.ts'
export * from './index/catch-up.ts'
export * from './index/token-index.ts'
export { type GeneratedRecord, storeGenerated } from './ingest/generated.ts'
export * from './ingest/ingest.ts'
export { houseOwner } from './ingest/owner-cache.ts'
export {
  type Prepared,
  type PrepareInput,
  type PrepareOutput,
  prepare,
  type Rejected,
} from './ingest/prepare.ts'
export { type CompartmentTarget, versionLeaf } from './ingest/seal-version.ts'
export { type OwnRoutesParts, ownRoutes } from './own-record/own-routes.ts'
export {
  type OwnRecordParts,
  type OwnVersionForm,
  ownVersionForm,
  storeOwnVersion,
} from './own-record/patient-made.ts'
export * from './owner-keys.ts'
export * from './owner-wraps.ts'
export { packCode, unpackCode } from './packed-codes.ts'
export * from './patient-search.ts'
export * from './record-reader.ts'
export * from './record-source.ts'
export * from './repository/access.ts'
export { fhirErrorForm, fhirRoutes } from './repository/fhir-routes.ts'
export { type RepositoryParts, SalusRepository, withRepository } from './repository/salus-repository.ts'
export * from './routes.ts'
export type { SealedLabels } from './sealed-labels.ts'
