import { equal, hmac, type SigningKey, toHex } from '@salus/core'
import {
  addController,
  deviceKeys,
  deviceUnlocker,
  type KeyringLeaf,
  linkKey,
  newDevice,
  sealKeyring,
} from '@salus/keys'
import { sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { newPerson, refused, staffCode, type TestNetwork, testNetwork } from '../../testing/index.ts'
import {
  addUnlocker,
  changeKeyring,
  createAccount,
  enrolAt,
  knownLeaf,
  loadKeyring,
  openAccount,
  openOwnSession,
  openWithCode,
  type Person,
  prepareLink,
  removeUnlocker,
  storeKeyring,
} from './index.ts'
import { signSessionRequest } from './link-session.ts'

const grantIds = (person: Person) => person.keyring.controllers.map(({ id }) => toHex(id))

async function start(): Promise<{ net: TestNetwork } & Awaited<ReturnType<typeof newPerson>>> {
  const net = testNetwork()
  return { net, ...(await newPerson(net, 'ana', { at: ['a', 'b'], withRecoveryCode: true })) }
}

describe('an account', () => {
  test('is enrolled at two organisations that know her by different names, and gets wraps of all that they hold', async () => {
    const { net, person, session } = await start()
    const a = net.org('a').patient('Patient/ana')
    const b = net.org('b').patient('Patient/ana')
    expect([a.status, b.status, a.wraps]).toEqual(['self', 'self', 1])
    expect(equal(a.sub as Uint8Array, b.sub as Uint8Array)).toBe(false)
    expect(net.org('b').acts.map(({ act, staff }) => [act, staff])).toEqual([['enrol', 'desk-b']])
    const stored = await loadKeyring(session('a'), { person })
    expect(stored.keyring).toEqual(person.keyring)
    expect(await sendForJson(session('a'), 'GET', '/home/unlockers')).toMatchObject({
      unlockers: [expect.anything(), expect.anything()],
    })
  })

  test('has a log leaf per version, which its salt opens', async () => {
    const { net, person, session } = await start()
    const own = (await sendForJson(session('a'), 'GET', '/home/keyring')) as { leafIndex: number }
    const { owner } = net.org('a').patient('Patient/ana')
    const kept = net.org('a').services.home.ofOwner(owner)
    const { keyringId, version } = person.keyring
    expect(kept?.version).toBe(version)
    expect(own.leafIndex).toBe(version - 1)
    const leaf = hmac(kept?.leaf.salt as Uint8Array, 3, keyringId, version, kept?.digest as Uint8Array)
    expect(net.org('a').leaves[own.leafIndex]).toEqual(leaf)
    expect(net.org('a').leaves).toHaveLength(version)
  })

  test('changed on two devices at once keeps both changes', async () => {
    const { net, person, session } = await start()
    const home = session('a')
    const { context } = net
    const add = (who: Person) => {
      const made = addController(who.keyring, 'grant', context.random)
      const mine = made.keyring.controllers.at(-1) as never
      return changeKeyring(home, {
        person: who,
        context,
        change: (keyring) => ({ ...keyring, controllers: [...keyring.controllers, mine] }),
      })
    }
    const [first, second] = await Promise.all([add(person), add(person)])
    const last = await loadKeyring(home, { person })
    expect(grantIds(last).sort()).toEqual([...new Set([...grantIds(first), ...grantIds(second)])].sort())
    expect(last.keyring.controllers).toHaveLength(2)
    expect(await refused(storeKeyring(home, { person, context }))).toBe('KEYRING_CONFLICT')
  })

  test('that home rolls back is refused by a device that has seen more', async () => {
    const { net, person, session } = await start()
    const { context } = net
    const newer = await changeKeyring(session('a'), { person, context, change: (keyring) => keyring })
    const { owner } = net.org('a').patient('Patient/ana')
    const kept = net.org('a').services.home.versions(owner)
    expect(kept).toEqual([newer.keyring.version, person.keyring.version])
    // This device has stored one more version, which home does not show.
    const { keyring } = sealKeyring({ keyring: newer.keyring, krk: newer.krk, random: context.random })
    const ahead = { ...newer, keyring }
    expect(await refused(loadKeyring(session('a'), { person: ahead }))).toBe('KEYRING_ROLLED_BACK')
    const known = knownLeaf(keyring) as KeyringLeaf
    const { device } = person
    const { keyringId } = keyring
    const opening = openAccount(net.connectionTo('a'), { keyringId, device, home: 'a', known })
    expect(await refused(opening)).toBe('KEYRING_ROLLED_BACK')
  })

  test('opens on another device that was let in, and with the recovery code', async () => {
    const { net, person, session, recoveryCode } = await start()
    const { context } = net
    const tablet = deviceKeys(newDevice(context.random))
    const unlocker = deviceUnlocker(tablet, { label: 'Tablet', nowMs: context.clock.now() })
    const { keyringId } = person.keyring
    const anonymous = net.connectionTo('a')
    expect(await refused(openAccount(anonymous, { keyringId, device: tablet, home: 'a' }))).toBe(
      'NOT_AN_UNLOCKER',
    )
    const grown = await addUnlocker(session('a'), { person, context, unlocker })
    const opened = await openAccount(anonymous, { keyringId, device: tablet, home: 'a' })
    expect(opened.keyring).toEqual(grown.keyring)
    const atB = await openOwnSession(net.connectionTo('b'), { org: 'b', person: opened, context })
    expect(atB.token).toBeDefined()
    const third = await openWithCode(anonymous, {
      keyringId,
      code: recoveryCode as string,
      device: deviceKeys(newDevice(context.random)),
      deviceLabel: 'New phone',
      home: 'a',
      context,
    })
    const stored = await storeKeyring(session('a'), { person: third, context })
    expect(stored.keyring.unlockers).toHaveLength(4)
  })

  test('shuts a removed device out: new KRK, earlier versions gone', async () => {
    const { net, person, session } = await start()
    const { context } = net
    const tablet = deviceKeys(newDevice(context.random))
    const unlocker = deviceUnlocker(tablet, { label: 'Tablet', nowMs: context.clock.now() })
    const { keyringId } = person.keyring
    const grown = await addUnlocker(session('a'), { person, context, unlocker })
    const shrunk = await removeUnlocker(session('a'), { person: grown, context, id: tablet.id })
    expect(equal(shrunk.krk, grown.krk)).toBe(false)
    expect(await refused(openAccount(net.connectionTo('a'), { keyringId, device: tablet, home: 'a' }))).toBe(
      'NOT_AN_UNLOCKER',
    )
    expect(await refused(loadKeyring(session('a'), { person: grown }))).toBe('OPEN_FAILED')
    const { owner } = net.org('a').patient('Patient/ana')
    expect(net.org('a').services.home.versions(owner)).toEqual([shrunk.keyring.version])
  })
})

describe('a code from the desk', () => {
  test('counts once, for its use, and dies after five wrong tries; bad papers do not use it up', async () => {
    const net = testNetwork()
    const { context } = net
    net.org('a').addPatient('Patient/ben')
    const { code: given } = await staffCode(net, 'a', 'Patient/ben')
    const device = deviceKeys(newDevice(context.random))
    const { person } = await createAccount(context, {
      device,
      deviceLabel: 'Phone',
      home: 'a',
      withRecoveryCode: false,
    })
    const at = net.connectionTo('a')
    const { links } = net.org('a').services
    const mine = prepareLink(context, { keyring: person.keyring, home: 'a', org: 'a' })
    const other = prepareLink(context, { keyring: person.keyring, home: 'a', org: 'a' })
    expect(await refused(links.enrol({ code: given, statement: mine.statement, card: other.card }))).toBe(
      'BAD_SIGNATURE',
    )
    const wrong = `${given.slice(0, 9)}${given.slice(9) === '00000000' ? '00000001' : '00000000'}`
    for (let tries = 0; tries < 2; tries += 1)
      expect(await refused(enrolAt(at, { org: 'a', code: wrong, person, context }))).toBe('CODE_REFUSED')
    const enrolled = await enrolAt(at, { org: 'a', code: given, person, context })
    expect(enrolled.wrapped).toBe(7)
    expect(await refused(enrolAt(at, { org: 'a', code: given, person, context }))).toBe('CODE_REFUSED')
    const again = await staffCode(net, 'a', 'Patient/ben')
    for (let tries = 0; tries < 5; tries += 1)
      await refused(enrolAt(at, { org: 'a', code: `${again.code.slice(0, 9)}00000000`, person, context }))
    expect(await refused(enrolAt(at, { org: 'a', code: again.code, person, context }))).toBe('CODE_REFUSED')
  })
})

describe('a session', () => {
  test('needs a registered key, this organisation, the time, and a fresh nonce', async () => {
    const { net, person } = await start()
    const { context } = net
    const key = linkKey(person.keyring, 'a') as SigningKey
    const holders = net.org('a').services.holders
    const chainId = context.chainId
    const at = (org: string, timeMs: number) =>
      signSessionRequest(key, { org, chainId, timeMs, random: context.random })
    const now = context.clock.now()
    const good = at('a', now)
    expect(holders.open(good).untilMs).toBe(now + 12 * 3_600_000)
    expect(() => holders.open(good)).toThrow(/used before/)
    for (const bad of [
      at('b', now),
      at('a', now - 300_001),
      at('a', now + 300_001),
      { ...at('a', now), linkKey: new Uint8Array(32) },
    ])
      expect(() => holders.open(bad)).toThrow(/opens no session/)
  })
})
