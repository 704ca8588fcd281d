import {
  badRequest,
  forbidden,
  gone,
  notFound,
  OperationOutcomeError,
  preconditionFailed,
} from '@medplum/core'
import type { OperationOutcome } from '@medplum/fhirtypes'
import { AppError } from '@salus/core'
import type { Issue } from '../fhir/index.ts'

/** Not here, and not for you: one answer, so that none tells of what exists. */
export const noSuchRecord = () => new OperationOutcomeError(notFound)
export const deletedRecord = () => new OperationOutcomeError(gone)
export const mayNotWrite = () => new OperationOutcomeError(forbidden)
export const otherVersion = () => new OperationOutcomeError(preconditionFailed)
export const badInput = (text: string, path?: string) => new OperationOutcomeError(badRequest(text, path))

/** What this server does not do yet, said as such instead of being ignored. */
export function unsupported(text: string): OperationOutcomeError {
  return new OperationOutcomeError({
    resourceType: 'OperationOutcome',
    id: 'not-supported',
    issue: [{ severity: 'error', code: 'not-supported', diagnostics: text, details: { text } }],
  })
}

const ISSUE_CODES: Readonly<Record<string, 'structure' | 'value' | 'invariant' | 'code-invalid'>> = {
  VALUE: 'value',
  INVARIANT: 'invariant',
  REQUIRED_CODE: 'code-invalid',
}

/** Issues of validation; none repeats a value. */
export function invalidResource(issues: readonly Issue[]): OperationOutcomeError {
  return new OperationOutcomeError({
    resourceType: 'OperationOutcome',
    issue: issues.map(({ code, path, message, mend }) => ({
      severity: 'error',
      code: ISSUE_CODES[code] ?? 'structure',
      details: { text: `${message} ${mend}` },
      diagnostics: `${path}: ${message} ${mend}`,
      ...(path === '' ? {} : { expression: [path] }),
    })),
  })
}

const CODES: Readonly<
  Record<string, 'conflict' | 'invalid' | 'too-long' | 'throttled' | 'transient' | 'no-store'>
> = {
  CONFLICT: 'conflict',
  OTHER_PATIENT: 'conflict',
  OWNER_ERASED: 'conflict',
  TOO_BIG: 'too-long',
  WORKERS_BUSY: 'throttled',
  LEDGER_STALE: 'transient',
  DISK_FULL: 'no-store',
}

/** An `AppError` in the form of FHIR; anything else goes on as it is. */
export function asOutcome(error: unknown): unknown {
  if (!(error instanceof AppError)) return error
  if (error.code === 'CONFLICT') return otherVersion()
  const outcome: OperationOutcome = {
    resourceType: 'OperationOutcome',
    issue: [
      {
        severity: 'error',
        code: CODES[error.code] ?? 'invalid',
        details: { text: error.message },
        diagnostics: error.message,
      },
    ],
  }
  return new OperationOutcomeError(outcome)
}
