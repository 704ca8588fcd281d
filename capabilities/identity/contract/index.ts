export { identity } from './identity.ts'
export { identitySchema, RECOVERY_DELAY_MS } from './schema.ts'
export { type RecoveryState, recoveryStateAt } from './states.ts'
