import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cosign,
  equal,
  formatNoteSignature,
  leafHash,
  merkleRoot,
  NOTE_COSIGNATURE,
  openCheckpoint,
  parseNote,
  parseTlogProof,
  sha256,
  signingKey,
  utf8,
  verifierKey,
  verifyConsistency,
  verifyInclusion,
  verifyTlogProof,
} from '@salus/core'
import { type Disk, memoryDisk } from '@salus/host'
import { systemDisk } from '@salus/host/system'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { TileLog } from './tile-log.ts'
import { verifyLog } from './verify-log.ts'

const key = signingKey(sha256(utf8('log key')))
const origin = 'log.example/one'
const vkey = verifierKey(origin, key.publicKey)
const open = (disk: Disk, more: { held?: string } = {}) =>
  TileLog.open({ disk, path: 'log', origin, key, ...more })
const leafOf = (i: number) => sha256(utf8(`leaf ${i}`))
const leaves = (count: number, from = 0) => Array.from({ length: count }, (_, i) => leafOf(from + i))
const code = (value: string) => expect.objectContaining({ code: value })

const folder = await mkdtemp(join(tmpdir(), 'salus-tile-log-'))
afterAll(() => rm(folder, { recursive: true }))
let folders = 0
const kinds: [name: string, make: () => Disk][] = [
  ['memory', memoryDisk],
  ['system', () => systemDisk(join(folder, String(folders++)))],
]

describe.each(kinds)('a log on the %s disk', (_, make) => {
  test('an empty log has a signed checkpoint of size 0', async () => {
    await using log = await open(make())
    const { checkpoint } = openCheckpoint(log.checkpoint(), [vkey])
    expect(checkpoint).toEqual({ origin, size: 0, root: merkleRoot([]) })
  })

  test('concurrent appends get indexes in the order of the calls, and the log survives reopening', async () => {
    const disk = make()
    const log = await open(disk)
    const placed = await Promise.all(leaves(600).map((leaf) => log.append(leaf)))
    expect(placed.map(({ index }) => index)).toEqual(leaves(600).map((_, i) => i))
    expect(await log.appendMany(leaves(5, 600))).toEqual({ index: 600 })
    await log.close()
    await expect(log.append(leafOf(0))).rejects.toEqual(code('LOG_CLOSED'))

    await using again = await open(disk)
    expect(again.size).toBe(605)
    expect(again.root).toEqual(merkleRoot(leaves(605)))
    expect(await again.leaf(256)).toEqual(leafOf(256))
    const all = []
    for await (const leaf of again.leaves(3)) all.push(leaf)
    expect(all).toEqual(leaves(602, 3))
    await again.append(leafOf(605))
    expect(again.root).toEqual(merkleRoot(leaves(606)))
    expect(await verifyLog(disk, 'log', vkey)).toEqual({ ok: true, size: 606, problems: [] })
  })

  test('two logs cannot be opened on one directory', async () => {
    const disk = make()
    await using log = await open(disk)
    await expect(open(disk)).rejects.toEqual(code('DISK_LOCKED'))
    expect(log.size).toBe(0)
  })
})

test('property: every proof between any two sizes verifies, across tile borders and after reopening', async () => {
  const disk = memoryDisk()
  const total = 66_000
  const data = leaves(total)
  const first = await open(disk)
  for (let at = 0; at < total; at += 6_000) await first.appendMany(data.slice(at, at + 6_000))
  await first.close()
  await using log = await open(disk)
  expect(equal(log.root, merkleRoot(data))).toBe(true)
  await fc.assert(
    fc.asyncProperty(fc.nat(total - 1), fc.nat(total), async (index, other) => {
      const size = Math.max(index + 1, other)
      const root = await log.rootAt(size)
      const proof = await log.inclusion(index, size)
      expect(verifyInclusion({ leafHash: leafHash(leafOf(index)), index, size, proof, root })).toBe(true)
      const [size1, size2] = index < other ? [index, other] : [other, index]
      const joined = await log.consistency(size1, size2)
      const roots = { root1: await log.rootAt(size1), root2: await log.rootAt(size2) }
      if (size1 > 0) expect(verifyConsistency({ size1, size2, proof: joined, ...roots })).toBe(true)
    }),
    { numRuns: 60 },
  )
  await expect(log.inclusion(total)).rejects.toEqual(code('LOG_RANGE'))
  await expect(log.inclusion(0, total + 1)).rejects.toEqual(code('LOG_RANGE'))
})

