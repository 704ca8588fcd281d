import { equal } from '@salus/core'
import { type MemoryDisk, manualClock, memoryDisk, type Random, seededRandom } from '@salus/host'
import { expect, test } from 'vitest'
import { Keystore } from './keystore.ts'
import { rootFromKey } from './root-provider.ts'

const root = rootFromKey(
  { kind: 'file', protects: '', servesNetworks: false },
  new Uint8Array(32).fill(9),
  seededRandom(0),
)

/** `kept` and `gone` were acknowledged; `open` are names asked for and not acknowledged. */
interface World {
  readonly kept: Map<string, Uint8Array>
  readonly gone: Set<string>
  readonly open: Set<string>
}

const newWorld = (): World => ({ kept: new Map(), gone: new Set(), open: new Set() })
const openKeystore = (disk: MemoryDisk, random: Random) =>
  Keystore.open({ disk, path: 'k', root, random, clock: manualClock() })

async function live(disk: MemoryDisk, world: World, random: Random): Promise<void> {
  const keystore = await openKeystore(disk, random)
  const put = async (name: string) => {
    const key = random(32)
    world.open.add(name)
    await keystore.put([{ name, key }])
    world.open.delete(name)
    world.kept.set(name, key)
  }
  const remove = async (name: string) => {
    world.open.add(name)
    world.kept.delete(name)
    await keystore.delete([name])
    world.open.delete(name)
    world.gone.add(name)
  }
  const mark = random(4).join('-')
  for (let round = 0; round < 3; round++) {
    await Promise.all(['a', 'b', 'c'].map((name) => put(`${mark}/${round}/${name}`)))
    await remove(`${mark}/${round}/b`)
    await keystore.rotate()
    await put(`${mark}/${round}/d`)
  }
  await keystore.close()
}

async function check(disk: MemoryDisk, world: World): Promise<void> {
  const random = seededRandom(4)
  const keystore = await openKeystore(disk, random)
  for (const [name, key] of world.kept)
    expect([name, equal(keystore.get(name) ?? new Uint8Array(), key)]).toEqual([name, true])
  for (const name of world.gone) expect([name, keystore.has(name)]).toEqual([name, false])
  for (const name of keystore.names()) expect(world.kept.has(name) || world.open.has(name)).toBe(true)
  expect(disk.files().filter(([path]) => path.endsWith('.keys'))).toHaveLength(1)
  await keystore.put([{ name: 'after', key: random(32) }])
  await keystore.close()
  const again = await openKeystore(disk, random)
  expect(again.has('after')).toBe(true)
  await again.close()
}

test('power lost at every step: no acknowledged key is lost, no deleted one returns', async () => {
  const steps = memoryDisk()
  await live(steps, newWorld(), seededRandom(1))
  expect(steps.changes).toBeGreaterThan(25)
  for (let step = 0; step <= steps.changes; step++) {
    for (const tear of [undefined, ...Array.from({ length: 4 }, (_, i) => seededRandom(100 * step + i))]) {
      const disk = memoryDisk()
      const world = newWorld()
      disk.stopAfter(step)
      await live(disk, world, seededRandom(1)).catch(() => undefined)
      disk.crash(tear ? { tear } : {})
      await check(disk, world)
    }
  }
})

test('power lost again and again, also while opening', async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = seededRandom(seed)
    const disk = memoryDisk()
    const world = newWorld()
    for (let life = 0; life < 4; life++) {
      disk.stopAfter((random(1)[0] ?? 0) % 30)
      await live(disk, world, random).catch(() => undefined)
      disk.crash({ tear: random })
      disk.stopAfter((random(1)[0] ?? 0) % 3)
      await openKeystore(disk, random).catch(() => undefined)
      disk.crash({ tear: random })
    }
    await check(disk, world)
  }
})
