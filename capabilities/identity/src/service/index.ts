export { Claims, type ClaimsParts } from './claims.ts'
export { type CodeContent, type CodeUse, EnrolmentCodes, type Proofing } from './enrolment-codes.ts'
export { Home, type HomeParts, type KnownUnlocker, keyringLeafOf, type StoredKeyring } from './home.ts'
export { ownerOnly } from './home-routes.ts'
export { Hosted, type HostedAccount, type HostedParts } from './hosted.ts'
export { type HostedDraft, HostedGrants, type HostedGrantsParts, hostedDraftForm } from './hosted-grants.ts'
export { Links, type LinksParts, type RegisteredLink } from './links.ts'
export { Matching, type MatchingParts } from './matching.ts'
export { NOTICE_KINDS, type Notice, type NoticeKind, Notices } from './notices.ts'
export { type IdentityParts, type IdentityServices, openIdentity } from './open-identity.ts'
export type * from './ports.ts'
export { Recovery, type RecoveryParts } from './recovery.ts'
export { type GrantPackage, type Relayed, type RelayParts, relayPackages, sendToOrg } from './relay.ts'
export { type IdentityRoutesParts, identityRoutes } from './routes.ts'
export { HOLDER_SESSION_MS, HolderSessions, type HolderSessionsParts } from './sessions.ts'
export {
  type NewStaff,
  STAFF_SESSION_MS,
  StaffDesk,
  type StaffDeskParts,
  type StaffMember,
  type StaffSigner,
  type StaffStatus,
} from './staff.ts'
