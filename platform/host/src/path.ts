import { AppError } from '@salus/core'

const PATH_MAX = 1_024

/** Parts of a disk path, or `AppError DISK_PATH`. The root is the empty path, allowed only for directories. */
export function pathParts(path: string): string[] {
  if (path === '') return []
  const parts = path.split('/')
  const bad =
    path.length > PATH_MAX ||
    parts.some((part) => part === '' || part === '.' || part === '..' || /[\\\0]/.test(part))
  if (bad)
    throw new AppError(
      'DISK_PATH',
      'path must be relative, parts joined by "/", without ".", ".." or empty parts',
      { path },
    )
  return parts
}

/** As `pathParts`, for a path that must name a file. */
export function filePath(path: string): string {
  if (pathParts(path).length === 0)
    throw new AppError('DISK_PATH', 'path must name a file, not the root', { path })
  return path
}

/** The directory of a path; the root is ''. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
