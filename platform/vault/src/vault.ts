import { AppError, assert, concat, equal, sha256, toHex } from '@salus/core'
import type { AppendFile, Clock, Disk, DiskLock, Timer } from '@salus/host'
import { type AddressIndex, OWN_FILE, type Place } from './address-index.ts'
import { destroy, encodeErasure, type Stretch, stretchBytes } from './erasure.ts'
import { batchBytes, FRAME_BYTES, frameHeader, PACK_MAX_BYTES, packHeader } from './pack-format.ts'
import { encodePackIndex } from './pack-index.ts'
import { contentOf, scanPack } from './pack-scan.ts'
import { type VaultPaths, vaultPaths } from './paths.ts'
import { scrubOwnFiles, scrubPack } from './scrub.ts'
import { openFiles, type PackState } from './vault-open.ts'
import type { Damage, ObjectStore, ScrubReport, VaultObject, VaultStats } from './vault-types.ts'

/** Objects of this size and more are files of their own. */
export const LARGE_OBJECT_BYTES = 64 * 1024
/** Largest object. */
export const MAX_OBJECT_BYTES = 256 * 1024 * 1024
/** Content of one flush, unless a single call brings more. */
const FLUSH_BYTES = 16 * 1024 * 1024
/** After this much idle time the last batch is proven by an empty one (pack-format.ts). */
const SEAL_AFTER_MS = 1_000

export interface VaultOptions {
  readonly disk: Disk
  /** Folder of the vault, relative to the disk's root. */
  readonly path: string
  readonly clock: Clock
}

