export type RecoveryState = 'armed' | 'started' | 'complete'

/** Completion is evaluated, never written: from `readyMs` on, uncancelled. Protocol §§6, 11. */
export function recoveryStateAt(
  row: { readonly startedMs?: number | undefined; readonly readyMs?: number | undefined },
  timeMs: number,
): RecoveryState {
  if (row.startedMs === undefined || row.readyMs === undefined) return 'armed'
  return timeMs < row.readyMs ? 'started' : 'complete'
}