test('a proof text is a C2SP tlog-proof that anybody can verify', async () => {
  await using log = await open(memoryDisk())
  await log.appendMany(leaves(300))
  const proof = parseTlogProof(await log.proof(299, 299 + 1))
  const opened = verifyTlogProof({ proof, leafHash: leafHash(leafOf(299)), origin, log: vkey, cosigners: [] })
  expect(opened.checkpoint.size).toBe(300)
  const earlier = parseTlogProof(await log.proof(7, 100))
  expect(
    verifyTlogProof({ proof: earlier, leafHash: leafHash(leafOf(7)), origin, log: vkey, cosigners: [] })
      .checkpoint.size,
  ).toBe(100)
})

test('resources are the slices that C2SP tlog-tiles asks for', async () => {
  const disk = memoryDisk()
  await using log = await open(disk)
  await log.appendMany(leaves(600))
  const hashes = leaves(600).map(leafHash)
  const joined = (parts: readonly Uint8Array[]) => Buffer.concat(parts)
  const get = async (path: string) => {
    const bytes = await log.resource(path)
    return bytes && Buffer.from(bytes)
  }
  expect(await get('tile/0/000')).toEqual(joined(hashes.slice(0, 256)))
  expect(await get('tile/0/002.p/88')).toEqual(joined(hashes.slice(512, 600)))
  // A partial tile that has become full since is still served.
  expect(await get('tile/0/001.p/3')).toEqual(joined(hashes.slice(256, 259)))
  expect(await get('tile/1/000.p/2')).toEqual(joined([merkleRoot(leaves(256)), merkleRoot(leaves(256, 256))]))
  expect(await get('tile/entries/001.p/1')).toEqual(joined([Uint8Array.of(0, 32), leafOf(256)]))
  expect((await get('tile/entries/000'))?.length).toBe(256 * 34)
  expect(await get('tile/0/002.p/89')).toBeUndefined()
  expect(await get('tile/0/002')).toBeUndefined()
  expect(await get('tile/2/000.p/1')).toBeUndefined()
  expect((await get('checkpoint'))?.toString()).toBe(log.checkpoint())
  await expect(log.resource('tile/0/2')).rejects.toEqual(code('TILE_PATH'))
})

test('leaves of any length up to 65,535 bytes come back as they were', async () => {
  const disk = memoryDisk()
  const lengths = [0, 1, 255, 256, 65_535, ...Array.from({ length: 400 }, (_, i) => i)]
  const log = await open(disk)
  for (const length of lengths) await log.append(new Uint8Array(length).fill(length % 251))
  await expect(log.append(new Uint8Array(65_536))).rejects.toEqual(code('LEAF_TOO_LONG'))
  await log.close()
  await using again = await open(disk)
  for (const [index, length] of lengths.entries()) expect((await again.leaf(index)).length).toBe(length)
  expect((await verifyLog(disk, 'log', vkey)).ok).toBe(true)
})

