import { AppError, fromBase64url, toBase64url, toHex, tuple, txIdOf, verifyAs } from '@salus/core'
import { memoryNetwork, seededRandom } from '@salus/host'
import { newKeyring } from '@salus/keys'
import { decodeBody, type Item } from '@salus/ledger'
import { connect, withToken } from '@salus/sdk'
import { HttpServer, json, OrgMessages, type Route, bytes as rawAnswer, Sessions } from '@salus/server'
import { describe, expect, test } from 'vitest'
import { ledgerIdOf } from '../../contract/ids.ts'
import { chainId, fixed, HOUR, keyOf } from '../../testing/sample.ts'
import { A, B, clinician, ownerAtA, ownerAtB, twoHouses } from '../../testing/two-houses.ts'
import { delegateArgs, signMandate } from '../delegation.ts'
import { consentRoutes, orgWire } from '../service/index.ts'
import { withText } from '../template.ts'
import { encodeTerms } from '../terms.ts'
import {
  type Choices,
  checkPreview,
  draftTerms,
  grantsAt,
  listGrants,
  makeGrant,
  previewGrant,
  previewState,
  revokeGrant,
  showMandate,
  withController,
} from './index.ts'

/** Two houses behind HTTP; A is also the patient's home. */
function served() {
  const houses = twoHouses()
  const { a, b, ledger, clock, custodian, grantee, delegations, links } = houses
  const network = memoryNetwork()
  const random = seededRandom('device')
  let keyring = newKeyring({ random, nowMs: clock.now() })
  const patientLink = keyOf('patient link')
  keyring = { ...keyring, links: [{ org: A, seed: patientLink.seed }] }
  links.set(toHex(patientLink.publicKey), { owner: ownerAtA })
  const sessions = new Sessions({ sql: a.sql, clock, random })

  for (const house of [a, b]) {
    const messages = new OrgMessages({
      org: house.org,
      chainId,
      clock,
      signKeyOf: (org) => ledger.organisation(org)?.sign,
    })
    const wire = orgWire({ keys: house.keys, ledger, network, clock, random: house.random })
    const routes = [
      ...consentRoutes({ custodian, grantee, delegations, messages, pushRecall: wire.pushRecall }),
      ...homeRoutes(async (to, payload) => wire.tell({ to, path: '/org/grants', kind: 'grant', payload })),
    ]
    const server = new HttpServer({ routes, sessions, clock, random, title: house.org, version: '1' })
    network.serve(`http://${house.org}`, async (request) => {
      const { pathname, search } = new URL(request.url)
      const { status, body, headers } = await server.inject({
        method: request.method as 'POST',
        url: pathname + search,
        headers: Object.fromEntries(request.headers),
        body: new Uint8Array(await request.arrayBuffer()),
      })
      return new Response(body as BodyInit, {
        status,
        headers: { 'content-type': String(headers['content-type']) },
      })
    })
  }

  function homeRoutes(bring: (to: string, payload: Record<string, never>) => Promise<Uint8Array>): Route[] {
    const finals = new Map<string, unknown>()
    return [
      {
        method: 'POST',
        path: '/tx',
        summary: '',
        audience: 'anyone',
        rawBody: 'application/json',
        async handle({ body }) {
          const sent = JSON.parse(new TextDecoder().decode(body)) as { body: string; auth: string[] }
          const item: Item = { body: fromBase64url(sent.body), auth: sent.auth.map(fromBase64url) }
          const { keys } = decodeBody(item.body)
          expect(verifyAs(keys[0] as Uint8Array, 'tx', chainId, item.body, item.auth[0] as Uint8Array)).toBe(
            true,
          )
          const txId = txIdOf(chainId, item.body)
          const status = await ledger.submit(item).then(
            (at) => ({ state: 'final', ...at, code: 0 }),
            () => ({ state: 'queued' }),
          )
          finals.set(toBase64url(txId), status)
          return json(
            {
              txId: toBase64url(txId),
              acceptance: toBase64url(new Uint8Array(1)),
              sig: toBase64url(new Uint8Array(64)),
            },
            202,
          )
        },
      },
      {
        method: 'GET',
        path: '/tx/:txId',
        summary: '',
        audience: 'anyone',
        handle: ({ params }) => json(finals.get(params['txId'] ?? '')),
      },
      {
        method: 'GET',
        path: '/ledger/organisations/:org',
        summary: '',
        audience: 'anyone',
        handle({ params }) {
          const found = ledger.organisation(params['org'] ?? '')
          if (found === undefined) throw new AppError('NOT_FOUND', 'org: no member')
          const { sign, seal, log, ...rest } = found
          return json({ ...rest, sign: toBase64url(sign), seal: toBase64url(seal), log: toBase64url(log) })
        },
      },
      {
        method: 'POST',
        path: '/ledger/query/consent/grant',
        summary: '',
        audience: 'anyone',
        rawBody: 'application/json',
        handle({ body }) {
          const { g } = JSON.parse(new TextDecoder().decode(body)) as { g: string }
          const row = ledger.query('consent', 'grant', { g: fromBase64url(g) }) as
            | Record<string, unknown>
            | undefined
          if (row === undefined) return json(null)
          const { c, k, ...rest } = row
          return json({
            ...rest,
            madeMs: 0,
            c: toBase64url(c as Uint8Array),
            k: toBase64url(k as Uint8Array),
          })
        },
      },
      {
        method: 'POST',
        path: '/home/grants',
        summary: '',
        audience: 'holder',
        rawBody: 'application/json',
        async handle({ body }) {
          const { packages } = JSON.parse(new TextDecoder().decode(body)) as {
            packages: { to: string; g: string; role: string; sealed: string }[]
          }
          const results = []
          for (const { to, g, role, sealed } of packages) {
            try {
              const payload = { g: fromBase64url(g), role, sealed: fromBase64url(sealed) } as never
              results.push({ to, role, delivered: true, answer: toBase64url(await bring(to, payload)) })
            } catch (error) {
              const { code, message } = error as AppError
              results.push({ to, role, delivered: false, code, detail: message })
            }
          }
          return json({ results })
        },
      },
      {
        method: 'POST',
        path: '/objects',
        summary: '',
        audience: 'anyone',
        rawBody: 'application/json',
        handle: () => rawAnswer(tuple(), 'application/cbor'),
      },
    ]
  }

  const token = (holder: { owner: Uint8Array; delegation?: Uint8Array }) =>
    sessions.open({ kind: 'holder', linkKey: patientLink.publicKey, ...holder }, 10 * HOUR).token
  const plain = connect({ url: `http://${A}`, network })
  const context = { chainId, random, clock }
  return {
    ...houses,
    network,
    keyring,
    context,
    plain,
    token,
    home: withToken(plain, token({ owner: ownerAtA })),
  }
}

