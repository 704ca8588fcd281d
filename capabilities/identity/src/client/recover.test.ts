import { equal, signAs, signingKey, toBase64url } from '@salus/core'
import { addController, controllerKey, deviceKeys, newDevice } from '@salus/keys'
import { signBody } from '@salus/ledger'
import { execute, sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { newPerson, refused, staffCode, type TestNetwork, testNetwork } from '../../testing/index.ts'
import {
  answerShareRequest,
  answersSoFar,
  armRecovery,
  cancelRecovery,
  changeKeyring,
  completeRecovery,
  finishRenewal,
  type GuardianShare,
  guardianCard,
  ledgerReader,
  loadKeyring,
  openAccount,
  openOwnSession,
  openSteps,
  type Person,
  type RecoveryAttempt,
  recoveryIsCurrent,
  recoveryState,
  removeUnlocker,
  startRecovery,
} from './index.ts'

const HOUR_MS = 3_600_000

/** Ana, enrolled at A (home) and B, with five guardians; home's copy is at C. */
async function armed() {
  const net = testNetwork()
  const { context } = net
  const { person: before, session } = await newPerson(net, 'ana', { at: ['a', 'b'] })
  const guardians = Array.from({ length: 5 }, () => deviceKeys(newDevice(context.random)))
  const ledger = ledgerReader(net.connectionTo('a'))
  const { person, shares } = await armRecovery(session('a'), {
    person: before,
    context,
    guardians: guardians.map((device, at) => guardianCard(device, `Guardian ${at + 1}`)),
    copyHome: 'c',
    sponsor: net.connectionTo('a'),
    ledger,
  })
  const help = (indexes: readonly number[]) =>
    Promise.all(
      indexes.map((index) =>
        answerShareRequest(net.connectionTo('a'), {
          share: shares[index - 1] as GuardianShare,
          device: guardians[index - 1] as (typeof guardians)[number],
          context,
          ledger: ledgerReader(net.connectionTo('b')),
        }),
      ),
    )
  const begin = async () => {
    const { code } = await staffCode(net, 'a', 'Patient/ana', '/staff/recovery-codes')
    return startRecovery(net.connectionTo('a'), { code, context, ledger })
  }
  const device = deviceKeys(newDevice(context.random))
  const finish = (attempt: RecoveryAttempt) =>
    completeRecovery(net.connectionTo('a'), {
      attempt,
      device,
      deviceLabel: 'New phone',
      context,
      ledger,
      connectionTo: net.connectionTo,
      sponsor: net.connectionTo('b'),
    })
  return { net, context, person, session, ledger, shares, guardians, help, begin, finish }
}

async function grantOf(net: TestNetwork, person: Person, home: Parameters<typeof changeKeyring>[0]) {
  const { context } = net
  const made = addController(person.keyring, 'grant', context.random)
  const stored = await changeKeyring(home, { person, context, change: () => made.keyring })
  const na = Math.ceil((context.clock.now() + 100 * 24 * HOUR_MS) / HOUR_MS) * HOUR_MS
  const args = { g: made.id, c: context.random(32), k: made.key.publicKey, na }
  const untilMs = context.clock.now() + 60_000
  const { chainId, random } = context
  await execute(
    net.connectionTo('a'),
    signBody({ chainId, call: 'consent/grant', args, untilMs, keys: [made.key], random }),
  )
  return { person: stored, g: made.id }
}

describe('a lost device', () => {
  test('is replaced with three of five guardians and home after 72 hours, and shut out', async () => {
    const { net, context, person: armedPerson, session, help, begin, finish } = await armed()
    const { person, g } = await grantOf(net, armedPerson, session('a'))
    const attempt = await begin()
    expect(attempt.readyMs).toBeGreaterThan(context.clock.now() + 71 * HOUR_MS)
    expect(await help([1, 3])).toEqual(['too-early', 'too-early'])
    expect(await refused(finish(attempt))).toBe('RECOVERY_NOT_READY')
    net.pass(73 * HOUR_MS)
    expect(await help([1, 3])).toEqual(['answered', 'answered'])
    expect(await refused(finish(attempt))).toBe('GUARDIANS_TOO_FEW')
    expect(await help([5])).toEqual(['answered'])
    expect(await answersSoFar(net.connectionTo('a'), attempt)).toBe(3)
    const { person: recovered, unfinished } = await finish(attempt)
    expect(unfinished).toEqual([])
    expect(openSteps(recovered.keyring)).toEqual({ links: [], controllers: [] })
    // The new device works: sessions, keyring, and the grant that the old one made.
    const home = await openOwnSession(net.connectionTo('a'), { org: 'a', person: recovered, context })
    await openOwnSession(net.connectionTo('b'), { org: 'b', person: recovered, context })
    expect((await loadKeyring(home, { person: recovered })).keyring).toEqual(recovered.keyring)
    const grant = net.chain.ledger.queryByName('consent', 'grant', { g }) as { k: Uint8Array }
    expect(grant.k).toEqual(controllerKey(recovered.keyring, g)?.publicKey)
    expect(net.org('b').patient('Patient/ana').wraps).toBe(2)
    // The old one is out: link keys, sessions of before, keyring, controller.
    for (const org of ['a', 'b'])
      expect(await refused(openOwnSession(net.connectionTo(org), { org, person, context }))).toBe(
        'UNAUTHENTICATED',
      )
    expect(await refused(loadKeyring(session('a'), { person }))).toBe('UNAUTHENTICATED')
    const { keyringId } = person.keyring
    const opening = openAccount(net.connectionTo('a'), { keyringId, device: person.device, home: 'a' })
    expect(await refused(opening)).toBe('NOT_AN_UNLOCKER')
    expect(equal(controllerKey(person.keyring, g)?.publicKey as Uint8Array, grant.k)).toBe(false)
    // Nobody can do it twice with what is known now.
    expect(await recoveryIsCurrent(home, recovered)).toBe(false)
  })

  test('is told of at once, and its owner’s cancel in time stops everything', async () => {
    const { net, context, person, session, ledger, help, begin, finish } = await armed()
    const attempt = await begin()
    expect(await recoveryState(ledger, person)).toMatchObject({ state: 'started' })
    const notices = (await sendForJson(session('a'), 'GET', '/me/notices')) as { notices: { kind: string }[] }
    expect(notices.notices.map(({ kind }) => kind)).toEqual(['recovery-armed', 'recovery-started'])
    net.pass(71 * HOUR_MS)
    await cancelRecovery(net.connectionTo('b'), { person, context })
    expect(await recoveryState(ledger, person)).toMatchObject({ state: 'armed' })
    net.pass(3 * HOUR_MS)
    expect(await help([1, 2, 3])).toEqual(['nobody-asks', 'nobody-asks', 'nobody-asks'])
    expect(await refused(finish(attempt))).toBe('RECOVERY')
    // The account goes on, and the recovery stands ready for the day it is needed.
    const fresh = await openOwnSession(net.connectionTo('a'), { org: 'a', person, context })
    expect((await loadKeyring(fresh, { person })).keyring).toEqual(person.keyring)
    expect((await begin()).readyMs).toBeGreaterThan(context.clock.now())
  })

  test('is recovered by a second attempt when the first was lost, after the whole delay again', async () => {
    const { net, context, help, begin, finish } = await armed()
    const lost = await begin()
    net.pass(80 * HOUR_MS)
    const attempt = await begin()
    expect(attempt.readyMs).toBeGreaterThan(context.clock.now() + 71 * HOUR_MS)
    expect(await help([1])).toEqual(['too-early'])
    expect(await refused(finish(lost))).toBe('BAD_SIGNATURE')
    net.pass(73 * HOUR_MS)
    expect(await help([1, 2, 3])).toEqual(['answered', 'answered', 'answered'])
    expect(await refused(finish(lost))).toBe('BAD_SIGNATURE')
    expect((await finish(attempt)).unfinished).toEqual([])
  })

  test('cannot be cancelled when it is too late', async () => {
    const { net, context, person, begin } = await armed()
    await begin()
    net.pass(72 * HOUR_MS + 1)
    expect(await refused(cancelRecovery(net.connectionTo('a'), { person, context }))).toBe('TX_REJECTED')
  })

  test('gets the half from the second organisation when home has lost it', async () => {
    const { net, context, help, begin, finish } = await armed()
    const attempt = await begin()
    net.pass(73 * HOUR_MS)
    await help([2, 3, 4])
    net.org('a').sql.exec('DELETE FROM identity_recovery')
    const { person, unfinished } = await finish(attempt)
    expect(unfinished).toEqual([])
    await openOwnSession(net.connectionTo('a'), { org: 'a', person, context })
  })

  test('goes on after an organisation was out of reach', async () => {
    const { net, context, help, begin } = await armed()
    const attempt = await begin()
    net.pass(73 * HOUR_MS)
    await help([1, 2, 3])
    net.network.stop('http://b.example')
    const sponsor = net.connectionTo('a')
    const first = await completeRecovery(net.connectionTo('a'), {
      attempt,
      device: deviceKeys(newDevice(context.random)),
      deviceLabel: 'New phone',
      context,
      ledger: ledgerReader(net.connectionTo('a')),
      connectionTo: net.connectionTo,
      sponsor,
    })
    expect(first.unfinished).toEqual([{ org: 'b', code: 'UNREACHABLE' }])
    expect(openSteps(first.person.keyring).links.map(({ org }) => org)).toEqual(['b'])
    net.network.join()
    const second = await finishRenewal(net.connectionTo('a'), {
      person: first.person,
      context,
      connectionTo: net.connectionTo,
      sponsor,
    })
    expect([second.unfinished, openSteps(second.person.keyring).links]).toEqual([[], []])
    await openOwnSession(net.connectionTo('b'), { org: 'b', person: second.person, context })
  })
})

describe('home', () => {
  test('starts a recovery only for the key that came with a code, and takes only what the ledger armed', async () => {
    const { net, context, session, begin } = await armed()
    const attempt = await begin()
    const stranger = signingKey(context.random(32))
    const path = `/home/recoveries/${toBase64url(attempt.r)}/start`
    const home = net.connectionTo('a')
    const body = attempt.asked[0]?.signed.bytes as Uint8Array
    const sig = signAs(stranger, 'request', context.chainId, body)
    const json = { body: toBase64url(body), sig: toBase64url(sig) }
    expect(await refused(sendForJson(home, 'POST', path, { json }))).toBe('RECOVERY')
    const asked = { request: { bytes: toBase64url(body), sig: toBase64url(sig) } }
    const requests = `/home/recoveries/${toBase64url(attempt.r)}/requests`
    expect(await refused(sendForJson(home, 'POST', requests, { json: asked }))).toBe('BAD_SIGNATURE')
    const part = toBase64url(new Uint8Array(1_300))
    const plan = {
      plan: part,
      salt: toBase64url(new Uint8Array(32)),
      cancelKey: toBase64url(new Uint8Array(32)),
    }
    const arm = { ...plan, envelope: part, homeHalf: part }
    expect(await refused(sendForJson(session('a'), 'PUT', '/home/recovery', { json: arm }))).toBe('CBOR')
  })

  test('knows when guardians’ shares no longer open the keyring', async () => {
    const { context, person, session } = await armed()
    expect(await recoveryIsCurrent(session('a'), person)).toBe(true)
    const rotated = await removeUnlocker(session('a'), { person, context, id: context.random(16) })
    expect(await recoveryIsCurrent(session('a'), rotated)).toBe(false)
  })
})
