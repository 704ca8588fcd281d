import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256, signingKey, toHex, tuple, utf8 } from '@salus/core'
import { secretFile, systemClock, systemDisk, systemRandom } from '@salus/host/system'
import { Keystore, openRoot, organisationKey } from '@salus/keys/organisation'
import { factLogOrigin, TileLog } from '@salus/log'
import { Vault } from '@salus/vault'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LAYOUT } from '../src/audit/layout.ts'
import { salus } from './in-process.ts'
import { olderLog } from './ledger-bytes.ts'
import { organisationDirectory } from './organisation-directory.ts'

let work: string
let chainId: Uint8Array
let oids: readonly Uint8Array[]
let addresses: readonly Uint8Array[]

const seed = sha256(utf8('directory/log'))
const clock = systemClock()

beforeEach(async () => {
  work = mkdtempSync(join(tmpdir(), 'salus-restore-'))
  const made = await organisationDirectory()
  ;({ chainId, oids, addresses } = made)
  cpSync(made.folder, join(work, 'anna'), { recursive: true })
  made.remove()
  const disk = systemDisk(join(work, 'anna'))
  const file = await secretFile({ path: join(work, 'root'), dataDir: join(work, 'anna') })
  const root = await openRoot({
    choice: { kind: 'file', file },
    disk,
    path: LAYOUT.keystore,
    random: systemRandom,
  })
  const keystore = await Keystore.open({ disk, path: LAYOUT.keystore, root, random: systemRandom, clock })
  await keystore.put([{ name: organisationKey('log', 1), key: seed }])
  await keystore.close()
  root.close()
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

const line = (...argv: string[]) => salus(argv, { cwd: work })

/** What an erasure after the backup leaves in the log: tombstones in clear. */
async function erase(count: number): Promise<void> {
  const log = await TileLog.open({
    disk: systemDisk(join(work, 'anna')),
    path: LAYOUT.log,
    origin: factLogOrigin(chainId, 'st-anna'),
    key: signingKey(seed),
  })
  await log.appendMany(oids.slice(0, count).map((oid) => tuple(4, oid)))
  await log.close()
}

test('what was erased after the backup does not come back: the newer log’s markers are replayed first', async () => {
  expect((await line('backup', 'anna', 'bk', '--root-file', 'root')).code).toBe(0)
  await erase(2)
  const restored = await line('restore', 'bk', 'again', '--root-file', 'root', '--log', 'anna/log', '--json')
  expect([restored.code, JSON.parse(restored.out)]).toMatchObject([0, { removed: 2, restricted: 0 }])
  const { code, out } = await line('audit', 'again', '--json', '--quiet')
  expect([code, JSON.parse(out)]).toMatchObject([
    0,
    { findings: [], figures: { recordVersions: 4, objects: 4, logLeaves: 8 } },
  ])
  const vault = await Vault.open({ disk: systemDisk(join(work, 'again')), path: LAYOUT.vault, clock })
  expect(addresses.map((address) => vault.has(address))).toEqual([false, false, true, true, true, true])
  await vault.close()
})

test('a tombstone in the backup’s own log is replayed too', async () => {
  await erase(1)
  await line('backup', 'anna', 'bk', '--root-file', 'root')
  const restored = await line('restore', 'bk', 'again', '--root-file', 'root', '--json')
  expect(JSON.parse(restored.out)).toMatchObject({ removed: 1 })
})

test('what the log says is erased and is still there is a finding', async () => {
  await erase(1)
  const { code, out } = await line('audit', 'anna', '--json', '--quiet')
  const { findings } = JSON.parse(out) as { findings: { where: string; what: string }[] }
  const oid = toHex(oids[0] ?? new Uint8Array())
  expect([code, findings.map(({ where, what }) => `${where}: ${what}`)]).toEqual([
    1,
    [
      expect.stringMatching(
        `^vault/packs/00000001.pack, offset \\d+: object ${oid} was erased and is still there`,
      ),
      `custody.sqlite: version ${oid} was erased and its row is there`,
    ],
  ])
})

test('a log that does not go on from the backup’s is refused, and nothing is left', async () => {
  await line('backup', 'anna', 'bk', '--root-file', 'root')
  await olderLog(join(work, 'anna'), chainId, 3)
  const { code, err } = await line('restore', 'bk', 'again', '--root-file', 'root', '--log', 'anna/log')
  expect([code, err.split('\n').at(-2)]).toEqual([
    1,
    expect.stringMatching(/LOG_DIFFERS: --log: .*rolled back/),
  ])
  expect((await systemDisk(work).list('')).filter((name) => name.startsWith('again'))).toEqual([])
})

test('the backup holds no key, and its keys’ file none in clear', async () => {
  await line('backup', 'anna', 'bk', '--root-file', 'root')
  const disk = systemDisk(work)
  const names = JSON.stringify(await disk.list('bk'))
  expect(names).not.toContain('keystore')
  const keys = (await disk.read('bk.keys')) ?? new Uint8Array()
  expect(toHex(keys)).not.toContain(toHex(seed))
})
