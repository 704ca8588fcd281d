import { listAccesses, receiptFor } from '@salus/audit/client'
import {
  encodeTerms,
  grantArgs,
  sealForCustodian,
  sealForGrantee,
  signTermsLink,
  type Terms,
  textHashOf,
} from '@salus/consent'
import { grantRow, grantsAt } from '@salus/consent/client'
import { AppError, type SignedForm, signAs, signCheckpoint, signingKey, toBase64url } from '@salus/core'
import { openOwnSession } from '@salus/identity/client'
import { linkKey } from '@salus/keys'
import { logIdOf, signBody } from '@salus/ledger'
import { factLogOrigin } from '@salus/log'
import type { NodeHost } from '@salus/node'
import { listOwnVersions } from '@salus/records/client'
import { type Connection, execute, send, sendForJson, withToken } from '@salus/sdk'
import { signOrgMessage } from '@salus/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addStaff,
  type Chart,
  chartOf,
  draftFor,
  enrolPatient,
  type GrantMade,
  grantedIn,
  grantTo,
  HOSPITALS,
  importText,
  type Scenario,
  type ScenarioPatient,
  sessionAt,
  startScenario,
  withdraw,
} from '../src/index.ts'
import { Asking, type Outcome } from './release-requests.ts'
import { temporaryDir } from './temporary-dir.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const OTHER = 'Patient/someone-else'

const { dir, remove } = temporaryDir()
let s: Scenario
let other: ScenarioPatient

beforeAll(async () => {
  s = await startScenario({ dir })
  const line = JSON.stringify({ resourceType: 'Patient', id: 'someone-else', name: [{ family: 'Else' }] })
  await importText(s.admin.a, line)
  await importText(s.admin.b, line)
  other = await enrolPatient(s, OTHER, ['a', 'b'])
})

afterAll(async () => {
  await s.close()
  remove()
})

