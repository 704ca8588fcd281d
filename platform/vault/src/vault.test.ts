import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256, toHex } from '@salus/core'
import { type Disk, manualClock, memoryDisk, seededRandom } from '@salus/host'
import { systemDisk } from '@salus/host/system'
import { afterAll, describe, expect, test } from 'vitest'
import { LARGE_OBJECT_BYTES, Vault } from './vault.ts'

const random = seededRandom(7)
const object = (sizeBytes: number) => {
  const bytes = random(sizeBytes)
  return { address: sha256(bytes), bytes }
}
const open = (disk: Disk) => Vault.open({ disk, path: 'vault', clock: manualClock() })
const small = (count: number) => Array.from({ length: count }, (_, i) => object(100 + i))

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const realDisk = (): Disk => {
  const folder = mkdtempSync(join(tmpdir(), 'vault-'))
  folders.push(folder)
  return systemDisk(folder)
}

describe.each([
  ['memory', memoryDisk],
  ['file system', realDisk],
] as const)('vault on %s disk', (_, newDisk) => {
  test('gives back what was put, now and after opening again', async () => {
    const disk = newDisk()
    const objects = [...small(20), object(LARGE_OBJECT_BYTES), object(LARGE_OBJECT_BYTES - 1)]
    let vault = await open(disk)
    await vault.putMany(objects)
    for (let round = 0; round < 2; round++) {
      for (const { address, bytes } of objects) expect(await vault.get(address)).toEqual(bytes)
      expect(vault.stats()).toMatchObject({ objects: 22, largeObjects: 1, packs: 1, deadBytes: 0 })
      expect((await vault.scrub()).damage).toEqual([])
      await vault.close()
      vault = await open(disk)
    }
    expect(await vault.get(sha256(new Uint8Array(1)))).toBeUndefined()
    await vault.close()
  })

  test('puts of the same object share one copy; calls made together share one flush', async () => {
    const disk = newDisk()
    const vault = await open(disk)
    const objects = small(50)
    await Promise.all([...objects, ...objects].map((each) => vault.putMany([each])))
    const size = (await disk.stat('vault/packs/00000001.pack'))?.sizeBytes
    await vault.putMany(objects)
    expect((await disk.stat('vault/packs/00000001.pack'))?.sizeBytes).toBe(size)
    expect(vault.stats().objects).toBe(50)
    await vault.close()
  })

  test('erased objects are gone from the index and from the disk, and stay gone', async () => {
    const disk = newDisk()
    let vault = await open(disk)
    const objects = [...small(10), object(LARGE_OBJECT_BYTES + 5)]
    await vault.putMany(objects)
    const gone = [objects[2], objects[3], objects[7], objects[10]].filter((each) => each !== undefined)
    expect(await vault.erase([...gone.map((each) => each.address), sha256(new Uint8Array(3))])).toBe(4)
    for (let round = 0; round < 2; round++) {
      for (const each of gone) {
        expect(vault.has(each.address)).toBe(false)
        expect(await vault.get(each.address)).toBeUndefined()
        expect(await bytesOnDisk(disk, each.bytes.subarray(0, 24))).toBe(false)
      }
      expect(await vault.scrub()).toMatchObject({ objects: 7, damage: [] })
      await vault.close()
      vault = await open(disk)
    }
    await vault.putMany(gone)
    expect(await vault.get(gone[0]?.address ?? new Uint8Array())).toEqual(gone[0]?.bytes)
    await vault.close()
  })

  test('compaction gives back the space of packs that are half dead', async () => {
    const disk = newDisk()
    let vault = await open(disk)
    const objects = small(40)
    await vault.putMany(objects)
    expect(await vault.compact()).toBe(0)
    await vault.erase(objects.slice(0, 30).map((each) => each.address))
    expect(await vault.compact()).toBeGreaterThan(30 * 100)
    for (let round = 0; round < 2; round++) {
      expect(vault.stats()).toMatchObject({ objects: 10, packs: 1, deadBytes: 0 })
      for (const { address, bytes } of objects.slice(30)) expect(await vault.get(address)).toEqual(bytes)
      await vault.close()
      vault = await open(disk)
    }
    await vault.putMany(objects)
    await vault.erase(objects.map((each) => each.address))
    await vault.compact()
    expect(vault.stats()).toMatchObject({ objects: 0, packs: 0, deadBytes: 0 })
    await vault.putMany(objects.slice(0, 1))
    await vault.close()
    vault = await open(disk)
    expect(vault.stats().objects).toBe(1)
    await vault.close()
  })

  test('an altered byte is found, named, and mended by putting the object again', async () => {
    const disk = newDisk()
    const vault = await open(disk)
    const objects = [...small(3), object(LARGE_OBJECT_BYTES)]
    await vault.putMany(objects)
    const own = objects[3]?.address ?? new Uint8Array()
    const file = `vault/large/${toHex(own).slice(0, 2)}/${toHex(own)}.${LARGE_OBJECT_BYTES}`
    await flip(disk, file, 77)
    await flip(disk, 'vault/packs/00000001.pack', 48 * 3 + 10)
    const first = objects[0]?.address ?? new Uint8Array()
    await expect(vault.get(first)).rejects.toMatchObject({
      code: 'OBJECT_ALTERED',
      data: { file: 'vault/packs/00000001.pack', address: toHex(first) },
    })
    await expect(vault.get(own)).rejects.toMatchObject({ code: 'OBJECT_ALTERED', data: { file } })
    const { damage } = await vault.scrub({ expected: [first, sha256(new Uint8Array(9))] })
    expect(damage.map((each) => [each.file, each.address])).toEqual([
      ['vault/packs/00000001.pack', toHex(first)],
      [file, toHex(own)],
      ['vault/packs', toHex(sha256(new Uint8Array(9)))],
    ])
    await vault.putMany(objects)
    expect((await vault.scrub()).damage).toEqual([])
    for (const { address, bytes } of objects) expect(await vault.get(address)).toEqual(bytes)
    await vault.close()
  })

  test('is open once at a time', async () => {
    const disk = newDisk()
    const vault = await open(disk)
    await expect(open(disk)).rejects.toMatchObject({ code: 'DISK_LOCKED' })
    await vault.close()
    await (await open(disk)).close()
    await expect(vault.get(sha256(new Uint8Array(1)))).rejects.toMatchObject({ code: 'VAULT_CLOSED' })
  })
})

