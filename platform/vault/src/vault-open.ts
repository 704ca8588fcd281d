import { AppError, fromUtf8, toHex, utf8 } from '@salus/core'
import type { Disk } from '@salus/host'
import { AddressIndex, OWN_FILE, type Place } from './address-index.ts'
import { decodeErasure, destroy } from './erasure.ts'
import { batchBytes, FRAME_BYTES, PACK_VERSION, packHeader, readPackHeader } from './pack-format.ts'
import { decodePackIndex, encodePackIndex } from './pack-index.ts'
import { scanPack } from './pack-scan.ts'
import { ownFile, packNumber, type VaultPaths } from './paths.ts'

/** Content of the format file. */
export const FORMAT = 'salus-vault 1\n'

/** A pack that had to be read in full gets an index for the next start if it is larger than this. */
const INDEX_FROM_BYTES = 8 * 1024 * 1024

/** What is known of one pack. */
export interface PackState {
  readonly number: number
  sizeBytes: number
  deadBytes: number
}

export interface Opened {
  readonly index: AddressIndex
  readonly packs: Map<number, PackState>
  /** Second copies of an object, by hex address (a pack put back from a backup); erasing must reach them too. */
  readonly copies: Map<string, Place[]>
  /** Bytes that a crash left unfinished and that were cut. */
  readonly cutBytes: number
}

/** Brings the files in order after whatever happened, and builds the index. */
export async function openFiles(disk: Disk, paths: VaultPaths): Promise<Opened> {
  await checkFormat(disk, paths)
  const journal = await disk.read(paths.erasure)
  if (journal !== undefined) {
    await destroy(disk, decodeErasure(journal, paths.erasure))
    await disk.remove(paths.erasure)
  }
  const index = new AddressIndex()
  const packs = new Map<number, PackState>()
  const copies = new Map<string, Place[]>()
  let cutBytes = 0
  for (const number of await packNumbers(disk, paths)) {
    cutBytes += await openPack({ disk, paths, number, index, packs, copies })
  }
  for (const dir of await disk.list(paths.large)) {
    for (const name of await disk.list(`${paths.large}/${dir.replace(/\/$/, '')}`)) {
      const own = ownFile(name)
      if (own !== undefined)
        index.set(own.address, { pack: OWN_FILE, offset: 0, lengthBytes: own.lengthBytes })
    }
  }
  return { index, packs, copies, cutBytes }
}

async function checkFormat(disk: Disk, paths: VaultPaths): Promise<void> {
  const bytes = await disk.read(paths.format)
  if (bytes === undefined) {
    const names = await disk.list(paths.packs)
    if (names.some((name) => packNumber(name) !== undefined)) {
      throw new AppError('VAULT_FORMAT', `${paths.format} is missing beside packs; restore it`, {
        file: paths.format,
      })
    }
    await disk.write(paths.format, utf8(FORMAT))
    return
  }
  const version = /^salus-vault (\d{1,9})\n$/.exec(bytes.length < 64 ? fromUtf8(bytes) : '')?.[1]
  if (version === undefined) {
    throw new AppError('VAULT_FORMAT', `${paths.format} is not that of a vault; restore it`, {
      file: paths.format,
    })
  }
  if (Number(version) > 1) throw newer(paths.format, Number(version))
}

const newer = (file: string, version: number) =>
  new AppError(
    'VAULT_NEWER',
    `${file}: format ${version}, this program knows ${PACK_VERSION}; use a newer one`,
    {
      file,
      version,
    },
  )

/** Pack numbers in order, without those that a compacted pack has replaced: these are removed. */
async function packNumbers(disk: Disk, paths: VaultPaths): Promise<number[]> {
  const numbers = (await disk.list(paths.packs)).flatMap((name) => packNumber(name) ?? [])
  const replaced = new Set<number>()
  for (const number of numbers) {
    const header = readPackHeader(await disk.readRange(paths.pack(number), 0, FRAME_BYTES))
    if (header !== undefined && header.version > PACK_VERSION) throw newer(paths.pack(number), header.version)
    if (header !== undefined && header.replaces !== 0) replaced.add(header.replaces)
  }
  for (const number of replaced) {
    await disk.remove(paths.packIndex(number))
    await disk.remove(paths.pack(number))
  }
  return numbers.filter((number) => !replaced.has(number)).sort((a, b) => a - b)
}

interface PackToOpen extends Omit<Opened, 'cutBytes'> {
  readonly disk: Disk
  readonly paths: VaultPaths
  readonly number: number
}

/** Adds one pack to the index; cuts a torn tail. Returns the bytes cut. */
async function openPack({ disk, paths, number, index, packs, copies }: PackToOpen): Promise<number> {
  const file = paths.pack(number)
  const sizeBytes = (await disk.stat(file))?.sizeBytes ?? 0
  const stored = await disk.read(paths.packIndex(number))
  const known = stored && decodePackIndex(stored)
  const usable = known !== undefined && known.coveredBytes <= sizeBytes ? known : undefined
  const state: PackState = { number, sizeBytes, deadBytes: usable?.deadBytes ?? 0 }
  const add = (address: Uint8Array, offset: number, lengthBytes: number) => {
    const first = index.get(address)
    if (first !== undefined) copies.set(toHex(address), [...(copies.get(toHex(address)) ?? []), first])
    index.set(address, { pack: number, offset, lengthBytes })
  }
  for (const { address, offset, lengthBytes } of usable?.objects ?? []) add(address, offset, lengthBytes)
  packs.set(number, state)
  if (usable?.coveredBytes === sizeBytes) return 0
  const bytes = (await disk.read(file)) ?? new Uint8Array(0)
  const scan = scanPack(bytes, usable?.coveredBytes ?? 0)
  state.deadBytes += scan.deadBytes
  for (const { address, offset, lengthBytes } of scan.objects) add(address, offset, lengthBytes)
  if (scan.tornAt === undefined) {
    const { objects, deadBytes } = scan
    const clean = usable === undefined && scan.unreadable.length === 0
    if (clean && sizeBytes > INDEX_FROM_BYTES) {
      await disk.write(
        paths.packIndex(number),
        encodePackIndex({ coveredBytes: sizeBytes, deadBytes, objects }),
      )
    }
    return 0
  }
  const handle = await disk.openAppend(file)
  try {
    await handle.truncate(scan.tornAt)
    let at = scan.tornAt
    if (at === 0) at = await appendAt(packHeader(0))
    if (scan.salvaged.length > 0) {
      const start = at + FRAME_BYTES
      at = await appendAt(batchBytes(scan.salvaged))
      let offset = start
      for (const object of scan.salvaged) {
        add(object.address, offset, object.bytes.length)
        offset += FRAME_BYTES + object.bytes.length
      }
    }
    await handle.sync()
    state.sizeBytes = at
    return sizeBytes - scan.tornAt
  } finally {
    await handle.close()
  }

  async function appendAt(more: Uint8Array): Promise<number> {
    await handle.append(more)
    return handle.size
  }
}