function choices(nowMs: number, change: Partial<Choices> = {}): Choices {
  return {
    custodian: A,
    grantee: { org: B, practitioner: 'p-17' },
    scope: { compartments: ['labs', 'medication'], filter: { from: '2015-01-01' } },
    purpose: 'TREAT',
    actions: ['read', 'search'],
    notBefore: nowMs - 60_000,
    notAfter: nowMs + HOUR,
    ...change,
  }
}

describe('a grant from a device', () => {
  test('is previewed, checked on the device, made, used, listed and withdrawn', async () => {
    const { a, b, clock, ledger, keyring, context, plain, home, lab } = served()
    const version = lab('o-1')
    a.records.add(ownerAtA, { resourceType: 'Claim', id: 'x' }, { compartment: 'financial' })
    const draft = draftTerms(keyring, { choices: choices(clock.now()), context })
    const custodianKey = a.keys.sign.publicKey
    const shown = await previewGrant(home, { terms: draft.encoded, chainId, custodianKey })
    expect([shown.statement.n, shown.statement.m]).toEqual([1, 2])
    expect(a.access.of('preview')[0]?.actor).toEqual({ org: A, holder: 'owner' })
    const own = a.records
      .current(ownerAtA)
      .map(({ oid, labels }) => ({ oid, labels: { ...labels, owner: 'me' } }))
    const state = previewState({ chainId, custodian: A, nowMs: clock.now(), head: ledger.head() })
    const mine = { terms: draft.encoded, versions: own, owner: 'me', state }
    expect(checkPreview(shown, mine).shown).toEqual([version.oid])
    expect(() => checkPreview(shown, { ...mine, versions: own.slice(1) })).toThrow('m:')
    const relabelled = own.map((each) => ({
      ...each,
      labels: { ...each.labels, compartment: 'labs' as const },
    }))
    expect(() => checkPreview(shown, { ...mine, versions: relabelled })).toThrow('n:')
    await expect(
      previewGrant(home, { terms: draft.encoded, chainId, custodianKey: b.keys.sign.publicKey }),
    ).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })

    await expect(makeGrant(home, { draft, keyring, context })).rejects.toMatchObject({
      code: 'KEYRING_CONTROLLER',
    })
    const kept = withController(keyring, draft.controller)
    const made = await makeGrant(home, { draft, keyring: kept, context })
    // This B does not know her by her own name for it, so it refuses; the custodian has the terms.
    expect(made.undelivered.map(({ to, code }) => [to, code])).toEqual([[B, 'TERMS_REFUSED']])
    expect((await grantsAt(home)).map(({ g, requests }) => [toHex(g), requests])).toEqual([
      [toHex(made.g), 0],
    ])
    expect((await listGrants(plain, { keyring: kept })).map(({ row }) => row?.state)).toEqual(['active'])

    ledger.stop()
    const revoked = await revokeGrant(plain, {
      g: made.g,
      keyring: kept,
      custodian: plain,
      context,
      waitMs: 100,
    })
    expect(revoked).toEqual({ honoured: true, recalled: false, final: undefined })
    expect((await grantsAt(home))[0]?.withdrawn).toBe(true)
  })

  test('is accepted by the grantee under its own name for the patient; a withdrawal recalls there', async () => {
    const { b, clock, grantee, keyring, context, plain, home, lab, ledger } = served()
    const version = lab('o-1')
    const draft = draftTerms(keyring, { choices: choices(clock.now()), context })
    // The sample house knows one patient by this name.
    const { template: _template, textHash: _hash, ...rest } = draft.terms
    const terms = withText({ ...rest, sub: fixed('sub') })
    const named = { ...draft, terms, encoded: encodeTerms(terms) }
    const kept = withController(keyring, draft.controller)
    const made = await makeGrant(home, { draft: named, keyring: kept, context })
    expect(made.undelivered).toEqual([])
    expect(made.acceptedMs).toBe(clock.now())
    const answer = await grantee.ask(made.g, { action: 'read', oids: [version.oid] }, clinician)
    expect(answer.versions).toHaveLength(1)
    expect(grantee.usable(ownerAtB, { practitioner: 'p-17' })).toHaveLength(1)
    const revoked = await revokeGrant(plain, { g: made.g, keyring: kept, custodian: plain, context })
    expect(revoked).toMatchObject({ honoured: true, recalled: true })
    expect(revoked.final).toBeDefined()
    expect(b.leases.count()).toBe(0)
    expect(ledger.grants.get(toHex(made.g))?.revokedMs).toBeDefined()
  })
})

