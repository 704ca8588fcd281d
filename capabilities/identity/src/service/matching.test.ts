import { fromBase64url, toBase64url } from '@salus/core'
import { sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { refused, testNetwork } from '../../testing/index.ts'

const person = (family: string) => ({ family, given: 'Eve', birthDate: '1970-01-01' })

function start() {
  const net = testNetwork()
  net.org('a').addPatient('Patient/eve')
  const desk = net.org('b').staff()
  const ask = async (family: string) =>
    (
      (await sendForJson(desk, 'POST', '/staff/matches', { json: { org: 'a', person: person(family) } })) as {
        requestId: string
      }
    ).requestId
  const confirm = async (requestId: string, code: string) =>
    (
      (await sendForJson(desk, 'POST', '/staff/matches/confirm', {
        json: { org: 'a', requestId, code },
      })) as { answer: string }
    ).answer
  return { net, ask, confirm }
}

describe('a match', () => {
  test('is yes to who brings back the code that the person was sent, once, within ten minutes', async () => {
    const { net, ask, confirm } = start()
    const asked = await ask('eve')
    const code = net.org('a').sent[0]?.code as string
    expect(await confirm(asked, code === '00000000' ? '00000001' : '00000000')).toBe('no')
    expect(await confirm(asked, code)).toBe('yes')
    expect(await confirm(asked, code)).toBe('no')
    const late = await ask('eve')
    net.pass(10 * 60_000)
    expect(await confirm(late, net.org('a').sent[1]?.code as string)).toBe('no')
  })

  test('says nothing of whom it does not know, and logs every question at both ends', async () => {
    const { net, ask, confirm } = start()
    expect(fromBase64url(await ask('nobody'))).toHaveLength(16)
    expect(await confirm(toBase64url(new Uint8Array(16)), '12345678')).toBe('no')
    expect(net.org('a').sent).toEqual([])
    const acts = (org: string) => net.org(org).acts.map(({ act, org: other }) => [act, other])
    expect(acts('a')).toEqual([
      ['match', 'b'],
      ['match', 'b'],
    ])
    expect(acts('b')).toEqual([
      ['match', 'a'],
      ['match', 'a'],
    ])
  })

  test('belongs to the organisation that asked, and five wrong codes end it', async () => {
    const { net, ask, confirm } = start()
    const asked = await ask('eve')
    const code = net.org('a').sent[0]?.code as string
    const other = net.org('c').services.matching.confirm('a', fromBase64url(asked), code, 'desk-c')
    expect(await other).toBe('no')
    const wrong = code === '00000000' ? '00000001' : '00000000'
    for (let tries = 0; tries < 5; tries += 1) expect(await confirm(asked, wrong)).toBe('no')
    expect(await confirm(asked, code)).toBe('no')
  })

  test('is limited: five codes a day to one person, sixty questions an hour from one organisation', async () => {
    const { net, ask } = start()
    for (let count = 0; count < 60; count += 1) await ask('eve')
    expect(net.org('a').sent).toHaveLength(5)
    expect(await refused(ask('eve'))).toBe('TOO_MANY')
    net.pass(3_600_001)
    await ask('nobody')
    expect(net.org('a').sent).toHaveLength(5)
  })
})
