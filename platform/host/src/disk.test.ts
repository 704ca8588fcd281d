import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { Disk } from './disk.ts'
import { memoryDisk } from './memory-disk.ts'
import { seededRandom } from './random.ts'
import { systemDisk } from './system/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'salus-disk-'))
afterAll(() => rm(folder, { recursive: true }))
let folders = 0

const kinds: [name: string, make: () => Disk][] = [
  ['memory', memoryDisk],
  ['system', () => systemDisk(join(folder, String(folders++)))],
]
const bytes = (...values: number[]) => Uint8Array.from(values)
const code = (value: string) => expect.objectContaining({ code: value })

describe.each(kinds)('%s disk', (_, make) => {
  test('write then read gives the same bytes, and replaces what was there', async () => {
    const disk = make()
    expect(await disk.read('a/b/c')).toBeUndefined()
    await disk.write('a/b/c', bytes(1, 2, 3))
    await disk.write('a/b/c', bytes(4))
    expect(await disk.read('a/b/c')).toEqual(bytes(4))
    await disk.write('empty', bytes())
    expect(await disk.read('empty')).toEqual(bytes())
  })

  test('readRange stops where the file ends', async () => {
    const disk = make()
    await disk.write('f', bytes(1, 2, 3, 4))
    expect(await disk.readRange('f', 1, 2)).toEqual(bytes(2, 3))
    expect(await disk.readRange('f', 3, 10)).toEqual(bytes(4))
    expect(await disk.readRange('f', 9, 10)).toEqual(bytes())
    await expect(disk.readRange('none', 0, 1)).rejects.toEqual(code('DISK_NOT_FOUND'))
  })

  test('appends made without waiting land in the order of the calls', async () => {
    const disk = make()
    const file = await disk.openAppend('dir/log')
    await Promise.all([file.append(bytes(1)), file.append(bytes(2, 2)), file.append(bytes(3)), file.sync()])
    expect(file.size).toBe(4)
    expect(await disk.read('dir/log')).toEqual(bytes(1, 2, 2, 3))
    await file.close()
    await file.close()
    const again = await disk.openAppend('dir/log')
    expect(again.size).toBe(4)
    await again.append(bytes(4))
    await again.truncate(2)
    expect(again.size).toBe(2)
    await again.append(bytes(9))
    expect(await disk.read('dir/log')).toEqual(bytes(1, 2, 9))
    await expect(again.truncate(4)).rejects.toEqual(code('DISK_RANGE'))
    await again.close()
    await expect(again.append(bytes(1))).rejects.toEqual(code('DISK_CLOSED'))
  })

  test('overwrite changes bytes in place and cannot grow the file', async () => {
    const disk = make()
    await disk.write('f', bytes(1, 2, 3))
    await disk.overwrite('f', 1, bytes(8, 9))
    expect(await disk.read('f')).toEqual(bytes(1, 8, 9))
    await expect(disk.overwrite('f', 2, bytes(0, 0))).rejects.toEqual(code('DISK_RANGE'))
    await expect(disk.overwrite('none', 0, bytes(0))).rejects.toEqual(code('DISK_NOT_FOUND'))
    expect(await disk.read('f')).toEqual(bytes(1, 8, 9))
  })

  test('list names files and directories, sorted', async () => {
    const disk = make()
    expect(await disk.list('nowhere')).toEqual([])
    await disk.write('d/b', bytes())
    await disk.write('d/a/x', bytes())
    await disk.write('c', bytes())
    await disk.makeDir('d/e')
    await disk.makeDir('d/e')
    expect(await disk.list('')).toEqual(['c', 'd/'])
    expect(await disk.list('d')).toEqual(['a/', 'b', 'e/'])
  })

  test('stat tells the size, and nothing about what is not a file', async () => {
    const disk = make()
    await disk.write('d/f', new Uint8Array(5_000))
    const found = await disk.stat('d/f')
    expect(found?.sizeBytes).toBe(5_000)
    expect(found?.allocatedBytes).toBeGreaterThanOrEqual(5_000)
    expect(await disk.stat('d')).toBeUndefined()
    expect(await disk.stat('none')).toBeUndefined()
  })

  test('remove and rename', async () => {
    const disk = make()
    await disk.write('d/f', bytes(1))
    await disk.write('d/g', bytes(2))
    await disk.rename('d/f', 'e/new')
    await disk.rename('d/g', 'e/new')
    expect(await disk.read('e/new')).toEqual(bytes(2))
    expect(await disk.read('d/f')).toBeUndefined()
    await disk.rename('e', 'h')
    expect(await disk.read('h/new')).toEqual(bytes(2))
    await disk.remove('h')
    await disk.remove('h')
    expect(await disk.list('')).toEqual(['d/'])
    await expect(disk.rename('none', 'x')).rejects.toEqual(code('DISK_NOT_FOUND'))
  })

  test('paths cannot leave the root', async () => {
    const disk = make()
    for (const path of ['../x', '/x', 'a//b', 'a/./b', 'a/..', '', 'a\\b', 'a/']) {
      await expect(disk.write(path, bytes()), path).rejects.toEqual(code('DISK_PATH'))
    }
  })

  test('a lock has one holder, until it gives it back', async () => {
    const disk = make()
    const lock = await disk.lock('d/lock')
    await expect(disk.lock('d/lock')).rejects.toEqual(code('DISK_LOCKED'))
    await lock.release()
    await lock.release()
    const next = await disk.lock('d/lock')
    await next.release()
  })
})

