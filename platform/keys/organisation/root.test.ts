import { argon2id } from '@noble/hashes/argon2.js'
import { decode, hmac, utf8 } from '@salus/core'
import { manualClock, memoryDisk, seededRandom } from '@salus/host'
import { describe, expect, test } from 'vitest'
import { Keystore } from './keystore.ts'
import { openRoot } from './open-root.ts'
import { checkServing, rootFromKey } from './root-provider.ts'
import { memorySecretFile } from './secret-file.ts'

const random = seededRandom(23)
const context = utf8('context')
const open = (choice: Parameters<typeof openRoot>[0]['choice'], disk = memoryDisk()) =>
  openRoot({ choice, disk, path: 'keystore', random })

describe('file', () => {
  test('is made once and opens the same again; refused when others may read it', async () => {
    const file = memorySecretFile()
    const wrapped = await (await open({ kind: 'file', file })).wrap(random(32), context)
    expect(await (await open({ kind: 'file', file })).unwrap(wrapped, context)).toHaveLength(32)
    await expect(file.create(random(3))).rejects.toMatchObject({ code: 'SECRET_FILE_EXISTS' })
    file.openToOthers = true
    await expect(open({ kind: 'file', file })).rejects.toMatchObject({ code: 'ROOT_FILE_OPEN' })
  })

  test('missing beside a keystore it is asked for, never made anew; nonsense is refused', async () => {
    const disk = memoryDisk()
    const root = await open({ kind: 'file', file: memorySecretFile() }, disk)
    await (await Keystore.open({ disk, path: 'keystore', root, random, clock: manualClock() })).close()
    await expect(open({ kind: 'file', file: memorySecretFile() }, disk)).rejects.toMatchObject({
      code: 'ROOT_KEY_MISSING',
    })
    for (const text of [
      '',
      'salus-root 2\nAAAA\n',
      'salus-root 1\nAAAA\n',
      `salus-root 1\n${'A'.repeat(43)}`,
    ]) {
      await expect(open({ kind: 'file', file: memorySecretFile(utf8(text)) })).rejects.toMatchObject({
        code: 'ROOT_FILE_FORMAT',
      })
    }
  })
})

describe('passphrase', () => {
  test('opens with the same passphrase, refuses another; Argon2id agrees with a second implementation', async () => {
    const disk = memoryDisk()
    const passphrase = 'correct horse battery staple'
    const wrapped = await (await open({ kind: 'passphrase', passphrase }, disk)).wrap(random(32), context)
    expect(
      await (await open({ kind: 'passphrase', passphrase }, disk)).unwrap(wrapped, context),
    ).toHaveLength(32)
    await expect(
      open({ kind: 'passphrase', passphrase: 'correct horse battery stapl' }, disk),
    ).rejects.toMatchObject({
      code: 'PASSPHRASE_WRONG',
    })
    await expect(open({ kind: 'passphrase', passphrase: 'short' })).rejects.toMatchObject({
      code: 'PASSPHRASE_SHORT',
    })
    const stored = decode((await disk.read('keystore/passphrase')) ?? random(1)) as {
      salt: Uint8Array
      check: Uint8Array
    }
    const key = argon2id(utf8(passphrase), stored.salt, { m: 65_536, t: 3, p: 1, dkLen: 32 })
    expect(stored.check).toEqual(hmac(key, 'salus/root-check/v1').slice(0, 16))
  })
})

test('what is not built in is refused by name, with a way on', async () => {
  for (const kind of ['kms', 'pkcs11', 'systemd-creds'] as const) {
    await expect(open({ kind })).rejects.toMatchObject({
      code: 'ROOT_PROVIDER_UNAVAILABLE',
      message: expect.stringMatching(new RegExp(`"${kind}".*passphrase`)),
    })
  }
})

test('a root key beside the data is refused where a network is served, unless allowed by name', () => {
  const weak = rootFromKey(
    { kind: 'file', protects: 'protects little', servesNetworks: false },
    random(32),
    random,
  )
  const strong = rootFromKey({ kind: 'passphrase', protects: '', servesNetworks: true }, random(32), random)
  const home = { loopbackOnly: true, consortium: false, allowed: [] }
  const refused = expect.objectContaining({
    code: 'ROOT_PROVIDER_WEAK',
    message: expect.stringContaining('protects little'),
  })
  expect(() => checkServing(weak, home)).not.toThrow()
  for (const plan of [
    { ...home, loopbackOnly: false },
    { ...home, consortium: true },
  ]) {
    expect(() => checkServing(weak, plan)).toThrowError(refused)
    expect(() => checkServing(weak, { ...plan, allowed: ['file'] })).not.toThrow()
    expect(() => checkServing(strong, plan)).not.toThrow()
  }
})

test('a closed provider has forgotten its key', async () => {
  const root = rootFromKey({ kind: 'file', protects: '', servesNetworks: false }, random(32), random)
  root.close()
  await expect(root.wrap(random(32), context)).rejects.toMatchObject({ code: 'ROOT_CLOSED' })
})
