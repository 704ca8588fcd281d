/**
 * Files below one root. Paths are relative, parts joined by `/`, without `.`, `..`, empty parts or `\`
 * (`AppError DISK_PATH`). Missing parent directories are made on the way.
 *
 * "Durable" means: still there after power is lost. `write`, `overwrite`, `rename`, `remove` and
 * `truncate` are durable when they resolve; appended bytes are durable after `sync`.
 *
 * Errors, all `AppError`: `DISK_FULL` (nothing half-written), `DISK_NOT_FOUND`, `DISK_PATH`,
 * `DISK_LOCKED`, `DISK_RANGE`, `DISK_CLOSED`, `DISK_IO` (after a failed `sync` the file's handle refuses everything:
 * what reached the platter is unknown, so open again and check).
 */
export interface Disk {
  /** The whole file, or undefined when there is none. */
  read(path: string): Promise<Uint8Array | undefined>
  /** Bytes from `offset`; fewer than `lengthBytes` only where the file ends. No file: `DISK_NOT_FOUND`. */
  readRange(path: string, offset: number, lengthBytes: number): Promise<Uint8Array>
  /** Replaces the whole file atomically: readers and a crash see the old bytes or the new ones. */
  write(path: string, bytes: Uint8Array): Promise<void>
  /** Opens for appending, and makes the file when there is none (durable with its first `sync`). */
  openAppend(path: string): Promise<AppendFile>
  /** Replaces bytes in place, within the file's size (else `DISK_RANGE`). Not atomic: a crash may leave a part. */
  overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void>
  /** Names in a directory, sorted by code unit, directories with a trailing `/`. No directory: empty. */
  list(dir: string): Promise<string[]>
  /** Size of a file, and what it really occupies. Undefined when there is none, or it is a directory. */
  stat(path: string): Promise<DiskStat | undefined>
  /** Removes a file, or a directory with all it holds. Nothing there is not an error. */
  remove(path: string): Promise<void>
  /** Makes a directory and its parents. Already there is not an error. */
  makeDir(path: string): Promise<void>
  /** Moves a file or directory, replacing a file at `to`. No `from`: `DISK_NOT_FOUND`. */
  rename(from: string, to: string): Promise<void>
  /**
   * Takes the exclusive lock at `path`, or `DISK_LOCKED` at once when another live holder, in this process
   * or any other on this machine, has it. It ends with `release` or with the process, however it dies.
   * The lock's file stays; nothing else may touch it.
   */
  lock(path: string): Promise<DiskLock>
}

export interface DiskLock {
  /** Gives the lock back. Twice is not an error. */
  release(): Promise<void>
}

export interface DiskStat {
  readonly sizeBytes: number
  /** Space taken on the device, in bytes (blocks, not content). */
  readonly allocatedBytes: number
}

/** A file that grows. Calls take effect in the order they are made, also when not awaited one by one. */
export interface AppendFile {
  /** Size in bytes with every append accepted so far. */
  readonly size: number
  /** Adds bytes at the end; they are visible to `read` when this resolves, durable only after `sync`. */
  append(bytes: Uint8Array): Promise<void>
  /** Makes everything appended before this call durable. */
  sync(): Promise<void>
  /** Cuts the file to `sizeBytes` (≤ size, else `DISK_RANGE`), durably. */
  truncate(sizeBytes: number): Promise<void>
  /** Closes the handle; bytes not synced stay as they are. Twice is not an error. */
  close(): Promise<void>
}