describe('cosignatures', () => {
  const signer = (name: string) => ({ name, key: signingKey(sha256(utf8(name))) })
  const cosignerKey = ({ name, key }: ReturnType<typeof signer>) =>
    verifierKey(name, key.publicKey, NOTE_COSIGNATURE)
  const a = signer('a')
  const b = signer('b')
  const cosigned = (note: string, by: ReturnType<typeof signer>) =>
    note + formatNoteSignature(cosign(parseNote(note).text, by, 1_000))

  test('come out with the checkpoint they cosign, and a newer checkpoint begins without', async () => {
    const disk = memoryDisk()
    const options = {
      disk,
      path: 'log',
      origin,
      key,
      sufficient: (names: readonly string[]) => names.includes('a') && names.includes('b'),
    }
    const log = await TileLog.open(options)
    await log.appendMany(leaves(3))
    const note = log.checkpoint()
    await log.addCosignatures(cosigned(note, a), [cosignerKey(a)])
    expect(parseNote(log.checkpoint()).signatures.length).toBe(2)
    expect(log.cosignedCheckpoint()).toMatchObject({ size: 3, isSufficient: false })
    await log.append(leafOf(3))
    expect(parseNote(log.checkpoint()).signatures.length).toBe(1)
    await log.addCosignatures(cosigned(note, b), [cosignerKey(a), cosignerKey(b)])
    await log.addCosignatures(cosigned(log.checkpoint(), a), [cosignerKey(a)])
    await log.close()

    await using again = await TileLog.open(options)
    expect(again.cosignedCheckpoint()).toMatchObject({ size: 3, isSufficient: true })
    expect(again.cosignedCheckpoint(4)).toMatchObject({ size: 4, isSufficient: false })
    const proof = parseTlogProof(await again.proof(0, 3))
    const opened = openCheckpoint(proof.checkpoint, [vkey, cosignerKey(a), cosignerKey(b)])
    expect(opened.signedBy.map((by) => by.key.name)).toEqual([origin, 'a', 'b'])
  })

  test('are refused from unknown keys, and for checkpoints this log never issued', async () => {
    await using log = await open(memoryDisk())
    await using other = await open(memoryDisk())
    await log.appendMany(leaves(3))
    await other.appendMany(leaves(3, 7))
    await expect(log.addCosignatures(cosigned(log.checkpoint(), b), [cosignerKey(a)])).rejects.toEqual(
      code('NOTE_SIGNATURE'),
    )
    await expect(log.addCosignatures(cosigned(other.checkpoint(), a), [cosignerKey(a)])).rejects.toEqual(
      code('CHECKPOINT_UNKNOWN'),
    )
    expect(log.cosignedCheckpoint()).toBeUndefined()
  })
})

test('a log that was rolled back is refused against a checkpoint that somebody holds', async () => {
  const disk = memoryDisk()
  const log = await open(disk)
  await log.appendMany(leaves(10))
  const copy = disk.files()
  await log.appendMany(leaves(10, 10))
  const held = log.checkpoint()
  await log.close()
  for (const [path, bytes] of copy) await disk.write(path, bytes)
  await expect(open(disk, { held })).rejects.toEqual(code('LOG_ROLLED_BACK'))
  const verdict = await verifyLog(disk, 'log', vkey, { held: [held] })
  expect(verdict.problems).toEqual([{ file: '', what: expect.stringContaining('rolled back') }])
  // The same size again with other leaves is a rewrite, not a rollback.
  const rewritten = await open(disk)
  await rewritten.appendMany(leaves(15, 100))
  await rewritten.close()
  await expect(open(disk, { held })).rejects.toEqual(code('LOG_ROLLED_BACK'))
  expect((await verifyLog(disk, 'log', vkey, { held: [held] })).problems[0]?.what).toContain('rewritten')
})

describe('tampering', () => {
  const files = ['log/checkpoint', 'log/entries', 'log/entries.index', 'log/hashes-0', 'log/hashes-1']

  test('property: one changed byte anywhere is found, in the file where it is', async () => {
    const disk = memoryDisk()
    const log = await open(disk)
    await log.appendMany(leaves(700))
    await log.close()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        async (file, at, mask) => {
          const sizeBytes = (await disk.stat(file))?.sizeBytes ?? 0
          const offset = Math.floor(at * sizeBytes)
          disk.corrupt(file, offset, mask)
          const { ok, problems } = await verifyLog(disk, 'log', vkey)
          disk.corrupt(file, offset, mask)
          expect(ok).toBe(false)
          // A changed entry shows in the hashes made from it, so either names it.
          const named = problems.map((problem) => problem.file)
          expect(
            named.some((name) => name === file || (file === 'log/entries' && name.startsWith('log/hashes'))),
          ).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  test.each(['log/checkpoint', 'log/hashes-0', 'log/hashes-1', 'log/entries'])(
    'a change at the edge of %s is found at open',
    async (file) => {
      const disk = memoryDisk()
      const log = await open(disk)
      await log.appendMany(leaves(700))
      await log.close()
      disk.corrupt(file, ((await disk.stat(file))?.sizeBytes ?? 0) - 3)
      await expect(open(disk)).rejects.toEqual(code('LOG_DAMAGED'))
    },
  )

  test('a lost file is damage, never a new log', async () => {
    for (const file of files) {
      const disk = memoryDisk()
      const log = await open(disk)
      await log.appendMany(leaves(300))
      await log.close()
      await disk.remove(file)
      await expect(open(disk), file).rejects.toMatchObject({ code: 'LOG_DAMAGED', data: { file } })
    }
  })
})
