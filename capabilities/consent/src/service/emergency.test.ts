import { AppError, decode, fromUtf8, toHex } from '@salus/core'
import { memoryNetwork } from '@salus/host'
import { HttpServer, Sessions } from '@salus/server'
import { describe, expect, test } from 'vitest'
import { readFakeEvent } from '../../testing/fake-stores.ts'
import { fixed, HOUR, keyOf } from '../../testing/sample.ts'
import { A, B, clinician, json, ownerAtA, ownerAtB, twoHouses } from '../../testing/two-houses.ts'
import type { SummarySource } from '../emergency-summary.ts'
import { BreakGlass } from './break-glass.ts'
import { EmergencyDesk } from './emergency-desk.ts'
import { emergencyRoutes } from './emergency-routes.ts'
import { EmergencyStore } from './emergency-store.ts'
import { EmergencySummaries } from './emergency-summaries.ts'
import type { Person } from './patient-ports.ts'
import { orgWire } from './transport.ts'

const anna: Person = { family: 'Meier', given: 'Anna', birthDate: '1980-05-01' }
const second = { practitioner: 'p-18', credential: fixed('credential 2') }
const reviewer = { practitioner: 'p-99' }

function ward() {
  const houses = twoHouses()
  const { a, b, ledger, clock, linksAt } = houses
  ledger.credentials.set(toHex(second.credential), { issuer: B, status: 'active' })
  const network = memoryNetwork()
  let nextBlock = async (): Promise<void> => {}
  const notices: { owner: Uint8Array; kind: string; about: Readonly<Record<string, unknown>> }[] = []
  const optedOut = new Set<string>()
  const sources: SummarySource[] = [
    {
      recordId: 'Patient/anna',
      compartment: 'general',
      resource: { resourceType: 'Patient', name: [{ family: 'Meier' }] },
    },
    {
      recordId: 'AllergyIntolerance/1',
      compartment: 'general',
      resource: { resourceType: 'AllergyIntolerance', code: { text: 'Penicillin' } },
    },
  ]
  const patients = {
    find: (person: Person) =>
      person.family === 'Meier' ? [ownerAtA] : person.family === 'Twice' ? [ownerAtA, ownerAtB] : [],
    byLocator: (locator: Uint8Array) => (toHex(locator) === toHex(fixed('locator')) ? ownerAtA : undefined),
    read: async () => undefined,
    optedOut: (owner: Uint8Array) => optedOut.has(toHex(owner)),
  }
  const importing = { now: false }
  const since = { types: [] as string[] }
  const summaries = new EmergencySummaries({
    sql: a.sql,
    records: {
      sources: async (owner) => (toHex(owner) === toHex(ownerAtA) ? sources : []),
      exclusions: () => ({ compartments: [], records: [] }),
      async put(owner, recordId, bytes) {
        const text = new TextDecoder().decode(bytes)
        const tree = JSON.parse(text) as { resourceType: string; id: string }
        expect(`${tree.resourceType}/${tree.id}`).toBe(recordId)
        a.records.add(owner, tree, { compartment: 'emergency' })
      },
      current: (owner, recordId) =>
        a.records.current(owner).findLast(({ labels }) => labels.recordId === recordId),
      typesSince: () => since.types,
      isBusy: () => importing.now,
    },
    custodian: { org: A, name: 'Hospital A' },
    serialise: json.serialise,
    clock,
    random: a.random,
  })
  const people = { 'p-17': clinician.credential, 'p-18': second.credential } as Record<string, Uint8Array>
  const desk = new EmergencyDesk({
    ...a,
    ledger,
    clock,
    summaries,
    patients,
    links: linksAt(A),
    notices: { add: (owner, { kind, about }) => void notices.push({ owner, kind, about }) },
    readCredential: ({ credential }) => {
      const practitioner = new TextDecoder().decode(credential)
      const h = people[practitioner]
      return h && { h, issuer: B, practitioner, cnf: keyOf(practitioner).publicKey }
    },
    overridesOptOut: false,
    untilLedgerHas: async (isThere) => {
      for (let blocks = 0; blocks < 3 && !isThere(); blocks += 1) await nextBlock()
    },
  })
  const glassWith = (sql = b.sql) =>
    new BreakGlass({
      ...b,
      ledger,
      clock,
      wire: orgWire({ keys: b.keys, ledger, network, clock, random: b.random }),
      members: () => [A, B],
      logOf: () => a.log,
      readEvent: readFakeEvent,
      organisationOwner: linksAt(B).organisationOwner,
      store: new EmergencyStore({ sql, key: fixed('store'), random: b.random }),
      submit: (item) => ledger.submit(item),
      signerOf: (practitioner) => {
        const h = people[practitioner]
        return (
          h && {
            key: keyOf(practitioner),
            h,
            shown: {
              credential: new TextEncoder().encode(practitioner),
              sig: new Uint8Array(64),
              salt: fixed('s'),
            },
          }
        )
      },
    })
  const glass = glassWith()
  const route = emergencyRoutes({ glass, desk, patients }).find(({ path }) => path === '/org/emergency')
  const seen: Uint8Array[] = []
  network.serve(`http://${A}`, async (request) => {
    try {
      const body = new Uint8Array(await request.arrayBuffer())
      seen.push(body)
      const answer = await route?.handle({ body } as never)
      return new Response(answer?.raw?.body as BodyInit)
    } catch (error) {
      const { code, message } = error as AppError
      return new Response(JSON.stringify({ code, detail: message }), { status: 422 })
    }
  })
  const onNextBlock = (run: () => void) => {
    nextBlock = async () => run()
  }
  return {
    ...houses,
    glass,
    glassWith,
    desk,
    summaries,
    importing,
    since,
    notices,
    optedOut,
    seen,
    patients,
    onNextBlock,
  }
}
const match = (person: Person = anna) => ({ kind: 'match' as const, ...person })
const input = { patient: match(), owner: ownerAtB, reason: 'unconscious' as const }

