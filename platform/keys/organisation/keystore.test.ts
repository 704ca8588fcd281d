import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '@salus/core'
import { type Disk, manualClock, memoryDisk, seededRandom } from '@salus/host'
import { systemDisk } from '@salus/host/system'
import { afterAll, describe, expect, test } from 'vitest'
import { rotateDaily } from './daily-rotation.ts'
import { auditKey, hostedKrk, organisationKey, patientKey, patientPrefix } from './key-names.ts'
import { Keystore } from './keystore.ts'
import { exportBackup, restoreKeystore } from './keystore-backup.ts'
import { decodeFrames, decodeHeader, keystoreContext } from './keystore-format.ts'
import { type RootProvider, rootFromKey } from './root-provider.ts'

const DAY_MS = 86_400_000
const random = seededRandom(17)
const clock = manualClock(1_790_000_000_000)
const facts = { kind: 'file', protects: '', servesNetworks: false } as const
const rootKey = random(32)
const root = rootFromKey(facts, rootKey, random)
const open = (disk: Disk, more: { root?: RootProvider } = {}) =>
  Keystore.open({ disk, path: 'keystore', root, random, clock, ...more })
const keys = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: patientKey(`p${i}`, 'ck'), key: random(32) }))

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const realDisk = (): Disk => {
  const folder = mkdtempSync(join(tmpdir(), 'keystore-'))
  folders.push(folder)
  return systemDisk(folder)
}

describe.each([
  ['memory', memoryDisk],
  ['file system', realDisk],
] as const)('keystore on %s disk', (_, newDisk) => {
  test('gives back what was put, now and after opening again; names it in order', async () => {
    const disk = newDisk()
    let keystore = await open(disk)
    const entries = keys(50)
    await Promise.all(entries.map((each) => keystore.put([each])))
    await keystore.put(entries)
    for (let round = 0; round < 2; round++) {
      for (const { name, key } of entries) expect(keystore.get(name)).toEqual(key)
      expect(keystore.names(patientPrefix('p7'))).toEqual([patientKey('p7', 'ck')])
      expect(keystore.size).toBe(50)
      await keystore.close()
      keystore = await open(disk)
    }
    await keystore.close()
  })

  test('a deleted key is gone at once, stays gone, and after a rotation nobody can have it', async () => {
    const disk = newDisk()
    let keystore = await open(disk)
    const entries = keys(6)
    await keystore.put(entries)
    const gone = entries.slice(0, 2)
    const names = gone.map((each) => each.name)
    expect(await keystore.delete([...names, ...names, patientKey('nobody', 'ck')])).toBe(2)
    expect(keystore.deletedSinceRotation).toBe(2)
    await keystore.close()
    keystore = await open(disk)
    expect(keystore.deletedSinceRotation).toBe(2)
    for (const { name } of gone) expect(keystore.get(name)).toBeUndefined()
    expect(await keystore.rotate()).toEqual({ generation: 2, destroyed: 2, how: 'rewritten' })
    expect(keystore.deletedSinceRotation).toBe(0)
    const had = await everythingTheRootOpens(disk)
    for (const { key } of gone) expect(had.has(String(key))).toBe(false)
    for (const { key } of entries.slice(2)) expect(had.has(String(key))).toBe(true)
    await keystore.put([{ name: names[0] ?? '', key: random(32) }])
    await keystore.close()
    keystore = await open(disk)
    expect([keystore.generation, keystore.size]).toEqual([2, 5])
    await keystore.close()
  })

  test('is open once at a time', async () => {
    const disk = newDisk()
    const keystore = await open(disk)
    await expect(open(disk)).rejects.toMatchObject({ code: 'DISK_LOCKED' })
    await keystore.close()
    await expect(keystore.put(keys(1))).rejects.toMatchObject({ code: 'KEYSTORE_CLOSED' })
    await (await open(disk)).close()
  })
})

