export { consent } from './consent.ts'
export { HOUR_MS, isLedgerIdOf, ledgerIdOf, roundUpToHour } from './ids.ts'
export { consentSchema, EMERGENCY_MAX_MS, EMERGENCY_REVIEW_MS } from './schema.ts'
export { type ControlledState, controlledStateAt, type GlassState, glassStateAt } from './states.ts'