test('rolls to a new pack and reads all of them again', async () => {
  const disk = memoryDisk()
  let vault = await open(disk)
  const objects = Array.from({ length: 2_400 }, (_, i) => {
    const bytes = new Uint8Array(60_000)
    bytes.set([i >> 8, i & 255])
    return { address: sha256(bytes), bytes }
  })
  for (let i = 0; i < objects.length; i += 200) await vault.putMany(objects.slice(i, i + 200))
  expect(vault.stats().packs).toBe(3)
  for (const [path, bytes] of disk.files())
    expect([path, bytes.length <= 64 * 1024 * 1024]).toEqual([path, true])
  disk.crash()
  vault = await open(disk)
  expect(vault.stats()).toMatchObject({ objects: 2_400, packs: 3 })
  for (const { address } of objects.slice(0, 2_400).filter((_, i) => i % 100 === 0)) {
    expect(await vault.get(address)).toBeDefined()
  }
})

test('refuses what is not an object, and changes nothing', async () => {
  const vault = await open(memoryDisk())
  const good = object(10)
  await expect(vault.putMany([good, { address: good.address, bytes: random(10) }])).rejects.toMatchObject({
    code: 'OBJECT_ADDRESS',
  })
  await expect(
    vault.putMany([good, { address: sha256(new Uint8Array(0)), bytes: new Uint8Array(0) }]),
  ).rejects.toMatchObject({ code: 'OBJECT_SIZE' })
  expect(vault.stats().objects).toBe(0)
})

