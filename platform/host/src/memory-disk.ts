import { AppError, assert } from '@salus/core'
import type { AppendFile, Disk } from './disk.ts'
import { filePath, parentOf, pathParts } from './path.ts'
import type { Random } from './random.ts'

/** A disk in memory that can lose power, fill up and be tampered with: the twin for tests and simulation. */
export interface MemoryDisk extends Disk {
  /** Changes made so far (append, sync, truncate, write, overwrite, remove, rename): the steps `stopAfter` counts. */
  readonly changes: number
  /**
   * Power is lost after `count` more changes: the next one fails half-done and everything after it fails
   * too (`AppError DISK_IO`), until `crash()`.
   */
  stopAfter(count: number): void
  /**
   * Power is lost and comes back: handles die, locks end, what was not durable is gone. With `tear`, an
   * arbitrary part of what was not durable survives, some of it as garbage.
   */
  crash(options?: { readonly tear?: Random }): void
  /** From now on only `freeBytes` more fit; more is `DISK_FULL`. `Infinity` makes room again. */
  fill(freeBytes?: number): void
  /** Flips bits of one byte at rest, as a tamperer or a bad sector would. */
  corrupt(path: string, offset: number, mask?: number): void
  /** Every file and its present bytes, sorted by path. */
  files(): [path: string, bytes: Uint8Array][]
}

const BLOCK_BYTES = 4_096

interface Content {
  bytes: Uint8Array<ArrayBuffer>
  size: number
  /** What a crash leaves; undefined before the first sync, when the name itself is not durable. */
  durable: Uint8Array | undefined
}

