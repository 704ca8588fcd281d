import { AppError, equal, type Random } from '@salus/core'
import type { AppendFile, Clock, Disk, DiskLock, Timer } from '@salus/host'
import { checkName } from './key-names.ts'
import { destroyFile, generationFile, generations } from './keystore-files.ts'
import {
  decodeFrames,
  decodeHeader,
  encodeFrame,
  encodeHeader,
  type FrameKeys,
  type KeyChange,
  keystoreContext,
} from './keystore-format.ts'
import type { RootProvider } from './root-provider.ts'

/** A key is at most this long. */
export const KEY_MAX_BYTES = 4_096
/** After this much idle time the last entry is proven by an empty one (keystore-format.ts). */
const SEAL_AFTER_MS = 1_000

export interface KeystoreOptions {
  readonly disk: Disk
  /** Folder of the keystore, for it alone. */
  readonly path: string
  readonly root: RootProvider
  readonly random: Random
  readonly clock: Clock
}

export interface NamedKey {
  readonly name: string
  /** 1 B to 4 KiB; 32 B as a rule. */
  readonly key: Uint8Array
}

/** What a receipt says about keys that a rotation ended. */
export interface Rotation {
  readonly generation: number
  /** How many deleted keys can no longer be had from this keystore. */
  readonly destroyed: number
  readonly how: RootProvider['destroys']
}

interface Generation extends FrameKeys {
  readonly number: number
  readonly file: AppendFile
  nextSeq: number
  sealed: boolean
}

interface Waiting {
  readonly changes: readonly KeyChange[]
  readonly resolve: (changed: number) => void
  readonly reject: (error: unknown) => void
}

/**
 * An organisation's keys (`docs/spec/keys.md`): in memory while the node runs, on disk under a key (`KSK`) that the
 * root provider wraps. Only one process at a time. Use `Keystore.open` and `close`.
 */
export class Keystore {
  readonly #options: KeystoreOptions
  readonly #lock: DiskLock
  readonly #keystoreId: Uint8Array
  readonly #keys: Map<string, Uint8Array>
  #root: RootProvider
  #current: Generation
  #deleted: number
  #waiting: Waiting[] = []
  #work: Promise<unknown> = Promise.resolve()
  #sealTimer: Timer | undefined
  #closed = false
  #broken: unknown

  private constructor(fields: { options: KeystoreOptions; lock: DiskLock; loaded: Loaded }) {
    this.#options = fields.options
    this.#root = fields.options.root
    this.#lock = fields.lock
    this.#keystoreId = fields.loaded.keystoreId
    this.#keys = fields.loaded.keys
    this.#current = fields.loaded.current
    this.#deleted = fields.loaded.deleted
  }