describe('grant replay and transplant', () => {
  const REFUSED = ['DENIED', 'SEQUENCE', 'BAD_REQUEST', 'REQUEST', 'UNKNOWN_VERSION']

  test('a request with any one field changed opens nothing; the unchanged one opens what was granted', async () => {
    const grant = await grantTo(s, s.patient)
    const elsewhere = await grantTo(s, other)
    const asking = new Asking(s, grant)
    const base = asking.request()
    const random = (length: number) => s.context.random(length)
    const oids = (await listOwnVersions(sessionAt(s.patient, 'a'))).slice(0, 100).map(({ oid }) => oid)
    const reading = { query: undefined, oids }
    const changes: readonly [what: string, change: Parameters<Asking['ask']>[0]][] = [
      ['grant nobody knows', { g: random(16) }],
      ['place skipped', { seq: base.seq + 1 }],
      ['another past', { prev: random(32) }],
      ['sent ten minutes ago', { time: base.time - 11 * MINUTE_MS }],
      ['sent in ten minutes', { time: base.time + 11 * MINUTE_MS }],
      ['another organisation', { actor: { ...base.actor, org: HOSPITALS.a } }],
      ['another person', { actor: { ...base.actor, practitioner: 'someone' } }],
      ['no person', { actor: { org: base.actor.org } }],
      ['credential nobody issued', { credential: random(32) }],
      ['credential of the custodian’s clinician', { credential: s.clinician.a.credential }],
      ['no credential', { credential: undefined }],
      ['another purpose', { purpose: 'HPAYMT' }],
      ['emergency as purpose', { purpose: 'ETREAT' }],
      ['another action', { ...reading, action: 'copy' }],
      ['writing', { ...reading, action: 'write' }],
      ['both oids and query', { oids }],
      ['unknown suite', { suite: 2 }],
      ['unknown form version', { v: 2 }],
    ]
    for (const [what, change] of changes) {
      const { released, code } = await asking.ask(change)
      expect({ what, released, told: REFUSED.includes(code) ? 'refused' : code }).toEqual({
        what,
        released: 0,
        told: 'refused',
      })
    }
    // Another patient's grant names her versions: they are not hers, so they are as if they did not exist.
    expect(await new Asking(s, elsewhere).ask({ ...reading, action: 'read' })).toMatchObject({ released: 0 })
    const honest = await asking.ask()
    expect(honest.code).toBe('RELEASED')
    expect(honest.released).toBeGreaterThan(50)
  })

  test('a request sent twice, altered on the way, or signed by somebody else is refused', async () => {
    const asking = new Asking(s, await grantTo(s, s.patient))
    const request = asking.request()
    const signed = asking.sign(request)
    expect((await asking.send(signed, request)).code).toBe('RELEASED')
    expect((await asking.send(signed, request)).code).toBe('SEQUENCE')

    const next = asking.request()
    const good = asking.sign(next)
    const altered: SignedForm = { bytes: flipped(good.bytes, 40), sig: good.sig }
    expect((await asking.send(altered, next)).code).toBe('BAD_SIGNATURE')
    const mine = signingKey(s.context.random(32))
    const stranger = { bytes: good.bytes, sig: signAs(mine, 'request', s.context.chainId, good.bytes) }
    expect((await asking.send(stranger, next)).code).toBe('BAD_SIGNATURE')
    const { organisation } = s.net.node(HOSPITALS.b)
    const otherType = {
      bytes: good.bytes,
      sig: signAs(organisation.sign, 'statement', s.context.chainId, good.bytes),
    }
    expect((await asking.send(otherType, next)).code).toBe('BAD_SIGNATURE')
    const otherChain = {
      bytes: good.bytes,
      sig: signAs(organisation.sign, 'request', s.context.random(32), good.bytes),
    }
    expect((await asking.send(otherChain, next)).code).toBe('BAD_SIGNATURE')
    expect((await asking.send(good, next, HOSPITALS.a)).code).toBe('BAD_SIGNATURE')
    expect((await asking.send(good, next, 'nobody')).code).toBe('UNAUTHENTICATED')
    expect((await asking.ask()).code).toBe('RELEASED')
  })

  test('a package whose terms, salt, link or place is another’s is taken by neither end', async () => {
    const mine = linkKey(s.patient.person.keyring, HOSPITALS.a)
    const hers = linkKey(other.person.keyring, HOSPITALS.a)
    if (mine === undefined || hers === undefined) throw new Error('both are enrolled')
    const { chainId, random, clock } = s.context
    const draft = draftFor(s, s.patient)
    const salt = random(32)
    const body = signBody({
      chainId,
      call: 'consent/grant',
      args: grantArgs(draft.encoded, salt),
      untilMs: clock.now() + 5 * MINUTE_MS,
      keys: [signingKey(draft.controller.seed)],
      random,
    })
    await execute(s.at.a, body)
    const a = s.net.node(HOSPITALS.a).organisation
    const b = s.net.node(HOSPITALS.b).organisation
    const link = { key: mine.publicKey, sig: signTermsLink(mine, chainId, draft.encoded) }
    const changed = (change: Partial<Terms>): Uint8Array => encodeTerms({ ...draft.terms, ...change })
    const relinked = (terms: Uint8Array) => ({
      key: mine.publicKey,
      sig: signTermsLink(mine, chainId, terms),
    })
    const { g } = draft

    const wide = changed({ scope: { compartments: ['labs', 'medication', 'mental'] } })
    const long = changed({ notAfter: draft.terms.notAfter + DAY_MS })
    const otherText = changed({ textHash: random(32) })
    const custodianPacks = [
      ['wider scope', { v: 1, terms: wide, salt, link: relinked(wide) }],
      ['longer', { v: 1, terms: long, salt, link: relinked(long) }],
      ['another text', { v: 1, terms: otherText, salt, link: relinked(otherText) }],
      ['another salt', { v: 1, terms: draft.encoded, salt: random(32), link }],
      ['another’s link key', { v: 1, terms: draft.encoded, salt, link: { ...link, key: hers.publicKey } }],
      ['a link key of nobody', { v: 1, terms: draft.encoded, salt, link: { ...link, key: random(32) } }],
      ['a link signature over other terms', { v: 1, terms: draft.encoded, salt, link: relinked(wide) }],
    ] as const
    const before = (await grantsAt(sessionAt(s.patient, 'a'))).length
    for (const [what, pack] of custodianPacks) {
      const sealed = sealForCustodian(pack, { to: a.seal.publicKey, chainId, g, random })
      expect({ what, code: await deliver(s.at.a, 'custodian', g, sealed) }).toEqual({
        what,
        code: 'TERMS_REFUSED',
      })
    }
    const right = { v: 1, terms: draft.encoded, salt, link }
    const elsewhere = [
      [
        'under another grant’s id',
        sealForCustodian(right, { to: a.seal.publicKey, chainId, g: random(16), random }),
      ],
      ['sealed to the other end', sealForCustodian(right, { to: b.seal.publicKey, chainId, g, random })],
      [
        'of another network',
        sealForCustodian(right, { to: a.seal.publicKey, chainId: random(32), g, random }),
      ],
      [
        'the grantee’s package',
        sealForGrantee({ v: 1, terms: draft.encoded, salt }, { to: a.seal.publicKey, chainId, g, random }),
      ],
    ] as const
    for (const [what, sealed] of elsewhere)
      expect({ what, code: await deliver(s.at.a, 'custodian', g, sealed) }).toEqual({
        what,
        code: 'OPEN_FAILED',
      })
    expect((await grantsAt(sessionAt(s.patient, 'a'))).length).toBe(before)

    const granteePacks = [
      ['wider scope', wide, salt],
      ['another salt', draft.encoded, random(32)],
      ['another patient', changed({ sub: random(32) }), salt],
    ] as const
    for (const [what, terms, used] of granteePacks) {
      const sealed = sealForGrantee({ v: 1, terms, salt: used }, { to: b.seal.publicKey, chainId, g, random })
      expect({ what, code: await deliver(s.at.b, 'grantee', g, sealed) }).toEqual({
        what,
        code: 'TERMS_REFUSED',
      })
    }
    const sealed = sealForCustodian(right, { to: a.seal.publicKey, chainId, g, random })
    expect(await deliver(s.at.a, 'custodian', g, sealed)).toBe('taken')
    expect((await grantsAt(sessionAt(s.patient, 'a'))).length).toBe(before + 1)
  })

  /** Brings a package as home A does; the code of its refusal, or `taken`. */
  async function deliver(at: Connection, role: string, g: Uint8Array, sealed: Uint8Array): Promise<string> {
    const { organisation } = s.net.node(HOSPITALS.a)
    const { chainId, clock, random } = s.context
    const to = at === s.at.a ? HOSPITALS.a : HOSPITALS.b
    const body = signOrgMessage(
      { from: HOSPITALS.a, to, kind: 'grant', payload: { g, role, sealed } },
      { key: organisation.sign, chainId, clock, random },
    )
    try {
      await send(at, 'POST', '/org/grants', { raw: { type: 'application/cbor', body } })
      return 'taken'
    } catch (error) {
      return codeOf(error)
    }
  }
})

