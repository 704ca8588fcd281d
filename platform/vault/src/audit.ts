import { equal, sha256, toHex, utf8 } from '@salus/core'
import type { Disk } from '@salus/host'
import { FRAME_BYTES, PACK_VERSION, readFrame, readPackHeader } from './pack-format.ts'
import { decodePackIndex } from './pack-index.ts'
import { contentOf, scanPack } from './pack-scan.ts'
import { ownFile, packNumber, type VaultPaths, vaultPaths } from './paths.ts'
import { FORMAT } from './vault-open.ts'
import type { Damage } from './vault-types.ts'

/** Where an object lies. */
export interface Found {
  readonly file: string
  /** Of its frame; 0 in a file of its own. */
  readonly offset: number
}

export interface VaultAudit {
  readonly objects: number
  readonly bytes: number
  readonly damage: readonly Damage[]
  /** What the next start will bring in order by itself: the rest of a crash, never acknowledged. */
  readonly unfinished: readonly Damage[]
  /** Objects that should be in a pack and are not readable there, by hex address. */
  readonly suspects: ReadonlyMap<string, Found>
}

interface Walk {
  readonly disk: Disk
  readonly paths: VaultPaths
  readonly onObject: (address: Uint8Array, bytes: Uint8Array, at: Found) => void
  objects: number
  bytes: number
  readonly damage: Damage[]
  readonly unfinished: Damage[]
  readonly suspects: Map<string, Found>
}

/**
 * Reads and hashes every object without opening the vault: takes no lock, mends nothing, needs no index. An object
 * that a running vault is just writing may be missed.
 * @param onObject called for each object that hashes to its address
 */
export async function auditVault({
  disk,
  path,
  onObject = () => {},
}: {
  readonly disk: Disk
  readonly path: string
  readonly onObject?: Walk['onObject']
}): Promise<VaultAudit> {
  const paths = vaultPaths(path)
  const walk: Walk = {
    disk,
    paths,
    onObject,
    objects: 0,
    bytes: 0,
    damage: [],
    unfinished: [],
    suspects: new Map(),
  }
  const format = await disk.read(paths.format)
  if (format === undefined) report(walk.damage, paths.format, 0, 'is missing')
  else if (format.length !== FORMAT.length || !equal(format, utf8(FORMAT)))
    report(walk.damage, paths.format, 0, 'is not that of a vault of version 1')
  if ((await disk.stat(paths.erasure)) !== undefined)
    report(walk.unfinished, paths.erasure, 0, 'an erasure was interrupted; the next start completes it')
  const numbers = (await disk.list(paths.packs))
    .flatMap((name) => packNumber(name) ?? [])
    .sort((a, b) => a - b)
  const replaced = new Set<number>()
  for (const number of numbers) {
    const header = readPackHeader(await disk.readRange(paths.pack(number), 0, FRAME_BYTES))
    if (header !== undefined && header.replaces !== 0) replaced.add(header.replaces)
  }
  for (const number of numbers) if (!replaced.has(number)) await auditPack(walk, number)
  for (const dir of await disk.list(paths.large)) {
    const folder = `${paths.large}/${dir.replace(/\/$/, '')}`
    for (const name of await disk.list(folder)) await auditOwnFile(walk, `${folder}/${name}`, name)
  }
  const { objects, bytes, damage, unfinished, suspects } = walk
  return { objects, bytes, damage, unfinished, suspects }
}

async function auditPack(walk: Walk, number: number): Promise<void> {
  const file = walk.paths.pack(number)
  const bytes = (await walk.disk.read(file)) ?? new Uint8Array(0)
  const header = readPackHeader(bytes)
  if (header !== undefined && header.version > PACK_VERSION)
    return report(walk.damage, file, 0, `has format ${header.version}, this program knows ${PACK_VERSION}`)
  const scan = scanPack(bytes, 0)
  for (const object of scan.objects) {
    const { address, offset } = object
    const content = contentOf(bytes, object)
    if (equal(sha256(content), address)) seen(walk, address, content, { file, offset })
    else {
      walk.suspects.set(toHex(address), { file, offset })
      report(walk.damage, file, offset, 'the content does not hash to its address', address)
    }
  }
  for (const { offset, lengthBytes } of scan.unreadable)
    report(walk.damage, file, offset, `${lengthBytes} bytes that belong to no entry`)
  if (scan.tornAt !== undefined) {
    for (const { address, bytes: content } of scan.salvaged)
      seen(walk, address, content, { file, offset: scan.tornAt })
    // Whether a crash tore it or somebody altered it shows when a row asks for one of its objects.
    for (const [address, offset] of unreadableObjects(bytes, scan.tornAt))
      walk.suspects.set(address, { file, offset })
    const lengthBytes = bytes.length - scan.tornAt
    report(
      walk.unfinished,
      file,
      scan.tornAt,
      `the last batch (${lengthBytes} bytes) is unfinished; the next start cuts it`,
    )
  }
  await auditIndex(walk, number, bytes.length)
}

async function auditIndex(walk: Walk, number: number, packBytes: number): Promise<void> {
  const file = walk.paths.packIndex(number)
  const stored = await walk.disk.read(file)
  if (stored === undefined) return
  const index = decodePackIndex(stored)
  if (index === undefined)
    report(walk.damage, file, 0, 'is not readable; remove it, the next start makes it again')
  else if (index.coveredBytes > packBytes)
    report(
      walk.damage,
      walk.paths.pack(number),
      packBytes,
      `ends at ${packBytes} bytes, its index covers ${index.coveredBytes}: the pack is older, or was cut`,
    )
}

async function auditOwnFile(walk: Walk, file: string, name: string): Promise<void> {
  const own = ownFile(name)
  if (own === undefined) return
  const bytes = await walk.disk.read(file)
  if (bytes === undefined) return
  if (equal(sha256(bytes), own.address)) return seen(walk, own.address, bytes, { file, offset: 0 })
  walk.suspects.set(toHex(own.address), { file, offset: 0 })
  report(walk.damage, file, 0, 'the content does not hash to its address', own.address)
}

function seen(walk: Walk, address: Uint8Array, bytes: Uint8Array, at: Found): void {
  walk.objects++
  walk.bytes += bytes.length
  walk.onObject(address, bytes, at)
}

function report(list: Damage[], file: string, offset: number, what: string, address?: Uint8Array): void {
  list.push({ file, offset, address: address && toHex(address), what })
}

/** Object frames of a tail whose content does not hash. */
function* unreadableObjects(bytes: Uint8Array, from: number): Generator<[string, number]> {
  for (let offset = from; offset + FRAME_BYTES <= bytes.length; ) {
    const frame = readFrame(bytes, offset)
    if (frame === undefined) return
    const held = frame.kind === 'object' || frame.kind === 'erased' ? frame.length : 0
    if (frame.kind === 'object') {
      const content = bytes.subarray(offset + FRAME_BYTES, offset + FRAME_BYTES + held)
      if (!equal(sha256(content), frame.address)) yield [toHex(frame.address), offset]
    }
    offset += FRAME_BYTES + held
  }
}
