export { auditVault, type Found, type VaultAudit } from './audit.ts'
export { LARGE_OBJECT_BYTES, MAX_OBJECT_BYTES, Vault, type VaultOptions } from './vault.ts'
export type { Damage, ObjectStore, ScrubReport, VaultObject, VaultStats } from './vault-types.ts'
