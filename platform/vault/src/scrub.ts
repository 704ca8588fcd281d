import { equal, sha256, toHex } from '@salus/core'
import type { Disk } from '@salus/host'
import { type AddressIndex, OWN_FILE } from './address-index.ts'
import { FRAME_BYTES, readFrame } from './pack-format.ts'
import { contentOf, type ScannedObject, scanPack } from './pack-scan.ts'
import type { VaultPaths } from './paths.ts'
import type { Damage } from './vault-types.ts'

export interface ScrubPart {
  readonly objects: number
  readonly bytes: number
  readonly damage: readonly Damage[]
}

interface Where {
  readonly disk: Disk
  readonly paths: VaultPaths
  readonly index: AddressIndex
}

/** Reads one pack again: every frame, and every object that the index says is in it. */
export async function scrubPack(where: Where, number: number): Promise<ScrubPart> {
  const file = where.paths.pack(number)
  const expected = [...where.index.entries()]
    .filter(([, place]) => place.pack === number)
    .map(([address, { offset, lengthBytes }]): ScannedObject => ({ address, offset, lengthBytes }))
  const bytes = await where.disk.read(file)
  if (bytes === undefined) {
    return part(expected, [{ file, offset: 0, address: undefined, what: 'the pack is missing' }])
  }
  const damage = expected.flatMap((object): Damage[] => {
    const what = whatIsWrong(bytes, object)
    return what === undefined ? [] : [{ file, offset: object.offset, address: toHex(object.address), what }]
  })
  const named = new Set(damage.map((each) => each.offset))
  const scan = scanPack(bytes, 0)
  for (const { offset, lengthBytes } of scan.unreadable) {
    if (named.has(offset)) continue
    damage.push({ file, offset, address: undefined, what: `${lengthBytes} bytes that belong to no entry` })
  }
  if (scan.tornAt !== undefined && damage.length === 0) {
    damage.push({ file, offset: scan.tornAt, address: undefined, what: 'the last batch does not hold' })
  }
  return part(expected, damage)
}

function whatIsWrong(bytes: Uint8Array, object: ScannedObject): string | undefined {
  if (object.offset + FRAME_BYTES + object.lengthBytes > bytes.length)
    return 'the file ends before the object does'
  const frame = readFrame(bytes, object.offset)
  if (
    frame?.kind !== 'object' ||
    !equal(frame.address, object.address) ||
    frame.length !== object.lengthBytes
  ) {
    return "the entry's header is not as written"
  }
  return equal(sha256(contentOf(bytes, object)), object.address)
    ? undefined
    : 'the content does not hash to its address'
}

/** Reads every object that is a file of its own. */
export async function scrubOwnFiles(where: Where): Promise<ScrubPart> {
  const damage: Damage[] = []
  const objects: ScannedObject[] = []
  const own = [...where.index.entries()].filter(([, place]) => place.pack === OWN_FILE)
  for (const [address, { lengthBytes }] of own) {
    // Erased since the list was made: no finding.
    if (!where.index.has(address)) continue
    const file = where.paths.own(address, lengthBytes)
    const bytes = await where.disk.read(file)
    objects.push({ address, offset: 0, lengthBytes })
    const what =
      bytes === undefined
        ? 'the file is missing'
        : equal(sha256(bytes), address)
          ? undefined
          : 'the content does not hash to its address'
    if (what !== undefined && where.index.has(address)) {
      damage.push({ file, offset: 0, address: toHex(address), what })
    }
  }
  return part(objects, damage)
}

const part = (objects: readonly ScannedObject[], damage: readonly Damage[]): ScrubPart => ({
  objects: objects.length,
  bytes: objects.reduce((sum, each) => sum + each.lengthBytes, 0),
  damage,
})