  /**
   * Opens the keystore, makes it if there is none; completes a rotation that a crash interrupted.
   * Errors: DISK_LOCKED, ROOT_KEY_WRONG, KEYSTORE_ALTERED, KEYSTORE_NEWER.
   */
  static async open(options: KeystoreOptions): Promise<Keystore> {
    const lock = await options.disk.lock(`${options.path}/lock`)
    try {
      return new Keystore({ options, lock, loaded: await load(options) })
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** From 1; rises with each rotation. */
  get generation(): number {
    return this.#current.number
  }

  get keystoreId(): Uint8Array {
    return this.#keystoreId.slice()
  }

  get size(): number {
    return this.#keys.size
  }

  /** Keys that were deleted and whose bytes this generation's file still has, sealed: rotate when above 0. */
  get deletedSinceRotation(): number {
    return this.#deleted
  }

  get root(): RootProvider {
    return this.#root
  }

  /** A copy of a key, or undefined. */
  get(name: string): Uint8Array | undefined {
    return this.#keys.get(name)?.slice()
  }

  has(name: string): boolean {
    return this.#keys.has(name)
  }

  /** Names that begin with `prefix`, sorted. */
  names(prefix = ''): string[] {
    return [...this.#keys.keys()].filter((name) => name.startsWith(prefix)).sort()
  }

  /**
   * Adds keys; resolves when they are durable. Calls made together share one flush. The same key again is not an error.
   * Errors: KEY_EXISTS (another key has that name: delete it first), KEY_NAME, KEY_SIZE, DISK_FULL.
   */
  async put(entries: readonly NamedKey[]): Promise<void> {
    this.#checkOpen()
    const changes = new Map<string, NamedKey>()
    for (const { name, key } of entries) {
      checkName(name)
      if (key.length === 0 || key.length > KEY_MAX_BYTES) {
        throw new AppError('KEY_SIZE', `key of ${name}: ${key.length} bytes, must be 1 to ${KEY_MAX_BYTES}`, {
          name,
        })
      }
      const twin = changes.get(name)
      if (twin !== undefined && !equal(twin.key, key)) throw keyExists(name)
      changes.set(name, { name, key: key.slice() })
    }
    await this.#submit([...changes.values()])
  }

  /** The key of that name, made of `lengthBytes` random bytes if there is none. Durable when it resolves. */
  async getOrMake(name: string, lengthBytes = 32): Promise<Uint8Array> {
    for (;;) {
      const known = this.get(name)
      if (known !== undefined) return known
      const key = this.#options.random(lengthBytes)
      await this.put([{ name, key }]).catch((error: unknown) => {
        // Somebody else made it meanwhile: theirs counts.
        if (!(error instanceof AppError && error.code === 'KEY_EXISTS')) throw error
      })
    }
  }

  /**
   * Deletes keys: nobody gets them any more once this resolves, and no restart brings them back. Their sealed bytes
   * stay in the file until `rotate`. Names that are not here are passed over. Returns how many were.
   */
  async delete(names: readonly string[]): Promise<number> {
    this.#checkOpen()
    return this.#submit([...new Set(names)].map((name) => ({ name: checkName(name) })))
  }

  /**
   * Moves the living keys to a new generation under a new `KSK` and destroys the old file: what was deleted can no
   * longer be had, not even with the root key. `root`: a new provider to move to. Crash-safe: the next open completes it.
   */
  async rotate({ root = this.#root }: { readonly root?: RootProvider } = {}): Promise<Rotation> {
    this.#checkOpen()
    return this.#inTurn(async () => {
      this.#checkSound()
      const old = this.#current
      const destroyed = this.#deleted
      const number = old.number + 1
      const entries = [...this.#keys].map(([name, key]) => ({ name, key }))
      const { disk, path } = this.#options
      const next = { ...this.#options, root, keystoreId: this.#keystoreId, number, entries }
      this.#current = await makeGeneration(next).catch(async (error: unknown) => {
        // A newer generation left behind would win at the next start, without what is put from now on.
        await destroyFile(disk, generationFile(path, number)).catch((worse: unknown) => {
          this.#broken = worse
        })
        throw error
      })
      this.#root = root
      this.#deleted = 0
      old.ksk.fill(0)
      await old.file.close()
      try {
        await destroyFile(disk, generationFile(path, old.number))
      } catch (error) {
        this.#broken = error
        throw error
      }
      return { generation: number, destroyed, how: root.destroys }
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sealTimer?.cancel()
    try {
      await this.#inTurn(async () => {
        if (this.#broken === undefined) await this.#seal()
        await this.#current.file.close()
        this.#current.ksk.fill(0)
        for (const key of this.#keys.values()) key.fill(0)
        this.#keys.clear()
      })
    } finally {
      await this.#lock.release()
    }
  }

  #submit(changes: readonly KeyChange[]): Promise<number> {
    if (changes.length === 0) return Promise.resolve(0)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject })
      // The first to wait starts a flush; those that come before it runs share it.
      if (this.#waiting.length === 1) void this.#inTurn(() => this.#flush())
    })
  }

  async #flush(): Promise<void> {
    const group = this.#waiting
    this.#waiting = []
    const staged = new Map<string, Uint8Array | undefined>()
    const accepted: { readonly waiting: Waiting; readonly changed: number }[] = []
    const changes: KeyChange[] = []
    for (const each of group) {
      try {
        this.#checkSound()
        const fresh = each.changes.filter((change) => isFresh(change, staged, this.#keys))
        for (const change of fresh) staged.set(change.name, change.key)
        changes.push(...fresh)
        accepted.push({ waiting: each, changed: fresh.length })
      } catch (error) {
        each.reject(error)
      }
    }
    try {
      if (changes.length > 0) await this.#append(changes)
    } catch (error) {
      for (const { waiting } of accepted) waiting.reject(error)
      return
    }
    for (const { name, key } of changes) {
      if (key !== undefined) this.#keys.set(name, key)
      else {
        this.#keys.get(name)?.fill(0)
        this.#keys.delete(name)
        this.#deleted++
      }
    }
    for (const { waiting, changed } of accepted) waiting.resolve(changed)
    if (changes.length > 0) this.#sealSoon()
  }

  async #append(changes: readonly KeyChange[]): Promise<void> {
    const { file, ksk, context, nextSeq: seq } = this.#current
    const before = file.size
    try {
      await file.append(encodeFrame({ ksk, context, seq, changes, random: this.#options.random }))
      await file.sync()
    } catch (error) {
      await file.truncate(before).catch((worse: unknown) => {
        this.#broken = worse
      })
      throw error
    }
    this.#current.nextSeq++
    this.#current.sealed = changes.length === 0
  }

  async #seal(): Promise<void> {
    if (!this.#current.sealed) await this.#append([])
  }

  #sealSoon(): void {
    this.#sealTimer?.cancel()
    this.#sealTimer = this.#options.clock.schedule(SEAL_AFTER_MS, () => {
      void this.#inTurn(async () => {
        if (this.#broken === undefined && !this.#closed) await this.#seal()
      }).catch(() => undefined)
    })
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#work.then(step)
    this.#work = done.catch(() => undefined)
    return done
  }

  #checkOpen(): void {
    if (this.#closed) throw new AppError('KEYSTORE_CLOSED', 'the keystore is closed; open it again', {})
  }

  #checkSound(): void {
    if (this.#broken === undefined) return
    throw new AppError(
      'KEYSTORE_STOPPED',
      'the disk failed in the middle of a change, so the keystore takes no more; check the disk and open it again',
      {},
      { cause: this.#broken },
    )
  }
}