export function memoryDisk(): MemoryDisk {
  const files = new Map<string, Content>()
  const dirs = new Set<string>([''])
  const locks = new Set<string>()
  let life = 0
  let changes = 0
  let changesLeft = Number.POSITIVE_INFINITY
  let freeBytes = Number.POSITIVE_INFINITY

  const present = (file: Content) => file.bytes.subarray(0, file.size)
  const notFound = (path: string) => new AppError('DISK_NOT_FOUND', 'no file at this path', { path })
  const stopped = () => new AppError('DISK_IO', 'the disk stopped')

  function alive(): void {
    if (changesLeft < 0) throw stopped()
  }
  /** Counts a change; `half` is what has happened of it when power goes. */
  function change(half: () => void = () => undefined): void {
    alive()
    changes++
    if (--changesLeft < 0) {
      half()
      throw stopped()
    }
  }
  function reserve(growthBytes: number): void {
    if (growthBytes > freeBytes)
      throw new AppError('DISK_FULL', 'no space left on the disk; free some and try again', { growthBytes })
    freeBytes -= Math.max(0, growthBytes)
  }
  function addDirs(path: string): void {
    const parts = pathParts(path)
    for (let depth = 1; depth <= parts.length; depth++) {
      const dir = parts.slice(0, depth).join('/')
      if (files.has(dir)) throw new AppError('DISK_PATH', 'a part of the path is a file', { path })
      dirs.add(dir)
    }
  }
  function place(path: string, bytes: Uint8Array): void {
    if (dirs.has(path)) throw new AppError('DISK_PATH', 'the path is a directory', { path })
    addDirs(parentOf(path))
    const copy = new Uint8Array(bytes)
    files.set(path, { bytes: copy, size: copy.length, durable: new Uint8Array(copy) })
  }
  function grow(file: Content, more: Uint8Array): void {
    if (file.size + more.length > file.bytes.length) {
      const bigger = new Uint8Array(Math.max(256, 2 * (file.size + more.length)))
      bigger.set(present(file))
      file.bytes = bigger
    }
    file.bytes.set(more, file.size)
    file.size += more.length
  }
  function sync(file: Content): void {
    file.durable = new Uint8Array(present(file))
  }
  const under = (path: string, dir: string) => dir === '' || path === dir || path.startsWith(`${dir}/`)

  function handle(file: Content, path: string): AppendFile {
    const bornIn = life
    let closed = false
    const use = () => {
      if (closed || bornIn !== life) throw new AppError('DISK_CLOSED', 'the file is closed', { path })
    }
    return {
      get size() {
        return file.size
      },
      async append(bytes) {
        use()
        const before = freeBytes
        reserve(bytes.length)
        try {
          change(() => grow(file, bytes.subarray(0, bytes.length >> 1)))
        } catch (error) {
          freeBytes = before
          throw error
        }
        grow(file, bytes)
      },
      async sync() {
        use()
        change()
        sync(file)
      },
      async truncate(sizeBytes) {
        use()
        if (sizeBytes > file.size || sizeBytes < 0)
          throw new AppError('DISK_RANGE', 'truncate cannot grow a file', { path, sizeBytes })
        change()
        freeBytes += file.size - sizeBytes
        file.size = sizeBytes
        sync(file)
      },
      async close() {
        closed = true
      },
    }
  }

  return {
    get changes() {
      return changes
    },
    async read(path) {
      alive()
      const file = files.get(filePath(path))
      return file && new Uint8Array(present(file))
    },
    async readRange(path, offset, lengthBytes) {
      alive()
      const file = files.get(filePath(path))
      if (!file) throw notFound(path)
      return new Uint8Array(present(file).subarray(offset, offset + lengthBytes))
    },
    async write(path, bytes) {
      const old = files.get(filePath(path))
      alive()
      reserve(bytes.length - (old?.size ?? 0))
      change()
      place(path, bytes)
    },
    async openAppend(path) {
      alive()
      if (dirs.has(filePath(path))) throw new AppError('DISK_PATH', 'the path is a directory', { path })
      let file = files.get(path)
      if (!file) {
        addDirs(parentOf(path))
        file = { bytes: new Uint8Array(0), size: 0, durable: undefined }
        files.set(path, file)
      }
      return handle(file, path)
    },
    async overwrite(path, offset, bytes) {
      const file = files.get(filePath(path))
      if (!file) throw notFound(path)
      if (offset < 0 || offset + bytes.length > file.size)
        throw new AppError('DISK_RANGE', 'overwrite must stay within the file', {
          path,
          offset,
          sizeBytes: file.size,
        })
      const put = (part: Uint8Array) => {
        file.bytes.set(part, offset)
        file.durable?.set(part.subarray(0, Math.max(0, file.durable.length - offset)), offset)
      }
      change(() => put(bytes.subarray(0, bytes.length >> 1)))
      put(bytes)
      if (!file.durable || file.durable.length < offset + bytes.length) sync(file)
    },
    async list(dir) {
      alive()
      const depth = pathParts(dir).length
      const names = new Set<string>()
      for (const path of files.keys()) {
        if (!under(path, dir) || path === dir) continue
        const parts = path.split('/')
        names.add(parts.length > depth + 1 ? `${parts[depth]}/` : `${parts[depth]}`)
      }
      for (const path of dirs) if (path !== dir && under(path, dir)) names.add(`${path.split('/')[depth]}/`)
      return [...names].sort()
    },
    async stat(path) {
      alive()
      const file = files.get(filePath(path))
      return (
        file && { sizeBytes: file.size, allocatedBytes: Math.ceil(file.size / BLOCK_BYTES) * BLOCK_BYTES }
      )
    },
    async remove(path) {
      filePath(path)
      change()
      for (const [name, file] of [...files]) {
        if (!under(name, path)) continue
        freeBytes += file.size
        files.delete(name)
      }
      for (const dir of [...dirs]) if (under(dir, path)) dirs.delete(dir)
    },
    async makeDir(path) {
      alive()
      addDirs(path)
    },
    async rename(from, to) {
      filePath(from)
      filePath(to)
      const moving = [...files].filter(([name]) => under(name, from))
      if (moving.length === 0 && !dirs.has(from)) throw notFound(from)
      if (dirs.has(to) || under(to, from))
        throw new AppError('DISK_PATH', 'cannot rename onto a directory or into itself', { from, to })
      change()
      addDirs(parentOf(to))
      for (const [name, file] of moving) {
        files.delete(name)
        files.set(to + name.slice(from.length), file)
      }
      for (const dir of [...dirs]) {
        if (!under(dir, from)) continue
        dirs.delete(dir)
        dirs.add(to + dir.slice(from.length))
      }
    },
    async lock(path) {
      alive()
      filePath(path)
      if (locks.has(path))
        throw new AppError('DISK_LOCKED', 'another process holds this lock; stop it first', { path })
      locks.add(path)
      const bornIn = life
      return {
        async release() {
          if (bornIn === life) locks.delete(path)
        },
      }
    },
    stopAfter(count) {
      changesLeft = count
    },
    crash({ tear } = {}) {
      life++
      locks.clear()
      changesLeft = Number.POSITIVE_INFINITY
      for (const [path, file] of [...files]) {
        const left = afterPowerLoss(file, tear)
        freeBytes += file.size - (left?.length ?? 0)
        if (left)
          files.set(path, { bytes: new Uint8Array(left), size: left.length, durable: new Uint8Array(left) })
        else files.delete(path)
      }
    },
    fill(free = 0) {
      freeBytes = free
    },
    corrupt(path, offset, mask = 0xff) {
      const file = files.get(path)
      assert(file && offset < file.size, `corrupt: no byte ${offset} in ${path}`)
      for (const bytes of [file.bytes, file.durable])
        if (bytes && offset < bytes.length) bytes[offset] = (bytes[offset] ?? 0) ^ mask
    },
    files: () =>
      [...files]
        .map(([path, file]): [string, Uint8Array] => [path, new Uint8Array(present(file))])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
  }
}

/** What a file holds after power loss, or undefined when its name was never durable. */
function afterPowerLoss({ bytes, size, durable }: Content, tear: Random | undefined): Uint8Array | undefined {
  if (!tear) return durable
  const kept = durable?.length ?? 0
  if (size <= kept) return durable
  const dice = (max: number) => {
    const [a = 0, b = 0, c = 0, d = 0] = tear(4)
    return (a * 16_777_216 + b * 65_536 + c * 256 + d) % (max + 1)
  }
  if (!durable && dice(1) === 0) return undefined
  const left = new Uint8Array(bytes.subarray(0, kept + dice(size - kept)))
  // Blocks reach the platter in any order: a later one may be there while an earlier one still reads as before.
  if (left.length > kept && dice(2) === 0) {
    const from = kept + dice(left.length - kept - 1)
    left.set(tear(left.length - from), from)
  }
  return left
}