describe('memory disk under failure', () => {
  test('a crash keeps what was synced and loses the rest', async () => {
    const disk = memoryDisk()
    await disk.write('w', bytes(1))
    const file = await disk.openAppend('log')
    await file.append(bytes(1, 2))
    await file.sync()
    await file.append(bytes(3))
    const never = await disk.openAppend('never')
    await never.append(bytes(1))
    await disk.lock('lock')
    disk.crash()
    expect(disk.files()).toEqual([
      ['log', bytes(1, 2)],
      ['w', bytes(1)],
    ])
    await expect(file.append(bytes(1))).rejects.toEqual(code('DISK_CLOSED'))
    await disk.lock('lock')
  })

  test('property: a torn crash keeps everything synced as a prefix, and no more than was appended', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 9 })),
        fc.nat(9),
        fc.string(),
        async (parts, synced, seed) => {
          const disk = memoryDisk()
          const file = await disk.openAppend('f')
          for (const [i, part] of parts.entries()) {
            await file.append(part)
            if (i === synced) await file.sync()
          }
          const all = Uint8Array.from(parts.flatMap((part) => [...part]))
          const safe = synced < parts.length ? parts.slice(0, synced + 1).flatMap((part) => [...part]) : []
          disk.crash({ tear: seededRandom(seed) })
          const left = (await disk.read('f')) ?? bytes()
          expect([...left.subarray(0, safe.length)]).toEqual(safe)
          expect(left.length).toBeLessThanOrEqual(all.length)
        },
      ),
    )
  })

  test('a full disk refuses, keeps what was there, and works again when there is room', async () => {
    const disk = memoryDisk()
    await disk.write('w', bytes(1, 2, 3))
    const file = await disk.openAppend('f')
    disk.fill(2)
    await file.append(bytes(1, 2))
    await expect(file.append(bytes(3))).rejects.toEqual(code('DISK_FULL'))
    await expect(disk.write('w', bytes(1, 2, 3, 4))).rejects.toEqual(code('DISK_FULL'))
    expect(await disk.read('w')).toEqual(bytes(1, 2, 3))
    expect(file.size).toBe(2)
    await disk.remove('w')
    await file.append(bytes(3))
    expect(await disk.read('f')).toEqual(bytes(1, 2, 3))
  })

  test('stopAfter fails at that change and stays failed until the crash', async () => {
    const disk = memoryDisk()
    disk.stopAfter(1)
    await disk.write('a', bytes(1))
    await expect(disk.write('b', bytes(1))).rejects.toEqual(code('DISK_IO'))
    await expect(disk.read('a')).rejects.toEqual(code('DISK_IO'))
    disk.crash()
    expect(await disk.read('a')).toEqual(bytes(1))
    expect(await disk.read('b')).toBeUndefined()
  })
})
