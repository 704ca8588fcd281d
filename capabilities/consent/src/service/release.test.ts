import { AppError, fromUtf8, type SignedForm, toHex, utf8 } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chainId, fixed, HOUR, keyOf, linkKey, sampleRequest, sampleTerms } from '../../testing/sample.ts'
import { A, B, clinician, ownerAtA, ownerAtB, twoHouses } from '../../testing/two-houses.ts'
import { openPreview } from '../preview.ts'
import { openRefusal } from '../release-reply.ts'
import { signRequest } from '../release-request.ts'
import { encodeTerms } from '../terms.ts'
import { signTermsLink } from '../terms-link.ts'
import { COMPARTMENTS } from '../vocabulary.ts'
import { Leases } from './leases.ts'
import type { OrganisationKeysView } from './ports.ts'

const read = (...versions: { oid: Uint8Array }[]) => ({
  action: 'read' as const,
  oids: versions.map(({ oid }) => oid),
})
const texts = (answer: { versions: readonly { json: Uint8Array }[] }) =>
  answer.versions.map(({ json }) => JSON.parse(fromUtf8(json)) as Record<string, unknown>)

describe('a release under a grant', () => {
  test('gives the keys of what may be seen whole, and logs on both sides before anything is open', async () => {
    const { a, b, wire, grant, grantee, lab } = twoHouses()
    const [one, two] = [lab('o-1', { valueInteger: 5 }), lab('o-2')]
    const g = await grant()
    let loggedAtFetch = 0
    const fetchObjects = wire.objects
    wire.objects = (addresses) => {
      loggedAtFetch = b.access.of('open').length
      return fetchObjects(addresses)
    }
    const answer = await grantee.ask(g, read(one, two), clinician)

    expect(texts(answer)).toEqual([
      { resourceType: 'Observation', id: 'o-1', valueInteger: 5 },
      { resourceType: 'Observation', id: 'o-2' },
    ])
    expect(answer.versions.every(({ dek }) => dek?.length === 32)).toBe(true)
    expect(loggedAtFetch).toBe(1)
    const [released] = a.access.of('release')
    const [opened] = b.access.of('open')
    expect(released?.owner).toEqual(ownerAtA)
    expect(opened?.owner).toEqual(ownerAtB)
    expect(opened?.versions).toEqual(released?.versions)
    expect([released?.seq, opened?.seq]).toEqual([1, 1])
    expect(opened?.requestHash).toEqual(released?.requestHash)
  })

  test('gives a view and never the key where terms mask, or a reference leads to what is not released', async () => {
    const { a, b, grant, grantee, lab } = twoHouses()
    const secret = a.records.add(
      ownerAtA,
      { resourceType: 'Condition', id: 'c-1' },
      { compartment: 'mental' },
    )
    const cut = lab('o-1', {
      focus: [{ reference: 'Condition/c-1', display: 'Depression' }],
      text: { div: 'x' },
    })
    const whole = lab('o-2')
    const g = await grant()
    const answer = await grantee.ask(g, read(cut, whole, secret), clinician)
    expect(texts(answer)).toEqual([
      { resourceType: 'Observation', id: 'o-1', focus: [{ reference: 'Condition/c-1' }] },
      { resourceType: 'Observation', id: 'o-2' },
    ])
    expect(answer.versions.map(({ dek }) => dek !== undefined)).toEqual([false, true])
    expect(answer.withheld).toBeUndefined()
    expect(a.records.opened).not.toContain('Condition/c-1')
    // Both sides log the same hash of the view, so that their lists agree.
    expect(b.access.of('open')[0]?.versions).toEqual(a.access.of('release')[0]?.versions)
    expect(a.access.of('release')[0]?.versions[0]?.viewHash).toHaveLength(32)

    const other = twoHouses()
    const masked = other.lab('o-1', { valueInteger: 5, note: [{ text: 'private' }] })
    const g2 = await other.grant({ masks: ['Observation.note'] })
    const shown = await other.grantee.ask(g2, read(masked), clinician)
    expect(texts(shown)).toEqual([{ resourceType: 'Observation', id: 'o-1', valueInteger: 5 }])
    expect(shown.versions[0]?.dek).toBeUndefined()
  })

  test('is refused alike whatever the reason, and the reason stands in the patient’s list', async () => {
    const cases: [string, (houses: ReturnType<typeof twoHouses>, g: Uint8Array) => void, string][] = [
      ['ended', ({ clock }) => clock.advance(2 * HOUR), 'EXPIRED'],
      ['credential', ({ ledger }) => ledger.credentials.clear(), 'CREDENTIAL'],
      ['link', ({ links }) => links.clear(), 'LINK'],
      ['revoked', ({ a }, g) => a.grants.revokeOnSight(g), 'REVOKED'],
    ]
    for (const [name, spoil, reason] of cases) {
      const houses = twoHouses()
      const version = houses.lab('o-1')
      const g = await houses.grant()
      spoil(houses, g)
      const asked = houses.grantee.ask(g, read(version), clinician)
      await expect(asked, name).rejects.toMatchObject({
        code: 'RELEASE_REFUSED',
        data: { refusal: 'DENIED' },
      })
      const [refusal] = houses.a.access.of('refusal')
      expect(refusal?.owner, name).toEqual(ownerAtA)
      expect(refusal?.reasons, name).toContain(reason)
      expect(houses.a.records.opened, name).toEqual([])
      expect(houses.b.leases.count(), name).toBe(0)
    }
  })

  test('goes on under the person’s newer link key only for what that key signed', async () => {
    const { a, links, custodian, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    const newer = keyOf('newer link')
    links.clear()
    links.set(toHex(newer.publicKey), { owner: ownerAtA })
    const asked = () => grantee.ask(g, read(version), clinician)
    await expect(asked()).rejects.toMatchObject({ code: 'RELEASE_REFUSED' })
    const terms = a.grants.get(g)?.carried.terms ?? new Uint8Array()
    const session = { owner: ownerAtA, linkKey: newer.publicKey }
    const good = { g, sig: signTermsLink(newer, chainId, terms) }
    const code = (acting: Parameters<typeof custodian.relink>[0], link: typeof good) => {
      try {
        custodian.relink(acting, link)
        return 'taken'
      } catch (error) {
        return (error as AppError).code
      }
    }
    expect([
      code(session, { g, sig: signTermsLink(linkKey, chainId, terms) }),
      code({ ...session, owner: fixed('someone').slice(0, 16) }, good),
      code({ ...session, delegation: g }, good),
      code(session, { ...good, g: fixed('none').slice(0, 16) }),
    ]).toEqual(['BAD_SIGNATURE', 'NOT_FOUND', 'FORBIDDEN', 'NOT_FOUND'])
    await expect(asked()).rejects.toMatchObject({ code: 'RELEASE_REFUSED' })
    expect(code(session, good)).toBe('taken')
    expect((await asked()).versions).toHaveLength(1)
  })

  test('what does not exist, is another’s, or is outside the scope cannot be told apart', async () => {
    const { a, grant, grantee, lab } = twoHouses()
    const mine = lab('o-1')
    const outside = a.records.add(ownerAtA, { resourceType: 'Claim', id: 'x' }, { compartment: 'financial' })
    const anothers = a.records.add(fixed('someone').slice(0, 16), { resourceType: 'Observation', id: 'y' })
    const g = await grant()
    const sizes: number[] = []
    for (const other of [outside, anothers, { oid: fixed('nowhere').slice(0, 16) }]) {
      const answer = await grantee.ask(g, read(mine, other), clinician)
      expect(answer.versions.map(({ recordId }) => recordId)).toEqual(['Observation/o-1'])
      expect(answer.withheld).toBeUndefined()
      sizes.push(answer.versions.length)
    }
    expect(new Set(sizes)).toEqual(new Set([1]))
  })

  test('a grant for writing releases nothing', async () => {
    const { a, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant({ actions: ['write'] })
    const asked = grantee.ask(g, { ...read(version), action: 'write' }, clinician)
    await expect(asked).rejects.toMatchObject({ data: { refusal: 'DENIED' } })
    expect(a.records.opened).toEqual([])
  })

  test('a search that cannot be read, or reads what terms mask, is refused; another one releases', async () => {
    const { a, grant, grantee, lab } = twoHouses()
    lab('o-1')
    const g = await grant({ masks: ['Observation.note'] })
    const search = { action: 'search' as const, query: 'Observation?code=718-7' }
    a.records.found = new AppError('SEARCH', 'query: unreadable')
    await expect(grantee.ask(g, search, clinician)).rejects.toMatchObject({ code: 'RELEASE_REFUSED' })
    a.records.found = {
      recordIds: ['Observation/o-1'],
      parameters: [{ name: 'note', paths: ['Observation.note.text'] }],
    }
    await expect(grantee.ask(g, search, clinician)).rejects.toMatchObject({ code: 'RELEASE_REFUSED' })
    a.records.found = {
      recordIds: ['Observation/o-1'],
      parameters: [{ name: 'code', paths: ['Observation.code'] }],
    }
    const answer = await grantee.ask(g, search, clinician)
    expect(answer.versions.map(({ recordId }) => recordId)).toEqual(['Observation/o-1'])
  })

  test('over its rate it is refused as such, and works again an hour later', async () => {
    const { clock, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant({
      rate: { requests: 2, versions: 100 },
      notAfter: sampleTerms().notBefore + 3 * HOUR,
    })
    await grantee.ask(g, read(version), clinician)
    await grantee.ask(g, read(version), clinician)
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({
      data: { refusal: 'RATE' },
    })
    clock.advance(HOUR + 1)
    expect((await grantee.ask(g, read(version), clinician)).versions).toHaveLength(1)
  })
})

describe('the sequence of a grant', () => {
  test('two requests at once take two places, and both sides hold the same chain', async () => {
    const { a, b, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    await Promise.all([1, 2, 3].map(() => grantee.ask(g, read(version), clinician)))
    expect(a.access.of('release').map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(b.access.of('open').map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(a.access.of('release')[2]?.prev).toEqual(a.access.of('release')[1]?.requestHash)
    expect(a.grants.get(g)).toMatchObject({ lastSeq: 3, lastRequest: b.grants.get(g)?.lastRequest })
  })

  test('the same request twice is answered once', async () => {
    const { custodian, a, wire, grant, grantee, lab, ledger } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    await grantee.ask(g, read(version), clinician)
    const again = await custodian.release(B, wire.sent[0] as SignedForm)
    expect(openRefusal(a.keys.sign.publicKey, ledger.chainId, again).code).toBe('SEQUENCE')
    expect(a.access.of('release')).toHaveLength(1)
    expect(a.access.of('refusal')[0]?.seq).toBeUndefined()
  })

  test('goes on after an answer was lost, and the lost one is told by both sides', async () => {
    const { a, b, wire, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    wire.bend = () => {
      throw new AppError('UNREACHABLE', 'lost')
    }
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({ code: 'UNREACHABLE' })
    wire.bend = (reply) => reply
    const answer = await grantee.ask(g, read(version), clinician)
    expect(answer.versions).toHaveLength(1)
    expect(a.access.of('release').map(({ seq }) => seq)).toEqual([1, 2])
    const told = b.access.of('open').filter(({ seq }) => seq !== undefined)
    expect(told.map(({ seq, outcome, reasons }) => [seq, outcome, reasons])).toEqual([
      [1, 'denied', ['NO_ANSWER']],
      [2, 'permitted', undefined],
    ])
    expect(told[0]?.requestHash).toEqual(a.access.of('release')[0]?.requestHash)
  })

  test('is not moved by a member that is not the grantee, who learns nothing', async () => {
    const { a, ledger, custodian, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    const stranger = keyOf('sign hospital-c')
    ledger.members.set('hospital-c', {
      ...(ledger.members.get(B) as OrganisationKeysView),
      org: 'hospital-c',
      sign: stranger.publicKey,
    })
    const request = sampleRequest({ g, oids: [version.oid], actor: { org: 'hospital-c' }, time: 0 })
    const reply = await custodian.release('hospital-c', signRequest(stranger, ledger.chainId, request))
    const refusal = openRefusal(a.keys.sign.publicKey, ledger.chainId, reply)
    expect(refusal).toMatchObject({ code: 'DENIED' })
    expect(refusal.last).toBeUndefined()
    expect(a.access.of('refusal')[0]).toMatchObject({ owner: ownerAtA, actor: { org: 'hospital-c' } })
    expect(a.grants.get(g)?.lastSeq).toBe(0)
    expect((await grantee.ask(g, read(version), clinician)).versions).toHaveLength(1)
  })

  test('a custodian that counts what was never asked is not followed', async () => {
    const { a, b, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    a.grants.setSequence(g, { seq: 7, request: fixed('never asked') })
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({
      code: 'SEQUENCE_DISPUTED',
    })
    expect(b.grants.get(g)?.lastSeq).toBe(0)
  })

  test('refused requests have their place on both sides', async () => {
    const { a, b, clock, ledger, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    await grantee.ask(g, read(version), clinician)
    ledger.stop()
    clock.advance(16 * 60_000)
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({
      data: { refusal: 'LEDGER_STALE' },
    })
    ledger.go()
    await grantee.ask(g, read(version), clinician)
    const places = (events: readonly { seq?: number; outcome: string }[]) =>
      events.map(({ seq, outcome }) => [seq, outcome])
    const expected = [
      [1, 'permitted'],
      [2, 'denied'],
      [3, 'permitted'],
    ]
    expect(places(a.access.events)).toEqual(expected)
    expect(places(b.access.of('open'))).toEqual(expected)
  })
})

describe('a reply', () => {
  test('attack: grant transplant: the answer to another request, or of another grant, is refused before use', async () => {
    const { b, wire, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    await grantee.ask(g, read(version), clinician)
    const earlier = wire.replies[0] as SignedForm
    b.leases.close()
    wire.bend = () => earlier
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({ code: 'REPLY' })
    expect(b.leases.count()).toBe(0)

    const key2 = keyOf('controller 2')
    const other = twoHouses()
    const otherVersion = other.lab('o-1')
    const g1 = await other.grant()
    const g2 = await other.grant(
      { controller: key2.publicKey, g: (await import('../../contract/ids.ts')).ledgerIdOf(key2.publicKey) },
      { key: key2 },
    )
    await other.grantee.ask(g1, read(otherVersion), clinician)
    other.wire.bend = () => other.wire.replies[0] as SignedForm
    await expect(other.grantee.ask(g2, read(otherVersion), clinician)).rejects.toMatchObject({
      code: 'REPLY',
    })
  })

  test('a refusal of another request is not believed', async () => {
    const { a, ledger, wire, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    const { signRefusal } = await import('../release-reply.ts')
    wire.bend = () =>
      signRefusal(a.keys.sign, ledger.chainId, { v: 1, request: fixed('another'), code: 'DENIED' })
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({ code: 'REPLY' })
  })

  test('with ciphertext that is altered, missing or another version’s opens nothing', async () => {
    for (const spoil of [
      (object: Uint8Array) => object.map((byte, at) => (at === object.length - 1 ? byte ^ 1 : byte)),
      () => undefined,
    ]) {
      const { b, wire, grant, grantee, lab } = twoHouses()
      const version = lab('o-1')
      const g = await grant()
      const honest = wire.objects
      wire.objects = async (addresses) => (await honest(addresses)).map((object) => object && spoil(object))
      await expect(grantee.ask(g, read(version), clinician)).rejects.toThrow(/OBJECT|ciphertext/)
      expect(b.leases.count()).toBe(0)
    }
  })
})

describe('revocation and leases', () => {
  test('a revocation is honoured on sight with ordering stopped, and only from the controller', async () => {
    const { a, b, ledger, custodian, grantee, grant, revocation, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    const { versions } = await grantee.ask(g, read(version), clinician)
    ledger.stop()
    await expect(custodian.revoke(revocation(g, keyOf('somebody')))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
    const item = revocation(g)
    const forged = { ...item, auth: [new Uint8Array(64)] }
    await expect(custodian.revoke(forged)).rejects.toMatchObject({ code: 'BAD_SIGNATURE' })

    expect(await custodian.revoke(item)).toEqual({ g, grantee: B })
    expect(await custodian.revoke(item)).toEqual({ g, grantee: B })
    expect(a.access.of('revocation')).toHaveLength(1)
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({
      data: { refusal: 'DENIED' },
    })
    // The recall reaches the grantee: what it held is gone, its keys overwritten; nobody else may recall.
    expect(() => grantee.recall('hospital-c', g)).toThrow('no grant of yours')
    expect(b.leases.count()).toBe(1)
    grantee.recall(A, g)
    expect(b.leases.count()).toBe(0)
    expect(versions[0]?.dek?.every((byte) => byte === 0)).toBe(true)
    expect(versions[0]?.json.every((byte) => byte === 0)).toBe(true)
    expect(grantee.usable(ownerAtB, clinician)).toEqual([])
  })

  test('one that comes before the terms holds when they come', async () => {
    const houses = twoHouses()
    const version = houses.lab('o-1')
    const g = await houses.grant({}, { deliver: false })
    expect(await houses.custodian.revoke(houses.revocation(g))).toBeUndefined()
    await houses.grant()
    expect(houses.a.grants.get(g)?.revokedOnSight).toBe(true)
    await expect(houses.grantee.ask(g, read(version), clinician)).rejects.toMatchObject({
      data: { refusal: 'DENIED' },
    })
  })

  test('one that comes while the leaf is written keeps the keys in the house', async () => {
    const { a, b, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    a.access.onRecord = () => a.grants.revokeOnSight(g)
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({
      data: { refusal: 'DENIED' },
    })
    expect(b.leases.count()).toBe(0)
  })

  test('a recall while ciphertext is on its way leaves nothing behind', async () => {
    const { b, wire, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    const honest = wire.objects
    wire.objects = (addresses) => {
      grantee.recall(A, g)
      return honest(addresses)
    }
    await expect(grantee.ask(g, read(version), clinician)).rejects.toMatchObject({ code: 'RECALLED' })
    expect(b.leases.count()).toBe(0)
  })

  test('the end of the lease drops text and key without anybody asking', async () => {
    const { b, clock, grant, grantee, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant({ lease: 10 * 60_000 })
    const { versions } = await grantee.ask(g, read(version), clinician)
    expect(b.leases.under([g], clinician.practitioner)).toHaveLength(1)
    expect(b.leases.under([g], 'p-99')).toHaveLength(0)
    clock.advance(10 * 60_000 - 1)
    expect(versions[0]?.dek?.some((byte) => byte !== 0)).toBe(true)
    clock.advance(1)
    expect(versions[0]?.dek?.every((byte) => byte === 0)).toBe(true)
    expect(versions[0]?.json.every((byte) => byte === 0)).toBe(true)
    expect(b.leases.count()).toBe(0)
  })

  test('nothing of what was opened is in the grantee’s stores', async () => {
    const { b, grant, grantee, lab } = twoHouses()
    const version = lab('o-1', { valueString: 'planted-name' })
    const g = await grant()
    const { versions } = await grantee.ask(g, read(version), clinician)
    const tables = b.sql.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all()
    const bytes = tables.flatMap(({ name }) =>
      b.sql
        .prepare(`SELECT * FROM ${String(name)}`)
        .all()
        .flatMap((row) => Object.values(row))
        .map((value) => (value instanceof Uint8Array ? toHex(value) : toHex(utf8(String(value))))),
    )
    const stored = bytes.join(' ')
    expect(stored.length).toBeGreaterThan(100)
    expect(stored).not.toContain(toHex(utf8('planted-name')))
    expect(stored).not.toContain(toHex(versions[0]?.dek as Uint8Array))
    expect(stored).not.toContain(toHex(utf8('labs')))
  })

  test('a restart holds nothing and asks again', async () => {
    const { b, clock, grant, grantee, granteeWith, lab } = twoHouses()
    const version = lab('o-1')
    const g = await grant()
    await grantee.ask(g, read(version), clinician)
    const leases = new Leases(clock)
    const restarted = granteeWith(leases)
    expect(leases.count()).toBe(0)
    expect((await restarted.ask(g, read(version), clinician)).versions).toHaveLength(1)
    expect(b.access.of('open').map(({ seq }) => seq)).toEqual([1, 2])
  })
})

describe('a preview', () => {
  test('shows exactly what a release then gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            compartment: fc.constantFrom(...COMPARTMENTS.slice(0, 6)),
            type: fc.constantFrom('Observation', 'Condition', 'MedicationRequest'),
            day: fc.option(fc.integer({ min: -4_000, max: 0 }), { nil: undefined }),
            restricted: fc.boolean(),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        fc.subarray([...COMPARTMENTS.slice(0, 6)], { minLength: 1 }),
        fc.option(fc.constantFrom('2015-01-01', '2022-06-01'), { nil: undefined }),
        fc.option(fc.subarray(['Observation', 'Condition'], { minLength: 1 }), { nil: undefined }),
        async (held, compartments, from, types) => {
          const { a, ledger, custodian, grant, grantee } = twoHouses()
          const all = held.map(({ type, compartment, day, restricted }, at) =>
            a.records.add(
              ownerAtA,
              { resourceType: type, id: `r-${at}` },
              {
                compartment,
                restricted,
                dates:
                  day === undefined
                    ? undefined
                    : {
                        startMs: sampleTerms().notBefore + day * 86_400_000,
                        endMs: sampleTerms().notBefore + day * 86_400_000,
                      },
              },
            ),
          )
          const filter = {
            ...(from === undefined ? {} : { from }),
            ...(types === undefined ? {} : { types }),
          }
          const scope = { compartments, ...(Object.keys(filter).length === 0 ? {} : { filter }) }
          const draft = encodeTerms(sampleTerms({ scope }))
          const { preview, statement } = await custodian.preview({ owner: ownerAtA }, draft)
          const g = await grant({ scope })
          const released = await grantee.ask(g, read(...all), clinician)
          expect(released.versions.map(({ oid }) => toHex(oid)).sort()).toEqual(
            preview.shown.map(toHex).sort(),
          )
          const said = openPreview(a.keys.sign.publicKey, ledger.chainId, statement)
          expect([said.n, said.m]).toEqual([released.versions.length, all.length])
        },
      ),
      { numRuns: 30 },
    )
  })
})
