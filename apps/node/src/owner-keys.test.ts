import { manualClock, memoryDisk, seededRandom } from '@salus/host'
import { auditKey, Keystore, rootFromKey } from '@salus/keys/organisation'
import { expect, test } from 'vitest'
import { KeystoreOwnerKeys } from './owner-keys.ts'

const random = seededRandom(23)
const owners = [random(16), random(16)]

async function opened() {
  const root = rootFromKey({ kind: 'file', protects: '', servesNetworks: false }, random(32), random)
  const clock = manualClock(1_790_000_000_000)
  const keystore = await Keystore.open({ disk: memoryDisk(), path: 'keystore', root, random, clock })
  return { keystore, keys: new KeystoreOwnerKeys(keystore, random) }
}

test('two that need an owner’s keys at once get the same', async () => {
  const { keystore, keys } = await opened()
  const [first, second] = owners as [Uint8Array, Uint8Array]
  await Promise.all([keys.ensure(owners), keys.ensure([second]), keys.ensure([first, first])])
  await Promise.all([
    keys.ensureAuditKeys(owners, 2026),
    keys.ensureAuditKeys([second], 2026),
    keys.ensureAuditKeys(owners, 2027),
  ])
  const again = new KeystoreOwnerKeys(keystore, random)
  for (const owner of owners) {
    expect(again.custodyKey(owner)).toEqual(keys.custodyKey(owner))
    expect(keys.auditKey(owner, 2026)).not.toEqual(keys.auditKey(owner, 2027))
  }
  expect(keystore.names('patient/')).toHaveLength(8)
  expect(auditKey('ab', 2026)).toBe('patient/ab/ak/2026')
})
