import type { AuditReport } from './audit-directory.ts'
export async function auditNode(_: unknown): Promise<AuditReport> {
  throw new Error('soon')
}
