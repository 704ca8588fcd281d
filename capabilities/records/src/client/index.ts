export {
  fetchObjects,
  heldVersion,
  listOwnVersions,
  type OpenedOwnVersion,
  type OpenSections,
  type OwnVersion,
  openOwnVersions,
} from './own-record.ts'
export { type OwnEntry, ownLeafSalt, sealOwnEntry, storeOwnEntry } from './patient-made.ts'
