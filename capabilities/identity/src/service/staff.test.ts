import { fromBase64url, toBase64url } from '@salus/core'
import { sendForJson, withToken } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { refused, testNetwork } from '../../testing/index.ts'
import { credentialId, openCredential } from '../credential.ts'

const statusOnLedger = (net: ReturnType<typeof testNetwork>, h: string) =>
  (net.chain.ledger.queryByName('identity', 'credential', { h: fromBase64url(h) }) as { status: string })
    .status

async function added() {
  const net = testNetwork()
  const { token } = net.org('a').services.staff.addFirstAdmin('Admin', 3_600_000)
  const admin = withToken(net.connectionTo('a'), token)
  const member = (await sendForJson(admin, 'POST', '/staff', {
    json: { name: 'Dr. Xu', roles: ['clinician'], licence: { authority: 'State', number: 'L-1' } },
  })) as { practitioner: string; token: string; credential: string }
  return { net, admin, member }
}

describe('staff', () => {
  test('starts with one admin, who adds others', async () => {
    const { net } = await added()
    expect(() => net.org('a').services.staff.addFirstAdmin('Another', 1)).toThrow(/already/)
    expect(
      net
        .org('a')
        .services.staff.list()
        .map(({ roles }) => roles)
        .sort(),
    ).toEqual([['admin'], ['clinician']])
  })

  test('has a credential that its salt ties to the handle on the ledger, and a session with it', async () => {
    const { net, member } = await added()
    const held = net.org('a').services.staff.credentialOf(member.practitioner)
    const h = credentialId(held?.salt as Uint8Array, held?.signed.bytes as Uint8Array)
    expect(toBase64url(h)).toBe(member.credential)
    const signKey = net.chain.members['a']?.sign.publicKey as Uint8Array
    const credential = openCredential(signKey, net.context.chainId, held?.signed as never)
    expect(credential).toMatchObject({ issuer: 'a', practitioner: member.practitioner, roles: ['clinician'] })
    expect(statusOnLedger(net, member.credential)).toBe('active')
    expect(net.org('a').sessions.resolve(member.token)).toMatchObject({ kind: 'staff', credential: h })
  })

  test('signs with the key that her credential confirms, while she is active and the house keeps it', async () => {
    const { net, admin, member } = await added()
    const { staff } = net.org('a').services
    const signer = staff.signerFor(member.practitioner)
    const signKey = net.chain.members['a']?.sign.publicKey as Uint8Array
    const { cnf } = openCredential(signKey, net.context.chainId, signer?.signed as never)
    expect(signer?.key.publicKey).toEqual(cnf)
    expect(toBase64url(signer?.h as Uint8Array)).toBe(member.credential)
    const own = await staff.add({ name: 'Dr. Own', roles: ['clinician'], cnf: net.context.random(32) })
    expect(staff.signerFor(own.member.practitioner)).toBeUndefined()
    expect(staff.signerFor('nobody')).toBeUndefined()
    const path = `/staff/${member.practitioner}/status`
    await sendForJson(admin, 'PUT', path, { json: { status: 'suspended' } })
    expect(staff.signerFor(member.practitioner)).toBeUndefined()
  })

  test('is suspended, reinstated and ended, here and on the ledger', async () => {
    const { net, admin, member } = await added()
    const path = `/staff/${member.practitioner}`
    const set = (status: string) => sendForJson(admin, 'PUT', `${path}/status`, { json: { status } })
    await set('suspended')
    expect(() => net.org('a').sessions.resolve(member.token)).toThrow(/no session/)
    expect(statusOnLedger(net, member.credential)).toBe('suspended')
    expect(await refused(sendForJson(admin, 'POST', `${path}/sessions`))).toBe('FORBIDDEN')
    await set('active')
    const { token } = (await sendForJson(admin, 'POST', `${path}/sessions`)) as { token: string }
    expect(net.org('a').sessions.resolve(token)).toMatchObject({ name: 'Dr. Xu' })
    await set('ended')
    expect(statusOnLedger(net, member.credential)).toBe('ended')
    expect(await refused(set('active'))).toBe('CONFLICT')
  })

  test('is for admins to manage; nothing in the clear says who works here', async () => {
    const { net, member } = await added()
    const clinician = withToken(net.connectionTo('a'), member.token)
    expect(await refused(sendForJson(clinician, 'GET', '/staff'))).toBe('FORBIDDEN')
    const rows = net.org('a').sql.prepare('SELECT * FROM identity_staff').all()
    for (const row of rows) expect(Buffer.from(row['sealed'] as Uint8Array).includes('Xu')).toBe(false)
  })
})