/** Whether a change changes anything. Errors: KEY_EXISTS. */
function isFresh(
  { name, key }: KeyChange,
  staged: ReadonlyMap<string, Uint8Array | undefined>,
  keys: ReadonlyMap<string, Uint8Array>,
): boolean {
  const known = staged.has(name) ? staged.get(name) : keys.get(name)
  if (key === undefined || known === undefined) return key !== known
  if (equal(key, known)) return false
  throw keyExists(name)
}

const keyExists = (name: string) =>
  new AppError('KEY_EXISTS', `name: ${name} has another key; delete it first, or use the next number`, {
    name,
  })

interface Loaded {
  readonly keystoreId: Uint8Array
  readonly keys: Map<string, Uint8Array>
  readonly current: Generation
  readonly deleted: number
}

async function load(options: KeystoreOptions): Promise<Loaded> {
  const { disk, path, root, random } = options
  const numbers = await generations(disk, path)
  const number = numbers.at(-1)
  if (number === undefined) {
    const keystoreId = random(16)
    const current = await makeGeneration({ ...options, keystoreId, number: 1, entries: [] })
    return { keystoreId, keys: new Map(), current, deleted: 0 }
  }
  const name = generationFile(path, number)
  const content = (await disk.read(name)) ?? new Uint8Array(0)
  const { header, end } = decodeHeader(name, content)
  const context = keystoreContext(header)
  const ksk = await root.unwrap(header.wrapped, context)
  const frames = decodeFrames({ file: name, content, from: end, ksk, context })
  const { keys, deleted } = replay(frames.changes)
  // Only now, when the newest is known to be good, may older generations go.
  for (const old of numbers.slice(0, -1)) await destroyFile(disk, generationFile(path, old))
  const file = await disk.openAppend(name)
  if (frames.end < content.length) await file.truncate(frames.end)
  const current = { number, file, ksk, context, nextSeq: frames.nextSeq, sealed: false }
  return { keystoreId: header.keystoreId, keys, current, deleted }
}

function replay(changes: readonly KeyChange[]): { keys: Map<string, Uint8Array>; deleted: number } {
  const keys = new Map<string, Uint8Array>()
  let deleted = 0
  for (const { name, key } of changes) {
    if (key !== undefined) keys.set(name, key.slice())
    else if (keys.delete(name)) deleted++
  }
  return { keys, deleted }
}

interface NewGeneration extends Pick<KeystoreOptions, 'disk' | 'path' | 'root' | 'random'> {
  readonly keystoreId: Uint8Array
  readonly number: number
  readonly entries: readonly NamedKey[]
}

/** Writes a generation as one whole; used by rotation and restore too. */
export async function makeGeneration(options: NewGeneration): Promise<Generation> {
  const { disk, path, root, random, keystoreId, number, entries } = options
  const ksk = random(32)
  const context = keystoreContext({ keystoreId, generation: number })
  const wrapped = await root.wrap(ksk, context)
  const header = encodeHeader({ keystoreId, generation: number, root: root.kind, wrapped })
  const first = encodeFrame({ ksk, context, seq: 0, changes: [...entries], random })
  const content = new Uint8Array(header.length + first.length)
  content.set(header)
  content.set(first, header.length)
  const name = generationFile(path, number)
  await disk.write(name, content)
  return { number, file: await disk.openAppend(name), ksk, context, nextSeq: 1, sealed: true }
}