interface Waiting {
  readonly objects: readonly VaultObject[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Active {
  readonly state: PackState
  readonly file: AppendFile
  sealed: boolean
}

/**
 * Ciphertext objects in pack files (`docs/spec/vault.md`). One process at a time; changes are made one after the
 * other, reads beside them. Use `Vault.open` and `close`.
 */
export class Vault implements ObjectStore {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #paths: VaultPaths
  readonly #lock: DiskLock
  readonly #index: AddressIndex
  readonly #packs: Map<number, PackState>
  readonly #copies: Map<string, Place[]>
  #active: Active | undefined
  #waiting: Waiting[] = []
  #work: Promise<unknown> = Promise.resolve()
  #sealTimer: Timer | undefined
  #closed = false
  /** Set when what the disk holds is no longer known: reads go on, changes are refused. */
  #broken: unknown

  private constructor(fields: {
    options: VaultOptions
    lock: DiskLock
    opened: Awaited<ReturnType<typeof openFiles>>
  }) {
    this.#disk = fields.options.disk
    this.#clock = fields.options.clock
    this.#paths = vaultPaths(fields.options.path)
    this.#lock = fields.lock
    this.#index = fields.opened.index
    this.#packs = fields.opened.packs
    this.#copies = fields.opened.copies
  }

  /**
   * Opens the vault, makes it if there is none, and repairs what a crash left: erasures are completed, a torn
   * tail is cut. Errors: DISK_LOCKED, VAULT_NEWER (a newer program wrote it), VAULT_FORMAT.
   */
  static async open(options: VaultOptions): Promise<Vault> {
    const paths = vaultPaths(options.path)
    const lock = await options.disk.lock(paths.lock)
    try {
      return new Vault({ options, lock, opened: await openFiles(options.disk, paths) })
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  async putMany(objects: readonly VaultObject[]): Promise<void> {
    this.#checkOpen()
    for (const object of objects) checkObject(object)
    if (objects.length === 0) return
    return new Promise((resolve, reject) => {
      this.#waiting.push({ objects, resolve, reject })
      // The first to wait starts a flush; those that come before it runs share it.
      if (this.#waiting.length === 1) void this.#inTurn(() => this.#flushWaiting()).catch(() => undefined)
    })
  }

  async get(address: Uint8Array): Promise<Uint8Array | undefined> {
    this.#checkOpen()
    for (;;) {
      const place = this.#index.get(address)
      if (place === undefined) return undefined
      const bytes = await this.#read(address, place)
      if (bytes !== undefined && equal(sha256(bytes), address)) return bytes
      // Erased or moved while it was read: look again.
      if (!samePlace(place, this.#index.get(address))) continue
      throw new AppError(
        'OBJECT_ALTERED',
        `${this.#fileOf(address, place)}, offset ${place.offset}: object ${toHex(address)} is not what was stored; restore it from a replica or a backup`,
        { file: this.#fileOf(address, place), offset: place.offset, address: toHex(address) },
      )
    }
  }

  has(address: Uint8Array): boolean {
    return this.#index.has(address)
  }

  async erase(addresses: readonly Uint8Array[]): Promise<number> {
    this.#checkOpen()
    return this.#inTurn(() => this.#eraseNow(addresses))
  }

  async scrub({ expected = [] }: { readonly expected?: Iterable<Uint8Array> } = {}): Promise<ScrubReport> {
    this.#checkOpen()
    const where = { disk: this.#disk, paths: this.#paths, index: this.#index }
    const report = { objects: 0, bytes: 0, damage: [] as Damage[] }
    const add = (part: ScrubReport) => {
      report.objects += part.objects
      report.bytes += part.bytes
      report.damage.push(...part.damage)
    }
    // One pack at a time between the changes, so that nothing moves under the reader and writers wait little.
    for (const number of [...this.#packs.keys()]) {
      await this.#inTurn(async () => {
        if (this.#packs.has(number)) add(await scrubPack(where, number))
      })
    }
    add(await scrubOwnFiles(where))
    for (const address of expected) {
      if (this.#index.has(address)) continue
      report.damage.push({
        file: this.#paths.packs,
        offset: 0,
        address: toHex(address),
        what: 'the object is missing',
      })
    }
    return report
  }

  async compact(): Promise<number> {
    this.#checkOpen()
    let freedBytes = 0
    for (const { number } of [...this.#packs.values()])
      freedBytes += await this.#inTurn(() => this.#compactPack(number))
    return freedBytes
  }

  stats(): VaultStats {
    const { liveBytes, ownFiles: largeObjects } = this.#index.totals()
    const deadBytes = [...this.#packs.values()].reduce((sum, pack) => sum + pack.deadBytes, 0)
    const { size: objects, memoryBytes: indexBytes } = this.#index
    return { objects, largeObjects, packs: this.#packs.size, liveBytes, deadBytes, indexBytes }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sealTimer?.cancel()
    try {
      await this.#inTurn(async () => {
        if (this.#active === undefined) return
        if (this.#broken === undefined) {
          await this.#seal(this.#active)
          await this.#writeIndex(this.#active.state)
        }
        await this.#active.file.close()
      })
    } finally {
      await this.#lock.release()
    }
  }

  async #flushWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = takeGroup(this.#waiting)
      try {
        await this.#store(group.flatMap((each) => each.objects))
        for (const each of group) each.resolve()
      } catch (error) {
        for (const each of group) each.reject(error)
      }
    }
  }

  async #store(objects: readonly VaultObject[]): Promise<void> {
    if (this.#broken !== undefined) throw this.#brokenError()
    const fresh = new Map<string, VaultObject>()
    for (const object of objects) {
      if (!(await this.#holdsGood(object.address))) fresh.set(toHex(object.address), object)
    }
    const isLarge = ({ bytes }: VaultObject) => bytes.length >= LARGE_OBJECT_BYTES
    const large = [...fresh.values()].filter(isLarge)
    const small = [...fresh.values()].filter((object) => !isLarge(object))
    const made: string[] = []
    try {
      for (const { address, bytes } of large) {
        const file = this.#paths.own(address, bytes.length)
        made.push(file)
        await this.#disk.write(file, bytes)
      }
      for (const batch of packBatches(small)) await this.#appendBatch(batch)
    } catch (error) {
      for (const file of made) await this.#disk.remove(file).catch(() => undefined)
      throw error
    }
    for (const { address, bytes } of large) {
      this.#index.set(address, { pack: OWN_FILE, offset: 0, lengthBytes: bytes.length })
    }
  }

  /** True if the object is here and unaltered. An altered copy is destroyed, so that the good one replaces it. */
  async #holdsGood(address: Uint8Array): Promise<boolean> {
    const place = this.#index.get(address)
    if (place === undefined) return false
    const bytes = await this.#read(address, place)
    if (bytes !== undefined && equal(sha256(bytes), address)) return true
    await this.#eraseNow([address])
    return false
  }

  async #appendBatch(objects: readonly VaultObject[]): Promise<void> {
    const bytes = batchBytes(objects)
    const active = await this.#activeFor(bytes.length)
    const { file, state } = active
    const before = file.size
    try {
      await file.append(before === 0 ? concat(packHeader(0), bytes) : bytes)
      await file.sync()
    } catch (error) {
      await file.truncate(before).catch((worse: unknown) => {
        this.#broken = worse
      })
      throw error
    }
    state.sizeBytes = file.size
    active.sealed = false
    let offset = file.size - bytes.length + FRAME_BYTES
    for (const object of objects) {
      this.#index.set(object.address, { pack: state.number, offset, lengthBytes: object.bytes.length })
      offset += FRAME_BYTES + object.bytes.length
    }
    this.#sealSoon()
  }

  /** The pack to append to: the last one while there is room, else a new one. */
  async #activeFor(bytes: number): Promise<Active> {
    const number = Math.max(0, ...this.#packs.keys())
    if (this.#active === undefined && number > 0) await this.#activate(number)
    if (this.#active !== undefined && this.#active.file.size + bytes + FRAME_BYTES > PACK_MAX_BYTES) {
      await this.#seal(this.#active)
      await this.#writeIndex(this.#active.state)
      await this.#active.file.close()
      this.#active = undefined
    }
    return this.#active ?? this.#activate(Math.max(0, ...this.#packs.keys()) + 1)
  }

  async #activate(number: number): Promise<Active> {
    const file = await this.#disk.openAppend(this.#paths.pack(number))
    const state = this.#packs.get(number) ?? { number, sizeBytes: file.size, deadBytes: 0 }
    this.#packs.set(number, state)
    this.#active = { state, file, sealed: file.size === 0 }
    return this.#active
  }

  #sealSoon(): void {
    this.#sealTimer?.cancel()
    this.#sealTimer = this.#clock.schedule(SEAL_AFTER_MS, () => {
      void this.#inTurn(async () => {
        if (this.#active !== undefined) await this.#seal(this.#active)
      }).catch(() => undefined)
    })
  }

  /** Proves the last batch (pack-format.ts). */
  async #seal(active: Active): Promise<void> {
    if (active.sealed) return
    const before = active.file.size
    try {
      await active.file.append(frameHeader('batch', 0))
      await active.file.sync()
    } catch (error) {
      await active.file.truncate(before).catch((worse: unknown) => {
        this.#broken = worse
      })
      throw error
    }
    active.state.sizeBytes = active.file.size
    active.sealed = true
  }

  async #writeIndex(state: PackState): Promise<void> {
    const objects = [...this.#index.entries()]
      .filter(([, place]) => place.pack === state.number)
      .map(([address, { offset, lengthBytes }]) => ({ address, offset, lengthBytes }))
    // A damaged pack or one with second copies is read in full at every start, so that nothing of it is forgotten.
    const scan = scanPack((await this.#disk.read(this.#paths.pack(state.number))) ?? new Uint8Array(0), 0)
    if (scan.unreadable.length > 0 || scan.objects.length !== objects.length) return
    const { sizeBytes: coveredBytes, deadBytes } = state
    await this.#disk.write(
      this.#paths.packIndex(state.number),
      encodePackIndex({ coveredBytes, deadBytes, objects }),
    )
  }

  async #eraseNow(addresses: readonly Uint8Array[]): Promise<number> {
    if (this.#broken !== undefined) throw this.#brokenError()
    const places = new Map<string, { address: Uint8Array; places: Place[] }>()
    for (const address of addresses) {
      const hex = toHex(address)
      const place = this.#index.get(address)
      if (place === undefined) continue
      places.set(hex, { address, places: [place, ...(this.#copies.get(hex) ?? [])] })
    }
    if (places.size === 0) return 0
    const stretches = this.#stretchesOf([...places.values()])
    for (const number of new Set(
      [...places.values()].flatMap((each) => each.places.map((place) => place.pack)),
    )) {
      if (number !== OWN_FILE) await this.#disk.remove(this.#paths.packIndex(number))
    }
    await this.#disk.write(this.#paths.erasure, encodeErasure(stretches))
    // From here on it will complete, if not now then at the next open; so nobody may read them any more.
    for (const [hex, { address, places: each }] of places) {
      this.#index.delete(address)
      this.#copies.delete(hex)
      for (const place of each) {
        const pack = this.#packs.get(place.pack)
        if (pack !== undefined) pack.deadBytes += FRAME_BYTES + place.lengthBytes
      }
    }
    try {
      await destroy(this.#disk, stretches)
      await this.#disk.remove(this.#paths.erasure)
    } catch (error) {
      this.#broken = error
      throw error
    }
    return places.size
  }

  /** Adjacent frames become one stretch: a patient's objects often lie together. */
  #stretchesOf(objects: readonly { address: Uint8Array; places: Place[] }[]): Stretch[] {
    const all = objects.flatMap(({ address, places }) => places.map((place) => ({ address, ...place })))
    all.sort((a, b) => a.pack - b.pack || a.offset - b.offset)
    const stretches: { file: string; offset: number; lengths: number[]; wholeFile: boolean }[] = []
    for (const each of all) {
      const file = this.#fileOf(each.address, each)
      const last = stretches[stretches.length - 1]
      const wholeFile = each.pack === OWN_FILE
      if (!wholeFile && last?.file === file && last.offset + stretchBytes(last.lengths) === each.offset) {
        last.lengths.push(each.lengthBytes)
      } else {
        stretches.push({ file, offset: each.offset, lengths: [each.lengthBytes], wholeFile })
      }
    }
    return stretches
  }

  async #compactPack(number: number): Promise<number> {
    const old = this.#packs.get(number)
    if (old === undefined || old.deadBytes * 2 < old.sizeBytes) return 0
    // Second copies are only found by their places, which compaction would move.
    if (this.#broken !== undefined || this.#copies.size > 0) return 0
    if (this.#active?.state.number === number) {
      await this.#seal(this.#active)
      await this.#active.file.close()
      this.#active = undefined
    }
    const bytes = (await this.#disk.read(this.#paths.pack(number))) ?? new Uint8Array(0)
    const scan = scanPack(bytes, 0)
    // What is damaged stays as it is: it is evidence, and scrub goes on naming it.
    if (scan.unreadable.length > 0 || scan.tornAt !== undefined) return 0
    const live = scan.objects.filter((object) => {
      const place = this.#index.get(object.address)
      return place?.pack === number && place.offset === object.offset
    })
    const next = Math.max(...this.#packs.keys()) + 1
    if (live.length > 0) {
      const batch = batchBytes(
        live.map((object) => ({ address: object.address, bytes: contentOf(bytes, object) })),
      )
      const whole = concat(packHeader(number), batch, frameHeader('batch', 0))
      await this.#disk.write(this.#paths.pack(next), whole)
      this.#packs.set(next, { number: next, sizeBytes: whole.length, deadBytes: 0 })
      let offset = 2 * FRAME_BYTES
      for (const { address, lengthBytes } of live) {
        this.#index.set(address, { pack: next, offset, lengthBytes })
        offset += FRAME_BYTES + lengthBytes
      }
    }
    this.#packs.delete(number)
    await this.#disk.remove(this.#paths.packIndex(number))
    await this.#disk.remove(this.#paths.pack(number))
    return old.sizeBytes - (this.#packs.get(next)?.sizeBytes ?? 0)
  }

  async #read(address: Uint8Array, place: Place): Promise<Uint8Array | undefined> {
    if (place.pack === OWN_FILE) return this.#disk.read(this.#fileOf(address, place))
    return this.#disk
      .readRange(this.#paths.pack(place.pack), place.offset + FRAME_BYTES, place.lengthBytes)
      .catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'DISK_NOT_FOUND') return undefined
        throw error
      })
  }

  #fileOf(address: Uint8Array, place: Place): string {
    return place.pack === OWN_FILE
      ? this.#paths.own(address, place.lengthBytes)
      : this.#paths.pack(place.pack)
  }

  /** Runs after everything that was asked for before. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#work.then(step)
    this.#work = done.catch(() => undefined)
    return done
  }

  #checkOpen(): void {
    if (this.#closed) throw new AppError('VAULT_CLOSED', 'the vault is closed; open it again', {})
  }

  #brokenError(): AppError {
    return new AppError(
      'VAULT_STOPPED',
      'the disk failed in the middle of a change, so the vault takes no more; check the disk and open it again',
      {},
      { cause: this.#broken },
    )
  }
}

function checkObject({ address, bytes }: VaultObject): void {
  if (bytes.length === 0 || bytes.length > MAX_OBJECT_BYTES) {
    throw new AppError('OBJECT_SIZE', `bytes: ${bytes.length}, must be 1 to ${MAX_OBJECT_BYTES}; split it`, {
      sizeBytes: bytes.length,
    })
  }
  if (address.length !== 32 || !equal(sha256(bytes), address)) {
    throw new AppError(
      'OBJECT_ADDRESS',
      'address: not the SHA-256 of bytes; compute it with objectAddress',
      {},
    )
  }
}

/** Takes whole calls off the queue, up to `FLUSH_BYTES`, at least one. */
function takeGroup(waiting: Waiting[]): Waiting[] {
  let bytes = 0
  let count = 0
  for (const { objects } of waiting) {
    const more = objects.reduce((sum, object) => sum + object.bytes.length, 0)
    if (count > 0 && bytes + more > FLUSH_BYTES) break
    bytes += more
    count++
  }
  return waiting.splice(0, count)
}

/** Splits what one pack cannot take at once. */
function packBatches(objects: readonly VaultObject[]): VaultObject[][] {
  const batches: VaultObject[][] = []
  let room = 0
  for (const object of objects) {
    const need = FRAME_BYTES + object.bytes.length
    const last = batches[batches.length - 1]
    if (last === undefined || need > room) {
      batches.push([object])
      room = PACK_MAX_BYTES / 2 - need
    } else {
      last.push(object)
      room -= need
    }
  }
  return batches
}

function samePlace(a: Place, b: Place | undefined): boolean {
  assert(a.lengthBytes > 0, 'objects are never empty')
  return b !== undefined && a.pack === b.pack && a.offset === b.offset
}