describe('breaking the glass', () => {
  test('gives the summary only, after the ledger’s event, leaf first, with the patient told', async () => {
    const { a, b, ledger, glass, notices, lab } = ward()
    lab('o-1')
    const order: string[] = []
    const submit = ledger.submit.bind(ledger)
    ledger.submit = async (item) => {
      order.push('ledger')
      return submit(item)
    }
    a.access.onRecord = () => void order.push(`leaf ${a.records.opened.length}`)
    const view = await glass.open(clinician, { ...input, note: 'found on the street' })
    expect(view).toMatchObject({ phase: 'open', degraded: false })
    expect(view.answers.map(({ org, state }) => [org, state])).toEqual([[A, 'summary']])
    const bundle = JSON.parse(view.answers[0]?.summary ?? '') as {
      entry: { resource: { resourceType: string } }[]
    }
    expect(bundle.entry.map(({ resource }) => resource.resourceType)).toEqual([
      'Composition',
      'Patient',
      'AllergyIntolerance',
    ])
    expect(order).toEqual(['ledger', 'leaf 0'])
    const [event] = a.access.of('emergency')
    expect(event).toMatchObject({ owner: ownerAtA, outcome: 'permitted', purpose: 'ETREAT' })
    expect(event?.emergency).toMatchObject({ b: view.b, reason: 'unconscious' })
    expect(event?.versions).toHaveLength(1)
    expect(b.access.of('open')[0]).toMatchObject({ owner: ownerAtB, versions: event?.versions })
    expect(notices).toEqual([
      {
        owner: ownerAtA,
        kind: 'emergency',
        about: { b: view.b, org: B, reason: 'unconscious', practitioner: 'p-17' },
      },
    ])
    const row = ledger.emergencies.get(toHex(view.b))
    expect(Object.keys(row ?? {}).sort()).toEqual(['c', 'na', 'openedMs', 'org'])
  })

  test('ends by itself, is listed until reviewed by somebody else, and is overdue in the end', async () => {
    const { b, clock, ledger, glass } = ward()
    const { b: id, untilMs } = await glass.open(clinician, { ...input, lastsMs: HOUR })
    expect(glass.list()[0]).toMatchObject({ review: 'not due', phase: 'open' })
    expect((await glass.show(clinician, id)).answers).toHaveLength(1)
    await expect(glass.show(second, id)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    clock.advance(untilMs - clock.now())
    await Promise.resolve()
    expect(glass.list()[0]).toMatchObject({ review: 'due', phase: 'ended' })
    await expect(glass.show(clinician, id)).rejects.toMatchObject({ code: 'GONE' })
    expect(b.access.of('review')).toHaveLength(1)
    clock.advance(73 * HOUR)
    expect(glass.list()[0]?.review).toBe('overdue')
    await expect(glass.review(clinician, id, 'justified')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await glass.review(reviewer, id, 'justified')
    expect(glass.list()[0]?.review).toBe('done')
    expect(ledger.emergencies.get(toHex(id))?.outcome).toBe('justified')
  })

  test('answers alike for nobody, several, an opt-out and another patient under the same glass', async () => {
    const { a, glass, optedOut, notices, desk, seen, linksAt } = ward()
    const nobody = await glass.open(clinician, { ...input, patient: match({ ...anna, family: 'Nobody' }) })
    const several = await glass.open(clinician, { ...input, patient: match({ ...anna, family: 'Twice' }) })
    optedOut.add(toHex(ownerAtA))
    const out = await glass.open(clinician, input)
    for (const { answers } of [nobody, several, out]) expect(answers).toEqual([{ org: A, state: 'none' }])
    expect(a.access.of('emergency').map(({ owner, outcome, reasons }) => [owner, outcome, reasons])).toEqual([
      [linksAt(A).organisationOwner, 'denied', ['NO_MATCH']],
      [linksAt(A).organisationOwner, 'denied', ['NO_MATCH']],
      [ownerAtA, 'denied', ['OPTED_OUT']],
    ])
    expect(notices.map(({ kind }) => kind)).toEqual(['refusal'])
    expect(a.records.opened).toEqual([])
    // The same message again is not answered again.
    const [from, sealed] = decode(seen[0] as Uint8Array) as [string, Uint8Array]
    await expect(desk.answer(from, sealed)).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('waits for a custodian that is a block behind', async () => {
    const { ledger, glass, onNextBlock } = ward()
    const ahead = ledger.submit.bind(ledger)
    ledger.submit = async (item) => {
      onNextBlock(() => void ahead(item))
      return { height: 101, index: 0 }
    }
    expect((await glass.open(clinician, input)).answers[0]?.state).toBe('summary')
  })

  test('over HTTP names the patient in exactly one way', async () => {
    const { a, b, glass, desk, patients, clock } = ward()
    const routes = emergencyRoutes({ glass, desk, patients })
    const sessions = new Sessions({ sql: b.sql, clock, random: b.random })
    const server = new HttpServer({ routes, sessions, clock, random: b.random, title: 'B', version: '1' })
    const staff = { kind: 'staff' as const, name: 'Dr X', roles: ['clinician' as const], ...clinician }
    const { token } = sessions.open(staff, HOUR)
    const post = async (url: string, body: unknown) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const answer = await server.inject({ method: 'POST', url, headers, body: JSON.stringify(body) })
      return { status: answer.status, body: JSON.parse(fromUtf8(answer.body)) as Record<string, unknown> }
    }
    expect(await post('/emergencies', { reason: 'life-threat' })).toMatchObject({ status: 400 })
    expect(a.access.events).toEqual([])
    const both = { person: anna, patient: 'Patient/x', reason: 'life-threat' }
    expect(await post('/emergencies', both)).toMatchObject({ status: 400 })
    const opened = await post('/emergencies', { person: anna, reason: 'life-threat' })
    expect(opened).toMatchObject({
      status: 201,
      body: { phase: 'open', answers: [{ org: A, state: 'summary' }] },
    })
    const b64 = String(opened.body['b'])
    expect(await post(`/emergencies/${b64}/end`, {})).toMatchObject({ body: { ended: true } })
    const review = await post(`/staff/emergencies/${b64}/review`, { outcome: 'justified' })
    expect(review).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } })
    expect(await post('/emergencies/xx/end', {})).toMatchObject({ status: 400 })
    await server.close()
  })

  test('by a locator finds its patient', async () => {
    const { glass } = ward()
    const view = await glass.open(clinician, {
      ...input,
      patient: { kind: 'locator', locator: fixed('locator') },
    })
    expect(view.answers[0]?.state).toBe('summary')
  })

  test('without a credential, or with one that is suspended, opens nothing', async () => {
    const { a, ledger, glass } = ward()
    await expect(glass.open({ practitioner: 'p-1' }, input)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    ledger.credentials.set(toHex(clinician.credential), { issuer: B, status: 'suspended' })
    const { answers } = await glass.open(clinician, input)
    expect(answers[0]?.state).toBe('none')
    expect(a.access.of('emergency')[0]?.reasons).toEqual(['CREDENTIAL'])
  })

  test('a restart forgets no end', async () => {
    const { b, clock, glass, glassWith } = ward()
    const { untilMs } = await glass.open(clinician, input)
    await glass.close()
    const restarted = glassWith()
    clock.advance(untilMs - clock.now())
    await new Promise((resolve) => setImmediate(resolve))
    expect(restarted.list()[0]?.phase).toBe('ended')
    expect(b.access.of('review').map(({ note }) => note)).toEqual(['ended'])
  })

  test('a restart holds no summary and asks again', async () => {
    const { a, glass, glassWith } = ward()
    const { b: id } = await glass.open(clinician, input)
    await glass.close()
    const restarted = glassWith()
    const view = await restarted.show(clinician, id)
    expect(view.answers[0]?.state).toBe('summary')
    expect(a.access.of('emergency')).toHaveLength(2)
  })
})

describe('with the ledger stopped', () => {
  test('two people sign, the event is marked, and the ledger gets its own when it moves', async () => {
    const { a, clock, ledger, glass, desk, notices } = ward()
    ledger.stop()
    clock.advance(2 * 60_000)
    const waiting = await glass.open(clinician, { ...input, lastsMs: HOUR })
    expect(waiting).toMatchObject({ phase: 'waiting', answers: [] })
    expect(a.access.of('emergency')).toEqual([])
    await expect(glass.second(clinician, waiting.b)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    const view = await glass.second(second, waiting.b)
    expect(view).toMatchObject({ phase: 'open', degraded: true })
    expect(view.answers[0]?.state).toBe('summary')
    expect(a.access.of('emergency')[0]).toMatchObject({ degraded: true, outcome: 'permitted' })
    expect(notices[0]?.about).toMatchObject({ degraded: 1 })
    await expect(glass.review(reviewer, view.b, 'justified')).rejects.toMatchObject({ code: 'CONFLICT' })

    clock.advance(25 * HOUR)
    await new Promise((resolve) => setImmediate(resolve))
    expect(glass.list()[0]?.review).toBe('overdue')
    expect(desk.overdueLedgerEvents()).toHaveLength(1)
    ledger.go()
    await glass.payLedger()
    expect(ledger.emergencies.has(toHex(view.b))).toBe(true)
    expect(desk.overdueLedgerEvents()).toEqual([])
    await glass.review(reviewer, view.b, 'justified')
    expect(glass.list()[0]).toMatchObject({ review: 'done', ledgerDueMs: undefined })
  })

  test('the first block after it pays what the ledger is owed', async () => {
    const { clock, ledger, glass } = ward()
    ledger.stop()
    clock.advance(2 * 60_000)
    const { b: id } = await glass.open(clinician, input)
    await glass.second(second, id)
    ledger.go()
    glass.ledgerMoved()
    await new Promise((resolve) => setImmediate(resolve))
    expect(ledger.emergencies.has(toHex(id))).toBe(true)
    expect(glass.list()[0]?.ledgerDueMs).toBeUndefined()
    // Nothing is owed any more.
    glass.ledgerMoved()
    await glass.close()
  })

  test('two signatures open nothing while the custodian sees the ledger move', async () => {
    const { a, clock, ledger, glass } = ward()
    ledger.stop()
    clock.advance(2 * 60_000)
    const waiting = await glass.open(clinician, input)
    // The asking house alone is cut off: it cannot put anything on the ledger, the custodian's head is fresh.
    ledger.go()
    ledger.submit = async () => {
      throw new AppError('TX_NOT_FINAL', 'tx: cut off')
    }
    const view = await glass.second(second, waiting.b)
    expect(view.answers[0]?.state).toBe('none')
    expect(a.access.of('emergency')[0]?.reasons).toEqual(['NOT_FINAL'])
  })
})

describe('the summary', () => {
  test('waits while records arrive in bulk, until none came for a while', async () => {
    const { a, clock, summaries, importing } = ward()
    const count = () => a.records.current(ownerAtA).length
    const write = () => summaries.noteWrites([{ owner: ownerAtA, type: 'Condition' }])
    write()
    clock.advance(20_000)
    write()
    clock.advance(20_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(count()).toBe(0)
    importing.now = true
    clock.advance(10_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(count()).toBe(0)
    importing.now = false
    clock.advance(30_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(count()).toBe(1)
    await summaries.close()
  })

  test('is never older than the record, also where nobody noted the write', async () => {
    const { a, summaries, since } = ward()
    const count = () => a.records.current(ownerAtA).length
    await summaries.ready(ownerAtA)
    since.types = ['Claim', 'Bundle']
    await summaries.ready(ownerAtA)
    expect(count()).toBe(1)
    since.types = ['Claim', 'AllergyIntolerance']
    await summaries.ready(ownerAtA)
    expect(count()).toBe(2)
    await summaries.close()
  })

  test('is made anew after relevant writes, some quiet time later, and waits over a restart', async () => {
    const { a, clock, summaries } = ward()
    const count = () => a.records.current(ownerAtA).length
    summaries.noteWrites([{ owner: ownerAtA, type: 'Claim' }])
    clock.advance(60_000)
    await summaries.flush()
    expect(count()).toBe(0)
    summaries.noteWrites([
      { owner: ownerAtA, type: 'Condition' },
      { owner: ownerAtA, type: 'Observation' },
    ])
    expect(count()).toBe(0)
    clock.advance(30_000)
    await summaries.flush()
    expect(count()).toBe(1)
    const first = await summaries.ready(ownerAtA)
    expect(count()).toBe(1)
    summaries.noteWrites([{ owner: ownerAtA, type: 'Condition' }])
    const next = await summaries.ready(ownerAtA)
    expect(count()).toBe(2)
    expect(next?.labels.recordId).toBe(first?.labels.recordId)
    expect(await summaries.ready(fixed('nobody').slice(0, 16))).toBeUndefined()
    await summaries.close()
  })
})