describe('keys', () => {
  test('names say what they are for', () => {
    expect(organisationKey('directory')).toBe('org/directory/1')
    expect(patientKey('a-1', 'ik', 2)).toBe('patient/a-1/ik/2')
    expect(auditKey('a-1', 2026)).toBe('patient/a-1/ak/2026')
    expect(hostedKrk(new Uint8Array(2).fill(255), 3)).toBe('hosted/ffff/3')
    expect(() => patientKey('a b', 'ck')).toThrowError(expect.objectContaining({ code: 'KEY_NAME' }))
  })

  test('getOrMake makes once, also when asked many times at once', async () => {
    const keystore = await open(memoryDisk())
    const made = await Promise.all(Array.from({ length: 20 }, () => keystore.getOrMake('org/session/1')))
    expect(new Set(made.map(String)).size).toBe(1)
    expect(keystore.get('org/session/1')).toEqual(made[0])
  })

  test('what is given out is a copy', async () => {
    const keystore = await open(memoryDisk())
    const key = await keystore.getOrMake('org/sign/1')
    keystore.get('org/sign/1')?.fill(0)
    expect(keystore.get('org/sign/1')).toEqual(key)
  })

  test('a name is never given a second key, and bad input changes nothing', async () => {
    const disk = memoryDisk()
    const keystore = await open(disk)
    await keystore.put([{ name: 'a', key: random(32) }])
    const { changes } = disk
    for (const [code, entries] of [
      [
        'KEY_EXISTS',
        [
          { name: 'b', key: random(32) },
          { name: 'a', key: random(32) },
        ],
      ],
      [
        'KEY_EXISTS',
        [
          { name: 'b', key: random(32) },
          { name: 'b', key: random(32) },
        ],
      ],
      [
        'KEY_NAME',
        [
          { name: 'b', key: random(32) },
          { name: 'ä', key: random(32) },
        ],
      ],
      [
        'KEY_SIZE',
        [
          { name: 'b', key: random(32) },
          { name: 'c', key: random(0) },
        ],
      ],
      ['KEY_SIZE', [{ name: 'c', key: random(4_097) }]],
    ] as const) {
      await expect(keystore.put(entries)).rejects.toMatchObject({ code })
    }
    expect([keystore.names(), disk.changes]).toEqual([['a'], changes])
  })
})

describe('at rest', () => {
  test('no key and no name lies there in clear', async () => {
    const disk = memoryDisk()
    const keystore = await open(disk)
    const entries = keys(5)
    await keystore.put(entries)
    await keystore.rotate()
    for (const [, bytes] of disk.files()) {
      const stored = Buffer.from(bytes)
      for (const { name, key } of entries) {
        expect(stored.includes(Buffer.from(key)) || stored.includes(name)).toBe(false)
      }
    }
  })

  test('the old generation is zeros before it is removed', async () => {
    const disk = memoryDisk()
    const removed: [string, boolean][] = []
    const watching: Disk = {
      ...disk,
      async remove(path) {
        removed.push([path, ((await disk.read(path)) ?? new Uint8Array(1)).every((byte) => byte === 0)])
        await disk.remove(path)
      },
    }
    const keystore = await open(watching)
    await keystore.put(keys(3))
    await keystore.rotate()
    expect(removed).toEqual([['keystore/00000001.keys', true]])
  })

  test('moves to another root provider; the former one opens nothing any more', async () => {
    const disk = memoryDisk()
    const keystore = await open(disk)
    const entries = keys(3)
    await keystore.put(entries)
    const other = rootFromKey(facts, random(32), random)
    await keystore.rotate({ root: other })
    await keystore.close()
    await expect(open(disk)).rejects.toMatchObject({ code: 'ROOT_KEY_WRONG' })
    expect((await open(disk, { root: other })).get(entries[0]?.name ?? '')).toEqual(entries[0]?.key)
  })

  test('an altered byte anywhere is refused by file, never taken for a torn end', async () => {
    const disk = memoryDisk()
    const keystore = await open(disk)
    for (const each of keys(4)) await keystore.put([each])
    await keystore.close()
    const sealBytes = 16 + 29
    const size = (await disk.stat('keystore/00000001.keys'))?.sizeBytes ?? 0
    for (let at = 0; at < size - sealBytes; at += 7) {
      disk.corrupt('keystore/00000001.keys', at)
      const code = await open(disk).then(
        () => 'opened',
        (error: unknown) => (error instanceof AppError ? error.code : 'other'),
      )
      expect([at, ['KEYSTORE_ALTERED', 'KEYSTORE_NEWER', 'ROOT_KEY_WRONG'].includes(code)]).toEqual([
        at,
        true,
      ])
      disk.corrupt('keystore/00000001.keys', at)
    }
    expect((await open(disk)).size).toBe(4)
  })

  test('a full disk is said; what was there stays; a rotation that does not fit changes nothing', async () => {
    const disk = memoryDisk()
    let keystore = await open(disk)
    await keystore.put(keys(20))
    disk.fill(50)
    await expect(keystore.put([{ name: 'more', key: random(32) }])).rejects.toMatchObject({
      code: 'DISK_FULL',
    })
    await expect(keystore.rotate()).rejects.toMatchObject({ code: 'DISK_FULL' })
    disk.fill(Number.POSITIVE_INFINITY)
    await keystore.put([{ name: 'other', key: random(32) }])
    await keystore.close()
    keystore = await open(disk)
    expect([keystore.generation, keystore.size, keystore.has('more')]).toEqual([1, 21, false])
  })
})

