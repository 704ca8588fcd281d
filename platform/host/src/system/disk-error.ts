import { AppError } from '@salus/core'

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** The operating system's error in this project's words. `path` is relative to the disk's root. */
export function diskError(error: unknown, path: string): AppError {
  if (error instanceof AppError) return error
  const code = codeOf(error)
  const about = { path, ...(code === undefined ? {} : { system: code }) }
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AppError('DISK_FULL', 'no space left on the disk; free some and try again', about, {
      cause: error,
    })
  if (code === 'ENOENT')
    return new AppError('DISK_NOT_FOUND', 'no file at this path', about, { cause: error })
  if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'EEXIST' || code === 'ENOTEMPTY')
    return new AppError('DISK_PATH', 'a file is where a directory should be, or the other way round', about, {
      cause: error,
    })
  return new AppError(
    'DISK_IO',
    `the disk refused (${code ?? 'unknown'}); check its health and permissions`,
    about,
    { cause: error },
  )
}
