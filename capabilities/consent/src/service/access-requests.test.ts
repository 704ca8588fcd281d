import { toHex } from '@salus/core'
import { memoryNetwork } from '@salus/host'
import { OrgMessages } from '@salus/server'
import { describe, expect, test } from 'vitest'
import { chainId } from '../../testing/sample.ts'
import { A, B, ownerAtA, ownerAtB, twoHouses } from '../../testing/two-houses.ts'
import { accessRequestRoutes } from './access-request-routes.ts'
import { AccessRequests } from './access-requests.ts'
import type { Person } from './patient-ports.ts'
import { orgWire } from './transport.ts'

const anna: Person = { family: 'Meier', given: 'Anna', birthDate: '1980-05-01' }
const nobody: Person = { family: 'Unknown', given: 'X', birthDate: '1980-05-01' }

function asking() {
  const houses = twoHouses()
  const { a, b, ledger, clock, linksAt } = houses
  const network = memoryNetwork()
  const notices: { owner: Uint8Array; about: unknown }[] = []
  const deskOf = (house: typeof a) => {
    const patients = {
      find: (person: Person) => (house.org === A && person.family === 'Meier' ? [ownerAtA] : []),
      byLocator: () => undefined,
      read: async (id: string) =>
        id === 'Patient/anna'
          ? { owner: ownerAtB, person: anna }
          : id === 'Patient/x'
            ? { owner: ownerAtB, person: nobody }
            : undefined,
      optedOut: () => false,
    }
    const wire = orgWire({ keys: house.keys, ledger, network, clock, random: house.random })
    return new AccessRequests({
      ...house,
      ledger,
      clock,
      links: linksAt(house.org),
      patients,
      wire,
      notices: { add: (owner, { about }) => void notices.push({ owner, about }) },
    })
  }
  const [atA, atB] = [deskOf(a), deskOf(b)]
  const messages = new OrgMessages({
    org: A,
    chainId,
    clock,
    signKeyOf: (org) => ledger.organisation(org)?.sign,
  })
  const route = accessRequestRoutes({ requests: atA, messages }).find(({ path }) => path.startsWith('/org'))
  const answers: string[] = []
  network.serve(`http://${A}`, async (request) => {
    try {
      const body = new Uint8Array(await request.arrayBuffer())
      const answer = await route?.handle({ body } as never)
      answers.push(toHex(answer?.raw?.body as Uint8Array))
      return new Response(answer?.raw?.body as BodyInit)
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return new Response(JSON.stringify({ code, detail: message }), { status: 429 })
    }
  })
  return { ...houses, atB, notices, answers }
}
const ask = (patient: string) => ({ custodian: A, patient, purpose: 'TREAT' as const })
const staff = { practitioner: 'p-17' }

describe('a request without a grant', () => {
  test('is refused alike whether or not the patient is known, and only she learns of it', async () => {
    const { a, b, atB, notices, answers, linksAt } = asking()
    expect(await atB.ask(staff, ask('Patient/anna'))).toBe('DENIED')
    expect(await atB.ask(staff, ask('Patient/x'))).toBe('DENIED')
    expect(new Set(answers).size).toBe(1)
    expect(a.access.of('refusal').map(({ owner, reasons }) => [owner, reasons])).toEqual([
      [ownerAtA, ['NO_GRANT']],
      [linksAt(A).organisationOwner, ['NO_MATCH']],
    ])
    expect(a.access.of('refusal')[0]?.actor).toEqual({ org: B, practitioner: 'p-17' })
    expect(notices).toEqual([{ owner: ownerAtA, about: { org: B, purpose: 'TREAT', practitioner: 'p-17' } }])
    expect(b.access.of('request').map(({ owner, custodian }) => [owner, custodian])).toEqual([
      [ownerAtB, A],
      [ownerAtB, A],
    ])
  })

  test('is for a patient of one’s own and another member only', async () => {
    const { atB } = asking()
    await expect(atB.ask(staff, ask('Patient/none'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const self = { ...ask('Patient/anna'), custodian: B }
    await expect(atB.ask(staff, self)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('is limited per member, and again possible an hour later', async () => {
    const { atB, clock } = asking()
    for (let i = 0; i < 60; i += 1) await atB.ask(staff, ask('Patient/anna'))
    await expect(atB.ask(staff, ask('Patient/anna'))).rejects.toMatchObject({ code: 'TOO_MANY' })
    clock.advance(3_600_001)
    expect(await atB.ask(staff, ask('Patient/anna'))).toBe('DENIED')
  })
})
