import { basename, dirname, resolve } from 'node:path'
import { AppError } from '@salus/core'
import type { Clock, Disk, Network, Random } from '@salus/host'

/** The world around a command: given by `main`, replaced by tests. */
export interface Io {
  /** Standard output: results. */
  out(text: string): void
  /** Standard error: progress and errors. */
  err(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  /** Files below an absolute folder. */
  disk(folder: string): Disk
  /** Resolves when the person or the system asks the program to stop. */
  stopped(): Promise<void>
}

/** An absolute path from what a person typed. */
export const pathOf = (io: Io, path: string): string => resolve(io.cwd, path)

/** The bytes of a file that a person named. Throws AppError `FILE_NOT_FOUND`, `FILE_TOO_BIG`. */
export async function readFile(io: Io, path: string, maxBytes = 64 << 20): Promise<Uint8Array> {
  const at = pathOf(io, path)
  const disk = io.disk(dirname(at))
  const stat = await disk.stat(basename(at))
  if (stat === undefined) throw new AppError('FILE_NOT_FOUND', `${path}: there is no such file`)
  if (stat.sizeBytes > maxBytes)
    throw new AppError('FILE_TOO_BIG', `${path}: has ${stat.sizeBytes} bytes, at most ${maxBytes} are read`)
  return (await disk.read(basename(at))) ?? new Uint8Array(0)
}

/** Writes a file that a person named; one that is there is left alone (AppError `FILE_EXISTS`) unless `replace`. */
export async function writeFile(
  io: Io,
  path: string,
  bytes: Uint8Array,
  { replace = false }: { readonly replace?: boolean } = {},
): Promise<void> {
  const at = pathOf(io, path)
  const disk = io.disk(dirname(at))
  if (!replace && (await disk.stat(basename(at))) !== undefined)
    throw new AppError('FILE_EXISTS', `${path}: is there already; name another file or remove it`)
  await disk.write(basename(at), bytes)
}

/** Writes the one document of `--json`. */
export function printJson(io: Io, document: unknown): void {
  io.out(`${JSON.stringify(document, null, 1)}\n`)
}
