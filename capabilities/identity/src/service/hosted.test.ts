import { checkText, decodeTerms, openForCustodian, openForGrantee } from '@salus/consent'
import { equal, toBase64url } from '@salus/core'
import { controllerKey, deviceKeys, linkKey, newDevice, openKeyring } from '@salus/keys'
import { sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { proofing, refused, staffCode, type TestNetwork, testNetwork } from '../../testing/index.ts'
import {
  claimHosted,
  claimTicket,
  completeClaim,
  loadKeyring,
  openOwnSession,
  openSession,
} from '../client/index.ts'
import type { HostedDraft } from './hosted-grants.ts'

const patient = 'Patient/eve'

/** Eve, hosted at A, enrolled at B too. */
async function hosted() {
  const net = testNetwork()
  for (const org of ['a', 'b']) net.org(org).addPatient(patient)
  const { account } = (await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted', {
    json: { patient, proofing },
  })) as { account: string }
  const { code } = await staffCode(net, 'b', patient)
  await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted/links', {
    json: { patient, org: 'b', code },
  })
  const { owner } = net.org('a').patient(patient)
  return { net, account, owner }
}

const draft = (net: TestNetwork): Record<string, unknown> => {
  const terms: Omit<HostedDraft, 'evidence'> = {
    custodian: 'a',
    grantee: { org: 'b', practitioner: 'p-1' },
    scope: { compartments: ['labs'] },
    purpose: 'TREAT',
    actions: ['read'],
    notBefore: net.clock.now(),
    notAfter: net.clock.now() + 3_600_000,
    lease: 600_000,
    rate: { requests: 10, versions: 100 },
    masks: [],
    method: 'in-person',
  }
  return { ...terms, evidence: toBase64url(new Uint8Array(32)) }
}

async function grant(
  net: TestNetwork,
): Promise<{ g: Uint8Array; delivered: { to: string; delivered: boolean }[] }> {
  const json = { patient, draft: draft(net) }
  const made = (await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted/grants', { json })) as {
    g: string
    delivered: { to: string; delivered: boolean }[]
  }
  return { g: Uint8Array.from(Buffer.from(made.g, 'base64url')), delivered: made.delivered }
}

async function claim(net: TestNetwork, { cut = false } = {}) {
  const { context } = net
  const answer = await staffCode(net, 'a', patient, '/staff/claim-codes')
  if (cut) net.network.stop('http://b.example')
  const device = deviceKeys(newDevice(context.random))
  const outcome = await claimHosted(net.connectionTo('a'), {
    org: 'a',
    hostKey: net.chain.members['a']?.sign.publicKey as Uint8Array,
    ticket: claimTicket(answer, { level: 'IAL2', ...proofing }),
    device,
    deviceLabel: 'Phone',
    context,
    connectionTo: net.connectionTo,
    sponsor: net.connectionTo('a'),
  })
  return { outcome, device, code: answer.code }
}

describe('a hosted account', () => {
  test('has the same forms as anybody’s, and its keys where the host can erase them', async () => {
    const { net, owner } = await hosted()
    const a = net.org('a')
    expect(a.patient(patient).status).toBe('hosted')
    expect(net.org('b').patient(patient).status).toBe('self')
    const krk = [...a.hostedKeys.values()][0] as Uint8Array
    const stored = a.services.home.ofOwner(owner)
    const keyring = openKeyring({ bytes: stored?.bytes as Uint8Array, krk })
    expect(keyring.links.map(({ org }) => org)).toEqual(['a', 'b'])
    expect([stored?.envelopes, a.leaves.length]).toEqual([[], stored?.version])
    expect(a.acts.map(({ act }) => act)).toEqual(['enrol', 'host', 'link'])
    // Asked again it is the same account.
    const again = await sendForJson(a.staff(), 'POST', '/staff/hosted', { json: { patient, proofing } })
    expect(again).toEqual({ account: toBase64url(keyring.keyringId) })
  })

  test('is granted from on the patient’s word: both ends get terms that say so', async () => {
    const { net, owner } = await hosted()
    const { text } = (await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted/grant-texts', {
      json: { patient, draft: draft(net) },
    })) as { text: string }
    expect(text).toContain('Hospital B')
    expect(text).toContain('desk-a')
    const { g, delivered } = await grant(net)
    expect(delivered.map(({ to, delivered: there }) => [to, there])).toEqual([
      ['a', true],
      ['b', true],
    ])
    const chainId = net.context.chainId
    const [atA, atB] = [net.org('a').packages[0], net.org('b').packages[0]]
    const custodian = openForCustodian({
      key: net.org('a').seal,
      chainId,
      g,
      sealed: atA?.sealed as Uint8Array,
    })
    const grantee = openForGrantee({ key: net.org('b').seal, chainId, g, sealed: atB?.sealed as Uint8Array })
    const terms = decodeTerms(grantee.terms)
    expect(terms.hosted).toMatchObject({ method: 'in-person', staff: 'desk-a' })
    expect(terms.sub).toEqual(net.org('b').patient(patient).sub)
    expect(() => checkText(terms)).not.toThrow()
    expect(custodian.link.key).toEqual(net.org('a').patient(patient).linkKey)
    expect(net.chain.ledger.queryByName('consent', 'grant', { g })).toMatchObject({ state: 'active' })
    expect(
      net
        .org('a')
        .services.notices.list(owner)
        .map(({ kind }) => kind),
    ).toEqual(['hosted-grant'])
    await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted/revocations', {
      json: { patient, g: toBase64url(g) },
    })
    expect(net.chain.ledger.queryByName('consent', 'grant', { g })).toMatchObject({ state: 'revoked' })
  })

  test('is not made for who has one of her own', async () => {
    const { net } = await hosted()
    await claim(net)
    const again = sendForJson(net.org('a').staff(), 'POST', '/staff/hosted', { json: { patient, proofing } })
    expect(await refused(again)).toBe('CONFLICT')
    expect(await refused(grant(net))).toBe('NOT_HOSTED')
  })
})

