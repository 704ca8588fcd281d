export {
  fetchObjects,
  heldVersion,
  listOwnVersions,
  type OpenedOwnVersion,
  type OwnVersion,
  openOwnVersions,
} from './own-record.ts'
