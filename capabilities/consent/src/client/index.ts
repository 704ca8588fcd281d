export { showMandate } from './delegation.ts'
export { type Choices, type DeviceContext, type Draft, draftTerms, withController } from './draft-terms.ts'
export { grantRow, grantsAt, type HeldGrant, listGrants, type OwnGrant } from './list-grants.ts'
export {
  deliverGrant,
  type GrantPackage,
  type MadeGrant,
  makeGrant,
  type Revoked,
  revokeGrant,
} from './make-grant.ts'
export { type OrganisationCard, organisationOf } from './organisation.ts'
export { checkPreview, previewGrant, previewState, type SignedPreview } from './preview-grant.ts'
export { relinkGrants } from './relink-grants.ts'
