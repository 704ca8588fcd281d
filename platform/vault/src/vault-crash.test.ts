import { type AppError, equal, sha256, toHex } from '@salus/core'
import { type MemoryDisk, manualClock, memoryDisk, type Random, seededRandom } from '@salus/host'
import { expect, test } from 'vitest'
import { LARGE_OBJECT_BYTES, Vault } from './vault.ts'
import type { VaultObject } from './vault-types.ts'

/** What the outside world knows: `stored` and `erased` were acknowledged, `begun` were asked for. */
interface World {
  readonly stored: Map<string, VaultObject>
  readonly erased: Map<string, VaultObject>
  readonly begun: Map<string, VaultObject>
}

const open = (disk: MemoryDisk) => Vault.open({ disk, path: 'v', clock: manualClock() })

/** Three rounds of puts, erasures and compaction, with acknowledgements noted as they come. */
async function live(disk: MemoryDisk, world: World, random: Random): Promise<void> {
  const vault = await open(disk)
  const put = async (objects: VaultObject[]) => {
    for (const each of objects) world.begun.set(toHex(each.address), each)
    await vault.putMany(objects)
    for (const each of objects) {
      world.begun.delete(toHex(each.address))
      world.stored.set(toHex(each.address), each)
    }
  }
  const erase = async (objects: VaultObject[]) => {
    for (const each of objects) {
      world.stored.delete(toHex(each.address))
      world.begun.set(toHex(each.address), each)
    }
    await vault.erase(objects.map((each) => each.address))
    for (const each of objects) {
      world.begun.delete(toHex(each.address))
      world.erased.set(toHex(each.address), each)
    }
  }
  for (let round = 0; round < 3; round++) {
    const objects = Array.from({ length: 6 }, (_, i) => object(random, 60 + 40 * i))
    const large = object(random, LARGE_OBJECT_BYTES + round)
    await Promise.all([put(objects.slice(0, 3)), put(objects.slice(3)), put([large])])
    await erase([...objects.slice(1, 5), large])
    await vault.compact()
    await put([object(random, 500)])
  }
  await vault.close()
}

function object(random: Random, sizeBytes: number): VaultObject {
  const bytes = random(sizeBytes)
  return { address: sha256(bytes), bytes }
}

async function check(disk: MemoryDisk, world: World): Promise<void> {
  const vault = await open(disk)
  for (const { address, bytes } of world.stored.values()) {
    const read = await vault.get(address).catch((error: AppError) => error.code)
    expect(read).toEqual(bytes)
  }
  for (const { address } of world.erased.values()) expect(vault.has(address)).toBe(false)
  for (const { address, bytes } of world.begun.values()) {
    const read = await vault.get(address)
    expect(read === undefined || equal(read, bytes)).toBe(true)
  }
  expect((await vault.scrub()).damage).toEqual([])
  const files = disk.files()
  for (const { bytes } of world.erased.values()) {
    const wanted = Buffer.from(bytes.subarray(0, 32))
    expect(
      files.filter(([, content]) => Buffer.from(content).includes(wanted)).map(([path]) => path),
    ).toEqual([])
  }
  // It works on: one more object, and everything again after another start.
  const more = object(seededRandom(999), 77)
  await vault.putMany([more])
  await vault.close()
  const again = await open(disk)
  for (const { address } of [...world.stored.values(), more]) expect(await again.get(address)).toBeDefined()
  await again.close()
}

test('power lost at every step: nothing acknowledged is lost, nothing erased returns, nothing is half there', async () => {
  const steps = memoryDisk()
  await live(steps, { stored: new Map(), erased: new Map(), begun: new Map() }, seededRandom(1))
  expect(steps.changes).toBeGreaterThan(40)
  for (let step = 0; step <= steps.changes; step++) {
    for (const tear of [undefined, seededRandom(step), seededRandom(10_000 + step)]) {
      const disk = memoryDisk()
      const world: World = { stored: new Map(), erased: new Map(), begun: new Map() }
      disk.stopAfter(step)
      await live(disk, world, seededRandom(1)).catch(() => undefined)
      disk.crash(tear ? { tear } : {})
      await check(disk, world)
    }
  }
})

test('power lost again and again while it repairs itself', async () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = seededRandom(seed)
    const disk = memoryDisk()
    const world: World = { stored: new Map(), erased: new Map(), begun: new Map() }
    for (let life = 0; life < 4; life++) {
      disk.stopAfter(5 + ((random(1)[0] ?? 0) % 40))
      await live(disk, world, random).catch(() => undefined)
      disk.crash({ tear: random })
      disk.stopAfter((random(1)[0] ?? 0) % 4)
      await open(disk).catch(() => undefined)
      disk.crash({ tear: random })
    }
    await check(disk, world)
  }
})
