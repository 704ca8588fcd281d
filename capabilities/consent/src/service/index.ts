export { accessRequestRoutes } from './access-request-routes.ts'
export { AccessRequests, type AccessRequestsParts, NO_GRANT_ANSWER } from './access-requests.ts'
export type { StaffSigner, SummaryAnswer } from './ask-summaries.ts'
export { BreakGlass, type BreakGlassParts, type GlassLine, type GlassView } from './break-glass.ts'
export { Custodian, type CustodianParts } from './custodian.ts'
export { type Acting, Delegations, type DelegationsParts } from './delegations.ts'
export { EmergencyChoiceStore, emergencyChoiceRoutes } from './emergency-choices.ts'
export { EmergencyDesk, type EmergencyDeskParts, type ReadCredential } from './emergency-desk.ts'
export { emergencyRoutes } from './emergency-routes.ts'
export { EmergencyStore } from './emergency-store.ts'
export { EmergencySummaries, type SummaryRecords } from './emergency-summaries.ts'
export { type AskedRequest, type GrantRole, GrantStore, type StoredGrant } from './grant-store.ts'
export {
  type Answered,
  type Asker,
  type CustodianTransport,
  Grantee,
  type GranteeParts,
  type Question,
  type ReleaseEvent,
  refused,
} from './grantee.ts'
export { type LeasedVersion, Leases } from './leases.ts'
export type { OpenedRecord } from './open-items.ts'
export type { NoticeBoard, PatientDesk, Person } from './patient-ports.ts'
export type {
  Access,
  AccessLog,
  ConsentKeys,
  ConsentLedger,
  LinkRegistry,
  LoggedAccess,
  OrganisationKeysView,
} from './ports.ts'
export { openRecalled, type Recalled, signRecalled } from './recall.ts'
export { type ConsentRoutesParts, consentRoutes } from './routes.ts'
export { type OrgWire, type OrgWireParts, orgWire, withTimeout } from './transport.ts'
