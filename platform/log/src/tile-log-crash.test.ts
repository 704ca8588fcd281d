import { equal, merkleRoot, sha256, signingKey, utf8, verifierKey } from '@salus/core'
import { memoryDisk, seededRandom } from '@salus/host'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TileLog } from './tile-log.ts'
import { verifyLog } from './verify-log.ts'

const key = signingKey(sha256(utf8('log key')))
const origin = 'log.example/crash'
const vkey = verifierKey(origin, key.publicKey)

test('property: power lost at any step, torn writes included, loses no acknowledged leaf and leaves a sound log', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          stopAfter: fc.nat(40),
          batches: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      fc.string(),
      async (lives, seed) => {
        const disk = memoryDisk()
        const tear = seededRandom(seed)
        const acknowledged: Uint8Array[] = []
        let made = 0
        for (const { stopAfter, batches } of lives) {
          disk.stopAfter(stopAfter)
          let log: TileLog | undefined
          try {
            log = await TileLog.open({ disk, path: 'log', origin, key })
            const living = log
            await Promise.all(
              batches.map(async (count) => {
                const leaves = Array.from({ length: count }, () => sha256(utf8(`leaf ${made++}`)))
                const { index } = await living.appendMany(leaves)
                for (const [i, leaf] of leaves.entries()) acknowledged[index + i] = leaf
              }),
            )
            await living.close()
          } catch (error) {
            expect(['DISK_IO', 'LOG_STOPPED']).toContain((error as { code: string }).code)
            await log?.close().catch(() => undefined)
          }
          disk.crash({ tear })

          await using after = await TileLog.open({ disk, path: 'log', origin, key })
          const kept: Uint8Array[] = []
          for await (const leaf of after.leaves()) kept.push(leaf)
          expect(kept.length).toBeGreaterThanOrEqual(acknowledged.length)
          for (const [i, leaf] of acknowledged.entries())
            expect(equal(kept[i] ?? new Uint8Array(0), leaf)).toBe(true)
          expect(equal(after.root, merkleRoot(kept))).toBe(true)
          // Whole batches only: what was not acknowledged may be there, but never a part of it.
          for (let i = acknowledged.length; i < kept.length; i++) acknowledged[i] = kept[i] as Uint8Array
        }
        expect(await verifyLog(disk, 'log', vkey)).toMatchObject({ ok: true, size: acknowledged.length })
      },
    ),
    { numRuns: 80 },
  )
})

test('every single step of one flush is survived', async () => {
  for (let step = 0; ; step++) {
    const disk = memoryDisk()
    const log = await TileLog.open({ disk, path: 'log', origin, key })
    await log.appendMany(Array.from({ length: 255 }, (_, i) => sha256(utf8(`${i}`))))
    const before = disk.changes
    disk.stopAfter(step)
    const done = await log.appendMany([sha256(utf8('a')), sha256(utf8('b'))]).then(
      () => true,
      () => false,
    )
    const steps = disk.changes - before
    disk.crash({ tear: seededRandom(step) })
    await using after = await TileLog.open({ disk, path: 'log', origin, key })
    expect([done ? 257 : 255, 257]).toContain(after.size)
    expect((await verifyLog(disk, 'log', vkey)).ok).toBe(true)
    if (done) {
      expect(steps).toBeGreaterThanOrEqual(9)
      break
    }
  }
})

test('a hash level that a crash left alone, without the levels below, is cut too', async () => {
  const disk = memoryDisk()
  await (await TileLog.open({ disk, path: 'log', origin, key })).close()
  const stray = await disk.openAppend('log/hashes-1')
  await stray.append(sha256(utf8('of a flush that never was')))
  await stray.sync()
  await stray.close()
  const leaves = Array.from({ length: 256 }, (_, i) => sha256(utf8(`${i}`)))
  const log = await TileLog.open({ disk, path: 'log', origin, key })
  await log.appendMany(leaves)
  await log.close()
  await using after = await TileLog.open({ disk, path: 'log', origin, key })
  expect(equal(after.root, merkleRoot(leaves))).toBe(true)
  expect(await verifyLog(disk, 'log', vkey)).toMatchObject({ ok: true, size: 256 })
})

test('a full disk refuses the append, keeps the log sound and usable, and takes it when there is room', async () => {
  for (const room of [0, 10, 40, 60, 80, 100]) {
    const disk = memoryDisk()
    await using log = await TileLog.open({ disk, path: 'log', origin, key })
    await log.append(sha256(utf8('first')))
    disk.fill(room)
    const leaf = sha256(utf8('second'))
    const placed = await log.append(leaf).catch((error: unknown) => error)
    if (room < 66) expect(placed).toMatchObject({ code: 'DISK_FULL' })
    disk.fill(Number.POSITIVE_INFINITY)
    if (log.size === 1) expect(await log.append(leaf)).toEqual({ index: 1 })
    expect(log.root).toEqual(merkleRoot([sha256(utf8('first')), leaf]))
    expect(await verifyLog(disk, 'log', vkey)).toMatchObject({ ok: true, size: 2 })
  }
})

test('after a disk error the log signs nothing more until it is opened again', async () => {
  const disk = memoryDisk()
  const log = await TileLog.open({ disk, path: 'log', origin, key })
  disk.stopAfter(1)
  const results = await Promise.allSettled([log.append(sha256(utf8('a'))), log.append(sha256(utf8('b')))])
  for (const result of results)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'LOG_STOPPED' } })
  await expect(log.append(sha256(utf8('c')))).rejects.toMatchObject({ code: 'LOG_STOPPED' })
})