describe('suite downgrade', () => {
  test('every message that names a suite is refused with another one', async () => {
    const asking = new Asking(s, await grantTo(s, s.patient))
    for (const suite of [0, 2, 65_535]) expect((await asking.ask({ suite })).code).toBe('DENIED')
    expect((await asking.ask()).code).toBe('RELEASED')
  })

  test('terms that ask for a later suite release nothing under an earlier one', async () => {
    const { chainId, random, clock } = s.context
    const mine = linkKey(s.patient.person.keyring, HOSPITALS.a)
    if (mine === undefined) throw new Error('she is enrolled')
    const draft = draftFor(s, s.patient)
    const { textHash: _, ...rest } = draft.terms
    const raised = { ...rest, minSuite: 2 }
    const terms = encodeTerms({ ...raised, textHash: textHashOf({ ...draft.terms, minSuite: 2 }) })
    const salt = random(32)
    const keys = [signingKey(draft.controller.seed)]
    const untilMs = clock.now() + 5 * MINUTE_MS
    await execute(
      s.at.a,
      signBody({ chainId, call: 'consent/grant', args: grantArgs(terms, salt), untilMs, keys, random }),
    )
    const { organisation } = s.net.node(HOSPITALS.a)
    const link = { key: mine.publicKey, sig: signTermsLink(mine, chainId, terms) }
    const pack = { v: 1, terms, salt, link }
    const sealed = sealForCustodian(pack, { to: organisation.seal.publicKey, chainId, g: draft.g, random })
    s.net.node(HOSPITALS.a).consent.custodian.receive(draft.g, sealed)
    const grant = { g: draft.g, draft: { ...draft, encoded: terms } } as GrantMade
    expect((await new Asking(s, grant).ask()).code).toBe('DENIED')
  })

  test('the network’s floors never fall', async () => {
    for (const name of ['writeFloor', 'readFloor']) {
      const change = { kind: 'setParams', params: [{ name, value: 0 }] }
      await expect(
        sendForJson(s.admin.a, 'POST', '/governance/proposals', { json: { change } }),
      ).rejects.toBeInstanceOf(AppError)
    }
  })
})

