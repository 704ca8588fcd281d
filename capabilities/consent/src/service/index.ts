export { Custodian, type CustodianParts } from './custodian.ts'
export { type GrantRole, GrantStore, type StoredGrant } from './grant-store.ts'
export { type Asker, type CustodianTransport, Grantee, type GranteeParts, refused } from './grantee.ts'
export { type LeasedVersion, Leases } from './leases.ts'
export type {
  Access,
  AccessLog,
  ConsentKeys,
  ConsentLedger,
  LinkRegistry,
  LoggedAccess,
  OrganisationKeysView,
} from './ports.ts'