describe('daily rotation', () => {
  test('rotates once a day, and only if something was deleted', async () => {
    const time = manualClock(0)
    const keystore = await open(memoryDisk())
    const seen: number[] = []
    const errors: unknown[] = []
    const daily = rotateDaily({
      keystore,
      clock: time,
      onRotation: (rotation) => seen.push(rotation.destroyed),
      onError: (error) => errors.push(error),
    })
    await keystore.put(keys(3))
    time.advance(DAY_MS)
    await keystore.delete([patientKey('p0', 'ck'), patientKey('p1', 'ck')])
    expect(keystore.generation).toBe(1)
    time.advance(DAY_MS)
    await keystore.put(keys(0))
    await keystore.delete([patientKey('p2', 'ck')])
    expect([keystore.generation, seen, errors]).toEqual([2, [2], []])
    daily.stop()
    time.advance(3 * DAY_MS)
    expect(keystore.deletedSinceRotation).toBe(1)
  })
})

describe('backup', () => {
  const nowMs = clock.now()
  const restore = (disk: Disk, backup: Uint8Array, atMs = nowMs) =>
    restoreKeystore({ disk, path: 'keystore', root, random, clock: manualClock(atMs), backup })

  test('comes back as it was, as a new generation; tombstones replayed, it forgets them for good', async () => {
    const first = await open(memoryDisk())
    const entries = keys(4)
    await first.put(entries)
    const backup = await exportBackup({ keystore: first, random, nowMs })
    await first.delete([entries[0]?.name ?? ''])
    await first.rotate()
    const disk = memoryDisk()
    const back = await restore(disk, backup, nowMs + 34 * DAY_MS)
    expect([back.generation, back.names()]).toEqual([2, entries.map((each) => each.name)])
    await back.delete([entries[0]?.name ?? ''])
    await back.rotate()
    expect((await everythingTheRootOpens(disk)).has(String(entries[0]?.key))).toBe(false)
  })

  test('is refused when too old, from the future, altered, of another root, or where keys are', async () => {
    const disk = memoryDisk()
    const keystore = await open(disk)
    await keystore.put(keys(2))
    const backup = await exportBackup({ keystore, random, nowMs })
    await expect(restore(memoryDisk(), backup, nowMs + 35 * DAY_MS + 1)).rejects.toMatchObject({
      code: 'BACKUP_EXPIRED',
    })
    await expect(restore(memoryDisk(), backup, nowMs - 2 * DAY_MS)).rejects.toMatchObject({
      code: 'BACKUP_AHEAD',
    })
    await expect(restore(disk, backup)).rejects.toMatchObject({ code: 'KEYSTORE_EXISTS' })
    const foreign = await exportBackup({
      keystore,
      random,
      nowMs,
      root: rootFromKey(facts, random(32), random),
    })
    await expect(restore(memoryDisk(), foreign)).rejects.toMatchObject({ code: 'ROOT_KEY_WRONG' })
    for (let at = 0; at < backup.length; at += 5) {
      const bytes = backup.slice()
      bytes[at] = (bytes[at] ?? 0) ^ 1
      await expect(restore(memoryDisk(), bytes)).rejects.toThrow()
    }
  })
})

/** Every key that somebody with the disk and the root key can get at: any header, any frame, any offset. */
async function everythingTheRootOpens(disk: Disk): Promise<Set<string>> {
  const found = new Set<string>()
  for (const name of await disk.list('keystore')) {
    if (name === 'lock') continue
    const content = (await disk.read(`keystore/${name}`)) ?? new Uint8Array(0)
    const { header, end } = decodeHeader(name, content)
    const context = keystoreContext(header)
    const ksk = await rootFromKey(facts, rootKey, random).unwrap(header.wrapped, context)
    for (const { key } of decodeFrames({ file: name, content, from: end, ksk, context }).changes) {
      if (key !== undefined) found.add(String(key))
    }
  }
  return found
}