describe('a delegate on her device', () => {
  test('sees what her mandate names, once she showed it and while it is active', async () => {
    const { a, clock, ledger, keyring, context, plain, home, token, lab } = served()
    lab('o-1')
    a.records.add(ownerAtA, { resourceType: 'Condition', id: 'c' }, { compartment: 'mental' })
    const controller = keyOf('delegation')
    const mandate = signMandate({
      mandate: {
        v: 1,
        d: ledgerIdOf(controller.publicKey),
        scope: { compartments: ['labs', 'medication'], actions: ['read', 'search'] },
        until: clock.now() + 5 * HOUR,
        evidence: { kind: 'parental-responsibility' },
      },
      salt: fixed('mandate salt'),
      controller,
      chainId,
    })
    const args = delegateArgs(mandate)
    ledger.delegations.set(toHex(args.d), args)

    const hers = withToken(plain, token({ owner: ownerAtA, delegation: args.d }))
    const terms = draftTerms(keyring, { choices: choices(clock.now()), context })
    const input = { terms: terms.encoded, chainId, custodianKey: a.keys.sign.publicKey }
    await expect(previewGrant(hers, input)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await showMandate(hers, { mandate })
    const shown = await previewGrant(hers, input)
    expect([shown.statement.n, shown.statement.m]).toEqual([1, 1])
    expect(a.access.of('preview').at(-1)?.actor).toEqual({ org: A, holder: 'delegate' })
    expect(await grantsAt(hers)).toEqual([])
    await expect(showMandate(home, { mandate })).rejects.toMatchObject({ code: 'MANDATE_REFUSED' })

    ledger.delegations.set(toHex(args.d), { ...args, revokedMs: ledger.head().timeMs })
    await expect(previewGrant(hers, input)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })
})