describe('confused deputy: the server picks the grant from who asks, never from what the request says', () => {
  test('role, endpoint, grant: only the named clinician, for the granted purpose, sees the granted versions', async () => {
    const grant = await grantTo(s, s.patient)
    const second = await addStaff(s.admin.b, 'Dr B2', ['clinician'])
    const auditor = await addStaff(s.admin.b, 'Auditor', ['auditor'])
    const { patient } = s.patient
    const g = toBase64url(grant.g)
    const granted = async (connection: Connection, extra = '', of = patient): Promise<number | string> => {
      const path = `/chart?patient=${encodeURIComponent(of)}&purpose=TREAT${extra}`
      try {
        return grantedIn((await sendForJson(connection, 'GET', path)) as Chart).length
      } catch (error) {
        return codeOf(error)
      }
    }
    const own = s.clinician.b
    const full = await granted(own.connection)
    expect(full).toBeGreaterThan(50)
    for (const extra of [
      '',
      `&grant=${g}`,
      `&g=${g}`,
      `&practitioner=${own.practitioner}`,
      `&actor=${own.practitioner}`,
    ])
      expect({ extra, seen: await granted(second.connection, extra) }).toEqual({ extra, seen: 0 })
    for (const [who, connection, told] of [
      ['nobody', s.at.b, 'UNAUTHENTICATED'],
      ['administrator', s.admin.b, 'FORBIDDEN'],
      ['auditor', auditor.connection, 'FORBIDDEN'],
      ['the patient herself', sessionAt(s.patient, 'b'), 'FORBIDDEN'],
      ['another patient', sessionAt(other, 'b'), 'FORBIDDEN'],
      ['clinician of A, at B', withToken(s.at.b, s.clinician.a.token), 'UNAUTHENTICATED'],
    ] as const)
      expect({ who, told: await granted(connection, `&g=${g}`) }).toEqual({ who, told })
    // The grantee's token is nothing at the custodian, and a grant opens nobody else's chart.
    expect(await granted(withToken(s.at.a, own.token))).toBe('UNAUTHENTICATED')
    expect(await granted(own.connection, `&g=${g}`, OTHER)).toBe(0)
    for (const purpose of ['ETREAT', 'HRESCH', 'HPAYMT', 'PATRQT', 'treat'])
      expect(await codeFrom(chartOf(own.connection, patient, purpose))).toBe('FORBIDDEN')
    // Repeated parameters do not smuggle another patient or purpose in.
    expect(await granted(own.connection, `&patient=${encodeURIComponent(OTHER)}`)).toBe('NOT_FOUND')
    await withdraw(s, s.patient, grant.g)
  })
})