test('a full disk is said, and nothing is half-written', async () => {
  const disk = memoryDisk()
  const vault = await open(disk)
  const before = small(5)
  await vault.putMany(before)
  const size = (await disk.stat('vault/packs/00000001.pack'))?.sizeBytes
  disk.fill(70_000)
  const more = [object(LARGE_OBJECT_BYTES), ...small(60)]
  await expect(vault.putMany(more)).rejects.toMatchObject({ code: 'DISK_FULL' })
  expect((await disk.stat('vault/packs/00000001.pack'))?.sizeBytes).toBe(size)
  expect(vault.stats()).toMatchObject({ objects: 5, largeObjects: 0 })
  expect(disk.files().some(([path]) => path.startsWith('vault/large'))).toBe(false)
  disk.fill(Number.POSITIVE_INFINITY)
  await vault.putMany(more)
  expect(vault.stats().objects).toBe(66)
})

test('a vault of a newer program is refused, one without its format file too', async () => {
  const disk = memoryDisk()
  const vault = await open(disk)
  await vault.putMany(small(1))
  await vault.close()
  await disk.write('vault/format', new TextEncoder().encode('salus-vault 2\n'))
  await expect(open(disk)).rejects.toMatchObject({ code: 'VAULT_NEWER', data: { version: 2 } })
  await disk.write('vault/format', random(1_000))
  await expect(open(disk)).rejects.toMatchObject({ code: 'VAULT_FORMAT' })
  await disk.remove('vault/format')
  await expect(open(disk)).rejects.toMatchObject({ code: 'VAULT_FORMAT' })
})

test('an altered header costs at most its own object, and scrub names the place', async () => {
  const disk = memoryDisk()
  let vault = await open(disk)
  const objects = small(6)
  await vault.putMany(objects.slice(0, 5))
  await vault.putMany(objects.slice(5))
  await vault.close()
  await disk.remove('vault/packs/00000001.index')
  const third = 2 * 48 + (48 + 100) + (48 + 101)
  disk.corrupt('vault/packs/00000001.pack', third + 20)
  vault = await open(disk)
  expect(vault.stats().objects).toBe(5)
  const { damage } = await vault.scrub({ expected: objects.map((each) => each.address) })
  expect(damage.map((each) => each.offset)).toEqual([third, 0])
  expect(damage[1]).toMatchObject({
    what: 'the object is missing',
    address: toHex(objects[2]?.address ?? random(1)),
  })
})

test('a pack put back from a backup does not bring an erased object back for good', async () => {
  const disk = memoryDisk()
  let vault = await open(disk)
  const objects = small(4)
  await vault.putMany(objects)
  await vault.close()
  const copy = await disk.read('vault/packs/00000001.pack')
  await disk.write('vault/packs/00000009.pack', copy ?? new Uint8Array())
  vault = await open(disk)
  await vault.erase(objects.map((each) => each.address))
  await vault.close()
  vault = await open(disk)
  expect(vault.stats().objects).toBe(0)
})

async function flip(disk: Disk, path: string, offset: number): Promise<void> {
  const bytes = await disk.readRange(path, offset, 1)
  await disk.overwrite(path, offset, new Uint8Array([(bytes[0] ?? 0) ^ 1]))
}

async function bytesOnDisk(disk: Disk, wanted: Uint8Array, dir = 'vault'): Promise<boolean> {
  for (const name of await disk.list(dir)) {
    if (name.endsWith('/')) {
      if (await bytesOnDisk(disk, wanted, `${dir}/${name.slice(0, -1)}`)) return true
    } else if (name !== 'lock') {
      const bytes = Buffer.from((await disk.read(`${dir}/${name}`)) ?? [])
      if (bytes.includes(Buffer.from(wanted))) return true
    }
  }
  return false
}
