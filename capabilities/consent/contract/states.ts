import { EMERGENCY_REVIEW_MS } from './schema.ts'

/** What a grant's or a delegation's row says about time; expiry is evaluated, never written. Protocol §11. */
export interface Controlled {
  readonly na: number
  readonly revokedMs?: number | undefined
}

export type ControlledState = 'active' | 'revoked' | 'expired'

/** A withdrawal counts from its own block time on, so that questions about the past stay answerable. */
export function controlledStateAt(row: Controlled, timeMs: number): ControlledState {
  if (row.revokedMs !== undefined && timeMs >= row.revokedMs) return 'revoked'
  return timeMs < row.na ? 'active' : 'expired'
}

export interface Glass {
  readonly na: number
  readonly reviewedMs?: number | undefined
}

export type GlassState = 'open' | 'ended' | 'overdue' | 'reviewed'

/** A review does not close an open glass early; it only settles it. */
export function glassStateAt(row: Glass, timeMs: number): GlassState {
  if (row.reviewedMs !== undefined && timeMs >= row.reviewedMs) return 'reviewed'
  if (timeMs < row.na) return 'open'
  return timeMs < row.na + EMERGENCY_REVIEW_MS ? 'ended' : 'overdue'
}
