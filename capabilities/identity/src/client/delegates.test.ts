import { deviceKeys, newDevice } from '@salus/keys'
import { sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { newPerson, refused, type TestNetwork, testNetwork } from '../../testing/index.ts'
import { signLinkStatement } from '../enrolment.ts'
import {
  acceptDelegation,
  addDelegate,
  type Delegate,
  endDelegation,
  endorseDelegate,
  openSession,
  refreshDelegate,
} from './index.ts'

const HOUR_MS = 3_600_000

/** A child enrolled at A and B, whose parent acts for it until a date, without mental health. */
async function carer() {
  const net = testNetwork()
  const { context } = net
  const child = await newPerson(net, 'kim', { at: ['a', 'b'] })
  const parent = deviceKeys(newDevice(context.random))
  const untilMs = context.clock.now() + 10 * HOUR_MS
  const { person, d, gift } = await addDelegate(child.session('a'), {
    person: child.person,
    context,
    scope: { compartments: ['general', 'labs'], actions: ['read', 'search'] },
    untilMs,
    evidence: { kind: 'parental-responsibility' },
    to: parent.seal.publicKey,
    sponsor: net.connectionTo('a'),
  })
  const accepted = await acceptDelegation(net.connectionTo('a'), { gift, key: parent.seal, context })
  const endorse = (statements = accepted.statements) =>
    endorseDelegate({ person, context, d, statements, connectionTo: net.connectionTo })
  return { net, context, person, session: child.session, parent, d, gift, ...accepted, endorse, untilMs }
}

const sessionOf = (net: TestNetwork, delegate: Delegate, org: string) =>
  openSession(net.connectionTo(org), {
    org,
    key: delegate.places.find((place) => place.org === org)?.key as never,
    context: net.context,
  })

describe('a carer', () => {
  test('reads the sections that the delegation covers and no other, and acts until its date', async () => {
    const { net, person, delegate, endorse, d, untilMs } = await carer()
    expect(Object.keys(delegate.sections).sort()).toEqual(['general', 'labs'])
    expect(delegate.sections.labs).toEqual(person.keyring.sections.labs)
    expect(await refused(sessionOf(net, delegate, 'a'))).toBe('UNAUTHENTICATED')
    await endorse()
    const session = await sessionOf(net, delegate, 'b')
    const actor = net.org('b').sessions.resolve(session.token as string)
    expect(actor).toMatchObject({
      kind: 'holder',
      delegation: d,
      owner: net.org('b').patient('Patient/kim').owner,
    })
    // The account is the child's own: no keyring, no notices.
    const atHome = await sessionOf(net, delegate, 'a')
    for (const path of ['/home/keyring', '/me/notices', '/home/recovery'])
      expect(await refused(sendForJson(atHome, 'GET', path))).toBe('FORBIDDEN')
    net.pass(untilMs - net.clock.now() + HOUR_MS)
    expect(await refused(sendForJson(session, 'GET', '/me/notices'))).toBe('UNAUTHENTICATED')
    expect(await refused(sessionOf(net, delegate, 'b'))).toBe('UNAUTHENTICATED')
  })

  test('whose delegation is ended opens nothing newer, and no session', async () => {
    const { net, context, person, session, delegate, endorse, d } = await carer()
    await endorse()
    expect((await refreshDelegate(net.connectionTo('a'), delegate)).sections).toEqual(delegate.sections)
    const categories = ['general', 'labs'] as const
    const sponsor = net.connectionTo('b')
    const after = await endDelegation(session('a'), { person, context, d, categories, sponsor })
    expect(after.keyring.sections.labs.epochs).toHaveLength(2)
    expect(after.keyring.sections.mental.epochs).toHaveLength(1)
    expect(await refused(refreshDelegate(net.connectionTo('a'), delegate))).toBe('OPEN_FAILED')
    expect(await refused(sessionOf(net, delegate, 'b'))).toBe('UNAUTHENTICATED')
  })

  test('gets nothing with another device, a changed statement, or another’s endorsement', async () => {
    const { net, context, gift, endorse, delegate, statements, d } = await carer()
    const thief = deviceKeys(newDevice(context.random))
    const opening = acceptDelegation(net.connectionTo('a'), { gift, key: thief.seal, context })
    expect(await refused(opening)).toBe('OPEN_FAILED')
    const place = delegate.places[0] as Delegate['places'][number]
    const said = {
      v: 1,
      org: 'a',
      sub: place.sub,
      linkKey: place.key.publicKey,
      home: 'a',
      time: context.clock.now(),
    }
    const sign = (changed: object) => signLinkStatement(place.key, context.chainId, { ...said, ...changed })
    for (const changed of [
      {},
      { d: context.random(16) },
      { d, sub: context.random(32) },
      { d, org: 'b' },
      { d, replaces: context.random(32) },
    ])
      expect(await refused(endorse([{ org: 'a', statement: sign(changed) }]))).toBe('LINK_KEY')
    const stranger = await newPerson(net, 'leo', { at: ['a', 'b'] })
    const endorsed = endorseDelegate({
      person: stranger.person,
      context,
      d,
      statements,
      connectionTo: net.connectionTo,
    })
    expect(await refused(endorsed)).toBe('LINK_KEY')
  })
})