describe('a claim', () => {
  test('hands over: new KRK, links, epochs and controllers; the host’s copies are gone, signed', async () => {
    const { net, owner } = await hosted()
    const { context } = net
    const { g } = await grant(net)
    const ended = await grant(net)
    await sendForJson(net.org('a').staff(), 'POST', '/staff/hosted/revocations', {
      json: { patient, g: toBase64url(ended.g) },
    })
    const hostKrk = [...net.org('a').hostedKeys.values()][0] as Uint8Array
    const before = openKeyring({
      bytes: net.org('a').services.home.ofOwner(owner)?.bytes as Uint8Array,
      krk: hostKrk,
    })
    const hostSession = await openSession(net.connectionTo('b'), {
      org: 'b',
      key: linkKey(before, 'b') as never,
      context,
    })
    const { outcome } = await claim(net)
    const { person, unfinished, receipt } = outcome
    expect(unfinished).toEqual([])
    expect(receipt).toMatchObject({ kind: 'deletion', what: 'hosted-keys', method: 'rewritten', org: 'a' })
    expect(receipt?.sub).toEqual(net.org('a').patient(patient).sub)
    expect([net.org('a').hostedKeys.size, net.org('a').patient(patient).status]).toEqual([0, 'self'])
    // Nothing that the host knew works: KRK, link keys, sessions, the grant's controller, epochs.
    const stored = net.org('a').services.home.ofOwner(owner)
    expect(() => openKeyring({ bytes: stored?.bytes as Uint8Array, krk: hostKrk })).toThrow()
    expect(net.org('a').services.home.versions(owner)).toHaveLength(2)
    for (const org of ['a', 'b']) {
      const key = linkKey(before, org) as never
      expect(await refused(openSession(net.connectionTo(org), { org, key, context }))).toBe('UNAUTHENTICATED')
    }
    expect(await refused(sendForJson(hostSession, 'GET', '/me/notices'))).toBe('UNAUTHENTICATED')
    const row = net.chain.ledger.queryByName('consent', 'grant', { g }) as { k: Uint8Array; state: string }
    expect([row.state, equal(row.k, controllerKey(before, g)?.publicKey as Uint8Array)]).toEqual([
      'active',
      false,
    ])
    expect(row.k).toEqual(controllerKey(person.keyring, g)?.publicKey)
    expect(controllerKey(person.keyring, ended.g)).toBeUndefined()
    expect(person.keyring.sections.labs.epochs.map(({ epoch }) => epoch)).toEqual([1, 2])
    // The device works.
    const home = await openOwnSession(net.connectionTo('a'), { org: 'a', person, context })
    expect((await loadKeyring(home, { person })).keyring).toEqual(person.keyring)
    // The receipt stays the same.
    const again = (await sendForJson(home, 'POST', '/me/claim/complete')) as { receipt: { sig: string } }
    expect(again.receipt.sig).toHaveLength(86)
  })

  test('needs the code that staff gave for this account, once, and what staff recorded', async () => {
    const { net, account } = await hosted()
    const { context } = net
    const device = deviceKeys(newDevice(context.random))
    const attempt = (code: string, kind: 'in-person' | 'id-document' = 'id-document') =>
      claimHosted(net.connectionTo('a'), {
        org: 'a',
        hostKey: net.chain.members['a']?.sign.publicKey as Uint8Array,
        ticket: claimTicket({ code, account }, { level: 'IAL2', kind }),
        device,
        deviceLabel: 'Phone',
        context,
        connectionTo: net.connectionTo,
        sponsor: net.connectionTo('a'),
      })
    const enrolment = await staffCode(net, 'a', patient)
    expect(await refused(attempt(enrolment.code))).toBe('CODE_REFUSED')
    const first = await staffCode(net, 'a', patient, '/staff/claim-codes')
    expect(await refused(attempt(first.code, 'in-person'))).toBe('CLAIM')
    expect(await refused(attempt(first.code))).toBe('CODE_REFUSED')
    const second = await staffCode(net, 'a', patient, '/staff/claim-codes')
    expect((await attempt(second.code)).receipt?.kind).toBe('deletion')
    const third = await staffCode(net, 'a', patient, '/staff/claim-codes')
    expect(await refused(attempt(third.code))).toBe('NOT_HOSTED')
  })

  test('goes on where an organisation out of reach stopped it; the host deletes meanwhile', async () => {
    const { net } = await hosted()
    const { outcome } = await claim(net, { cut: true })
    expect(outcome.unfinished).toEqual([{ org: 'b', code: 'UNREACHABLE' }])
    expect(outcome.receipt?.kind).toBe('deletion')
    net.network.join()
    const rest = await completeClaim(net.connectionTo('a'), {
      org: 'a',
      hostKey: net.chain.members['a']?.sign.publicKey as Uint8Array,
      person: outcome.person,
      context: net.context,
      connectionTo: net.connectionTo,
      sponsor: net.connectionTo('a'),
    })
    expect(rest.unfinished).toEqual([])
    await openOwnSession(net.connectionTo('b'), { org: 'b', person: rest.person, context: net.context })
  })
})