describe('stale grant', () => {
  test('with ordering stopped, a withdrawal stops the very next release and what was open is dropped', async () => {
    const grant = await grantTo(s, s.patient)
    expect(grantedIn(await chartOf(s.clinician.b.connection, s.patient.patient)).length).toBeGreaterThan(0)
    const asking = new Asking(s, grant)
    await asking.ask({ purpose: 'HPAYMT' })
    const leases = s.net.node(HOSPITALS.b).consent.leases
    expect(leases.under([grant.g], s.clinician.b.practitioner).length).toBeGreaterThan(0)
    s.net.pauseOrdering()
    try {
      const answers: Outcome[] = []
      let withdrawn: number | undefined
      const asked = (async () => {
        while (withdrawn === undefined || answers.length < withdrawn + 3) answers.push(await asking.ask())
      })()
      const revocation = signBody({
        chainId: s.context.chainId,
        call: 'consent/revoke',
        args: { g: grant.g },
        untilMs: s.context.clock.now() + 5 * MINUTE_MS,
        keys: [signingKey(grant.draft.controller.seed)],
        random: s.context.random,
      })
      const answer = (await sendForJson(s.at.a, 'POST', '/revocations', {
        json: {
          body: toBase64url(revocation.body),
          auth: revocation.auth.map((sig) => toBase64url(sig as Uint8Array)),
        },
      })) as { honoured: boolean; recalled: boolean }
      // The one under way may still be answered; none that is asked from now on.
      withdrawn = answers.length + 1
      await asked
      expect(answer).toEqual({ honoured: true, recalled: true })
      for (const { code } of answers.slice(withdrawn)) expect(code).toBe('DENIED')
      expect(leases.under([grant.g], s.clinician.b.practitioner)).toEqual([])
      expect((await grantRow(s.at.a, grant.g))?.state).toBe('active')
    } finally {
      s.net.resumeOrdering()
    }
  })

  test('what a recall cannot reach ends with its lease', async () => {
    const grant = await grantTo(s, s.patient, { lease: 10 * MINUTE_MS })
    expect(grantedIn(await chartOf(s.clinician.b.connection, s.patient.patient)).length).toBeGreaterThan(0)
    const leases = s.net.node(HOSPITALS.b).consent.leases
    const held = leases.under([grant.g], s.clinician.b.practitioner)
    const [first] = held
    expect(held.length).toBeGreaterThan(0)
    await s.net.advance(9 * MINUTE_MS)
    expect(leases.under([grant.g], s.clinician.b.practitioner).length).toBe(held.length)
    await s.net.advance(MINUTE_MS + 1)
    expect(leases.under([grant.g], s.clinician.b.practitioner)).toEqual([])
    // Keys and text are overwritten, not only forgotten.
    expect(first?.json.every((byte) => byte === 0)).toBe(true)
    expect(first?.dek?.every((byte) => byte === 0) ?? true).toBe(true)
    await withdraw(s, s.patient, grant.g)
  })

  test('a custodian that hears nothing of the ledger stops: after a minute, for treatment after fifteen', async () => {
    const treatment = await grantTo(s, s.patient, { notAfter: s.context.clock.now() + 4 * HOUR_MS })
    const care = await grantTo(s, s.patient, {
      purpose: 'CAREMGT',
      notAfter: s.context.clock.now() + 4 * HOUR_MS,
    })
    const [forTreatment, forCare] = [new Asking(s, treatment), new Asking(s, care)]
    await s.net.advance(1)
    s.net.pauseOrdering()
    try {
      expect((await forCare.ask()).code).toBe('RELEASED')
      await s.net.advance(61_000)
      expect((await forCare.ask()).code).toBe('LEDGER_STALE')
      expect((await forTreatment.ask()).code).toBe('RELEASED')
      await s.net.advance(14 * MINUTE_MS)
      expect((await forTreatment.ask()).code).toBe('LEDGER_STALE')
    } finally {
      s.net.resumeOrdering()
    }
    await s.net.advance(1)
    expect((await forTreatment.ask()).code).toBe('RELEASED')
    expect((await forCare.ask()).code).toBe('RELEASED')
  })
})

describe('log fork', () => {
  test('two signed views end the log as forked: treatment goes on, marked, and nothing else', async () => {
    const until = s.context.clock.now() + 4 * HOUR_MS
    const forTreatment = new Asking(s, await grantTo(s, s.patient, { notAfter: until }))
    const forCare = new Asking(s, await grantTo(s, s.patient, { purpose: 'CAREMGT', notAfter: until }))
    expect((await forCare.ask()).code).toBe('RELEASED')
    // The log is on the ledger from its first anchor on.
    const [any] = await listAccesses(sessionAt(s.patient, 'a'))
    if (any === undefined) throw new Error('she is on her own list')
    await receiptFor(sessionAt(s.patient, 'a'), { eventId: any.facts.eventId, anchorNow: true })
    const { chainId, random, clock } = s.context
    const { organisation } = s.net.node(HOSPITALS.a)
    const origin = factLogOrigin(chainId, HOSPITALS.a)
    const logId = logIdOf(HOSPITALS.a, origin)
    const noteOf = () =>
      signCheckpoint({ origin, size: 7, root: random(32) }, [{ name: origin, key: organisation.log }])
    const evidence = { kind: 'roots', note1: noteOf(), note2: noteOf() }
    await execute(
      s.at.b,
      signBody({
        chainId,
        call: 'log/fork',
        args: { logId, evidence },
        untilMs: clock.now() + 5 * MINUTE_MS,
        keys: [s.net.node(HOSPITALS.b).organisation.sign],
        random,
      }),
    )
    const found = (await sendForJson(s.at.a, 'POST', '/ledger/query/log/get', {
      json: { logId: toBase64url(logId) },
    })) as { state: string }
    expect(found.state).toBe('forked')
    expect((await forCare.ask()).code).toBe('DENIED')
    const marked = await forTreatment.ask()
    expect(marked).toMatchObject({ code: 'RELEASED', marked: 'log-forked' })
    const events = (await listAccesses(sessionAt(s.patient, 'a'))).map(({ facts }) => facts)
    expect(
      events.findLast(({ kind, outcome }) => kind === 'release' && outcome === 'permitted')?.marked,
    ).toBe('log-forked')
    expect(events.findLast(({ outcome }) => outcome !== 'permitted')?.reasons).toContain('LOG_DOUBT')
  })
})

