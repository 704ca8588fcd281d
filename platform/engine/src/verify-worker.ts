import { serveTasks } from '@salus/host/system'
import { type VerifyAnswer, type VerifyJob, verifyJob } from './verify-pool.ts'

// Runs in a worker thread: signatures only, no state.
serveTasks<VerifyJob, VerifyAnswer>(verifyJob)
