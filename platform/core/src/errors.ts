/** What may travel with an error: never health data, keys or plaintext. */
export type ErrorData = Readonly<Record<string, unknown>>

/**
 * An operating error: something outside the program's control was not as required.
 * `code` is stable and part of the interface; `message` names the field, the rule and the mend.
 */
export class AppError extends Error {
  readonly code: string
  readonly data: ErrorData

  constructor(code: string, message: string, data: ErrorData = {}, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'AppError'
    this.code = code
    this.data = data
  }
}

/** A broken invariant inside the program. Nothing may catch it and go on. */
export class Bug extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Bug'
  }
}

/** Throws Bug unless `condition` holds. For invariants, never for checking input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Bug(message)
}

/** True for an AppError, of that code if one is given. */
export function isAppError(error: unknown, code?: string): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}