describe('clock: a custodian whose clock is wrong releases less, never more', () => {
  const place = temporaryDir()
  let skewMs = 0
  let hospitals: Scenario

  beforeAll(async () => {
    const adapt = (org: string, host: NodeHost): NodeHost => {
      if (org !== HOSPITALS.b) return host
      const { clock } = host
      return { ...host, clock: { now: () => clock.now() + skewMs, schedule: clock.schedule.bind(clock) } }
    }
    hospitals = await startScenario({ dir: place.dir, adapt })
  })

  afterAll(async () => {
    await hospitals.close()
    place.remove()
  })

  /** A grant of B's records to A, over a day and a half from `startsMs` on. */
  const grantAtB = (startsMs: number) =>
    grantTo(hospitals, hospitals.patient, {
      custodian: HOSPITALS.b,
      grantee: { org: HOSPITALS.a, practitioner: hospitals.clinician.a.practitioner },
      scope: { compartments: ['general'] },
      notBefore: startsMs,
      notAfter: startsMs + 36 * HOUR_MS,
    })

  /** Asks B with its clock off by `offMs`, in a request that agrees with that clock; the reasons that B logged. */
  async function askWith(
    asking: Asking,
    offMs: number,
  ): Promise<{ code: string; reasons: readonly string[] }> {
    skewMs = offMs
    const { code } = await asking.ask({ time: hospitals.context.clock.now() + offMs })
    skewMs = 0
    const { person } = hospitals.patient
    const session = await openOwnSession(hospitals.at.b, {
      org: HOSPITALS.b,
      person,
      context: hospitals.context,
    })
    const last = (await listAccesses(session)).findLast(({ facts }) => facts.grant !== undefined)
    return { code, reasons: last?.facts.reasons ?? [] }
  }

  test('a day early, a day late, at the beginning and at the end', async () => {
    const nowMs = hospitals.context.clock.now()
    const grant = new Asking(hospitals, await grantAtB(nowMs - 1_000), { from: 'a', to: 'b' })
    const tomorrow = new Asking(hospitals, await grantAtB(nowMs + DAY_MS), { from: 'a', to: 'b' })
    expect(await askWith(grant, 0)).toMatchObject({ code: 'RELEASED' })
    expect(await askWith(grant, -DAY_MS)).toMatchObject({ code: 'DENIED', reasons: ['NOT_YET'] })
    expect(await askWith(tomorrow, 0)).toMatchObject({ code: 'DENIED', reasons: ['NOT_YET'] })
    const ahead = await askWith(tomorrow, DAY_MS + MINUTE_MS)
    expect(ahead.reasons).toContain('NOT_YET')
    expect(ahead.code).not.toBe('RELEASED')

    await hospitals.net.advance(DAY_MS)
    expect(await askWith(grant, 0)).toMatchObject({ code: 'RELEASED' })
    const late = await askWith(grant, DAY_MS)
    expect(late.reasons).toContain('EXPIRED')
    expect(late.code).not.toBe('RELEASED')
    await hospitals.net.advance(13 * HOUR_MS)
    expect(await askWith(grant, 0)).toMatchObject({ code: 'DENIED', reasons: ['EXPIRED'] })
    expect(await askWith(grant, -DAY_MS)).toMatchObject({ code: 'DENIED', reasons: ['EXPIRED'] })
  })
})

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const out = bytes.slice()
  out[at] = (out[at] ?? 0) ^ 1
  return out
}

function codeOf(error: unknown): string {
  if (!(error instanceof AppError)) throw error
  return error.code
}

async function codeFrom(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    return codeOf(error)
  }
}
