import { serveChildTask } from '@salus/host/system'
import { auditLedger, type LedgerAudit, type LedgerJob } from './ledger-audit.ts'

// Reading an altered LMDB file may end the process; then only this one ends.
serveChildTask<LedgerJob, LedgerAudit>((job, progress) => auditLedger(job, progress))
