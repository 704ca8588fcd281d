import { sha256, toHex } from '@salus/core'
import { type MemoryDisk, manualClock, memoryDisk, seededRandom } from '@salus/host'
import { expect, test } from 'vitest'
import { auditVault } from './audit.ts'
import { LARGE_OBJECT_BYTES, Vault } from './vault.ts'

const random = seededRandom('vault audit')
const object = (lengthBytes: number) => {
  const bytes = random(lengthBytes)
  return { address: sha256(bytes), bytes }
}

async function vaultWith(objects: ReturnType<typeof object>[]): Promise<MemoryDisk> {
  const disk = memoryDisk()
  const vault = await Vault.open({ disk, path: 'vault', clock: manualClock() })
  for (const one of objects) await vault.putMany([one])
  await vault.close()
  return disk
}

async function flip(disk: MemoryDisk, file: string, offset: number): Promise<void> {
  const [byte = 0] = await disk.readRange(file, offset, 1)
  await disk.overwrite(file, offset, new Uint8Array([byte ^ 1]))
}

test('every object is seen once, and a sound vault has no damage; nothing is written', async () => {
  const objects = [object(100), object(2_000), object(LARGE_OBJECT_BYTES)]
  const disk = await vaultWith(objects)
  const seen: string[] = []
  const audit = await auditVault({ disk, path: 'vault', onObject: (address) => seen.push(toHex(address)) })
  expect(audit).toMatchObject({ objects: 3, damage: [], unfinished: [] })
  expect(seen.sort()).toEqual(objects.map(({ address }) => toHex(address)).sort())
})

test('property: a flipped byte anywhere in the vault is found, with its file', async () => {
  const objects = [object(60), object(90), object(LARGE_OBJECT_BYTES)]
  const files = ['vault/format', 'vault/packs/00000001.pack', 'vault/packs/00000001.index']
  const whole = await vaultWith(objects)
  const large = `vault/large/${toHex(objects[2]?.address ?? new Uint8Array()).slice(0, 2)}`
  files.push(`${large}/${(await whole.list(large))[0]}`)
  for (const file of files) {
    const sizeBytes = (await whole.stat(file))?.sizeBytes ?? 0
    for (let offset = 0; offset < sizeBytes; offset += Math.max(1, Math.floor(sizeBytes / 97))) {
      await flip(whole, file, offset)
      const { damage, unfinished } = await auditVault({ disk: whole, path: 'vault' })
      const named = [...damage, ...unfinished].map((one) => one.file)
      expect(named, `${file} at ${offset}`).toContain(file)
      await flip(whole, file, offset)
    }
  }
})

test('a pack that was rolled back is told by its index', async () => {
  const disk = await vaultWith([object(60), object(90)])
  const pack = (await disk.read('vault/packs/00000001.pack')) ?? new Uint8Array()
  await disk.write('vault/packs/00000001.pack', pack.slice(0, 48 + 48 + 48 + 60))
  const { damage } = await auditVault({ disk, path: 'vault' })
  expect(damage).toMatchObject([
    { file: 'vault/packs/00000001.pack', what: expect.stringContaining('older') },
  ])
})
