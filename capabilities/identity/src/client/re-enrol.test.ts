import { deviceKeys, newDevice } from '@salus/keys'
import { sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { newPerson, refused, staffCode, type TestNetwork, testNetwork } from '../../testing/index.ts'
import {
  acceptDelegation,
  addDelegate,
  createAccount,
  endorseDelegate,
  enrolAgainAt,
  enrolAt,
  fetchKeyring,
  loadKeyring,
  openOwnSession,
  openSession,
} from './index.ts'

const PATH = '/staff/re-enrolment-codes'

async function newAccount({ context }: TestNetwork) {
  const device = deviceKeys(newDevice(context.random))
  const options = { device, deviceLabel: 'New phone', home: 'a', withRecoveryCode: false }
  return (await createAccount(context, options)).person
}

describe('somebody who lost every way in', () => {
  test('begins again at the desk: new keys and account, the old ones end, and she is told', async () => {
    const net = testNetwork()
    const { context } = net
    const lost = await newPerson(net, 'ana', { at: ['a', 'b'] })
    const { keyringId } = lost.person.keyring
    const person = await newAccount(net)
    const { code } = await staffCode(net, 'a', 'Patient/ana', PATH)
    const anew = await enrolAgainAt(net.connectionTo('a'), { org: 'a', code, person, context })
    expect(anew.wrapped).toBe(7)
    expect((await loadKeyring(anew.session, { person: anew.person })).keyring).toEqual(anew.person.keyring)
    const { notices } = (await sendForJson(anew.session, 'GET', '/me/notices')) as {
      notices: { kind: string }[]
    }
    expect(notices.map(({ kind }) => kind)).toEqual(['enrolled-again'])
    // The old key opens no session, the session that it opened ended, and its keyring takes nothing more.
    const old = { org: 'a', person: lost.person, context }
    expect(await refused(openOwnSession(net.connectionTo('a'), old))).toBe('UNAUTHENTICATED')
    expect(await refused(sendForJson(lost.session('a'), 'GET', '/home/keyring'))).toBe('UNAUTHENTICATED')
    expect((await fetchKeyring(net.connectionTo('a'), keyringId)).envelopes).toHaveLength(1)
    // Elsewhere nothing changed until she goes there too.
    await openOwnSession(net.connectionTo('b'), { ...old, org: 'b' })
    const atB = await staffCode(net, 'b', 'Patient/ana', PATH)
    const { session, person: both } = await enrolAgainAt(net.connectionTo('b'), {
      org: 'b',
      code: atB.code,
      person: anew.person,
      context,
      home: anew.session,
    })
    expect(net.org('b').sessions.resolve(session.token as string)).toMatchObject({ kind: 'holder' })
    expect(both.keyring.links.map(({ org }) => org)).toEqual(['a', 'b'])
    net.org('a').services.home.removeOwner(net.org('a').patient('Patient/ana').owner)
    expect(await refused(fetchKeyring(net.connectionTo('a'), keyringId))).toBe('NOT_FOUND')
  })

  test('ends what the old key vouched for: her delegate’s key and session', async () => {
    const net = testNetwork()
    const { context } = net
    const { person, session } = await newPerson(net, 'kim')
    const parent = deviceKeys(newDevice(context.random))
    const { d, gift } = await addDelegate(session('a'), {
      person,
      context,
      scope: { compartments: ['labs'], actions: ['read'] },
      untilMs: context.clock.now() + 3_600_000,
      evidence: { kind: 'patient-choice' },
      to: parent.seal.publicKey,
      sponsor: net.connectionTo('a'),
    })
    const connectionTo = net.connectionTo
    const { delegate, statements } = await acceptDelegation(net.connectionTo('a'), {
      gift,
      key: parent.seal,
      context,
    })
    await endorseDelegate({ person, context, d, statements, connectionTo })
    const key = delegate.places[0]?.key as NonNullable<(typeof delegate.places)[0]>['key']
    const hers = await openSession(net.connectionTo('a'), { org: 'a', key, context })
    const { code } = await staffCode(net, 'a', 'Patient/kim', PATH)
    await enrolAgainAt(net.connectionTo('a'), { org: 'a', code, person: await newAccount(net), context })
    expect(await refused(sendForJson(hers, 'GET', '/me/grants'))).toBe('UNAUTHENTICATED')
    expect(await refused(openSession(net.connectionTo('a'), { org: 'a', key, context }))).toBe(
      'UNAUTHENTICATED',
    )
  })

  test('needs a code for exactly that, and an account of her own that was lost', async () => {
    const net = testNetwork()
    const { context } = net
    await newPerson(net, 'ana')
    net.org('a').addPatient('Patient/eve')
    expect(await refused(staffCode(net, 'a', 'Patient/eve', PATH))).toBe('CONFLICT')
    const person = await newAccount(net)
    const input = { org: 'a', person, context }
    const { code: first } = await staffCode(net, 'a', 'Patient/ana')
    expect(await refused(enrolAgainAt(net.connectionTo('a'), { ...input, code: first }))).toBe('CODE_REFUSED')
    const { code } = await staffCode(net, 'a', 'Patient/ana', PATH)
    expect(await refused(enrolAt(net.connectionTo('a'), { ...input, code }))).toBe('CODE_REFUSED')
    await enrolAgainAt(net.connectionTo('a'), { ...input, code })
    expect(await refused(enrolAgainAt(net.connectionTo('a'), { ...input, code }))).toBe('CODE_REFUSED')
    const proofing = { kind: 'in-person' }
    const json = { patient: 'Patient/eve', proofing }
    await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted', { json })
    expect(await refused(staffCode(net, 'a', 'Patient/eve', PATH))).toBe('CONFLICT')
  })
})
