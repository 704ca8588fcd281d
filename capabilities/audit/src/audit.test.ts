import { equal, sha256, signingKey, toHex, utf8 } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson } from './canonical-json.ts'
import { type EventKind, KINDS } from './codes.ts'
import { type AccessFacts, auditEvent, encodeEvent, eventLeaf } from './event.ts'
import { accountingOfDisclosures, whoLooked } from './lists.ts'
import { readEvent, requestHashIn } from './read-event.ts'
import {
  checkStatement,
  compareSequences,
  openSequenceStatement,
  type SequenceEntry,
  sequenceOf,
  signSequenceStatement,
} from './sequence.ts'

const fixed = (name: string): Uint8Array => sha256(utf8(name))
const id = (name: string): Uint8Array => fixed(name).slice(0, 16)
const NOW = 1_795_348_800_000

const facts = (change: Partial<AccessFacts> = {}): AccessFacts => ({
  eventId: id('event'),
  kind: 'release',
  timeMs: NOW,
  outcome: 'permitted',
  reasons: [],
  recorder: { org: 'hospital-a', node: 'https://a.example' },
  custodian: { org: 'hospital-a', node: 'https://a.example' },
  requester: { org: 'hospital-b', node: 'https://b.example', practitioner: 'p-17', as: 'practitioner' },
  purpose: 'TREAT',
  patient: 'Patient/1',
  versions: [{ oid: id('oid'), recordId: 'Observation/o', version: 2, view: fixed('view') }],
  requestId: id('request'),
  grant: { g: id('g'), seq: 1, prev: new Uint8Array(32), requestHash: fixed('request') },
  head: { height: 10, ageMs: 400 },
  degraded: false,
  ...change,
})

describe('canonical JSON (RFC 8785)', () => {
  test('orders members by UTF-16 units and escapes as the RFC does', () => {
    const text = canonicalJson({
      '\u20ac': 'Euro',
      '\r': 'CR',
      '1': 'One',
      '\ud83d\ude00': 'Smiley',
      '\u0080': '\u000f"\\/',
    })
    expect(text).toBe(
      '{"\\r":"CR","1":"One","\u0080":"\\u000f\\"\\\\/","\u20ac":"Euro","\ud83d\ude00":"Smiley"}',
    )
  })
  test('refuses what has no single form', () => {
    expect(() => canonicalJson(0.5)).toThrow('number:')
    expect(() => canonicalJson('\ud800')).toThrow('text:')
  })
})

describe('an event', () => {
  test('has the shape of BALP for a disclosure at its source', () => {
    const event = auditEvent(facts())
    expect(event).toMatchObject({
      resourceType: 'AuditEvent',
      meta: {
        profile: [
          'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source',
        ],
      },
      type: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: '110106' },
      subtype: [{ code: 'disclose' }],
      action: 'R',
      recorded: '2026-11-22T12:00:00.000Z',
      outcome: '0',
    })
    const text = JSON.stringify(event)
    // The recorder is the source agent; exactly one agent asked.
    expect(text.match(/"requestor":true/g)).toHaveLength(1)
    expect(text).toContain('"code":"110153"')
    expect(text).toContain('"code":"110152"')
  })
  test('breaking the glass is DICOM 110113 with 110127, degraded and marked are said', () => {
    const event = auditEvent(
      facts({
        kind: 'break-glass',
        purpose: 'ETREAT',
        degraded: true,
        marked: 'log-forked',
        emergency: { b: id('b'), reason: 'unconscious', requestHash: fixed('r') },
      }),
    )
    expect(event).toMatchObject({
      type: { code: '110113' },
      subtype: [{ code: '110127' }, { code: 'disclose' }],
    })
    expect(JSON.stringify(event)).toContain('{"type":"degraded","valueString":"true"}')
    expect(JSON.stringify(event)).toContain('{"type":"marked","valueString":"log-forked"}')
  })
  test('a refusal is an event too, with its reasons, and claims no profile of success', () => {
    const event = auditEvent(facts({ outcome: 'refused', reasons: ['EXPIRED', 'PURPOSE'], versions: [] }))
    expect(event).toMatchObject({ outcome: '4', outcomeDesc: 'EXPIRED PURPOSE' })
    expect(event).not.toHaveProperty('meta')
  })
  test('lists at most 1,000 versions', () => {
    const versions = Array.from({ length: 1_001 }, () => ({
      oid: id('o'),
      recordId: 'Observation/o',
      version: 1,
    }))
    expect(() => auditEvent(facts({ versions }))).toThrow('versions:')
    expect(encodeEvent(facts({ versions: versions.slice(1) })).bytes.length).toBeLessThan(1024 * 1024)
  })
  test('its leaf shows neither the event nor its kind, and differs with the salt', () => {
    const { digest } = encodeEvent(facts())
    const leaf = eventLeaf(fixed('salt'), id('event'), digest)
    expect(leaf).toHaveLength(32)
    expect(equal(leaf, eventLeaf(fixed('other salt'), id('event'), digest))).toBe(false)
  })

  const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/)
  const anyFacts: fc.Arbitrary<AccessFacts> = fc
    .record(
      {
        eventId: bytes16,
        kind: fc.constantFrom(...(Object.keys(KINDS) as EventKind[])),
        timeMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
        outcome: fc.constantFrom('permitted', 'refused', 'failed'),
        reasons: fc.array(fc.constantFrom('EXPIRED', 'PURPOSE'), { maxLength: 2 }),
        custodian: fc.record({ org: word, node: word }),
        requester: fc.record(
          {
            org: word,
            node: word,
            unit: word,
            practitioner: word.map((w) => `p-${w}`),
            name: fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
            roles: fc.array(word, { minLength: 1, maxLength: 3 }),
            as: fc.constantFrom('practitioner', 'patient', 'delegate', 'system'),
          },
          { requiredKeys: ['org', 'node', 'as'] },
        ),
        purpose: fc.constantFrom('TREAT', 'HRESCH'),
        patient: word.map((w) => `Patient/${w}`),
        versions: fc.array(
          fc.record(
            { oid: bytes16, recordId: word.map((w) => `Observation/${w}`), version: fc.nat(), view: bytes32 },
            { requiredKeys: ['oid', 'recordId', 'version'] },
          ),
          { maxLength: 4 },
        ),
        query: fc.string({ maxLength: 30, unit: 'grapheme' }),
        requestId: bytes16,
        grant: fc.record({ g: bytes16, seq: fc.nat(), prev: bytes32, requestHash: bytes32 }),
        head: fc.record({ height: fc.nat(), ageMs: fc.nat() }),
        degraded: fc.boolean(),
        marked: fc.constantFrom('log-suspect', 'log-forked'),
      },
      {
        requiredKeys: [
          'eventId',
          'kind',
          'timeMs',
          'outcome',
          'reasons',
          'custodian',
          'requester',
          'purpose',
          'patient',
          'versions',
          'requestId',
          'degraded',
        ],
      },
    )
    .map((f) => ({ ...f, recorder: f.custodian }) as AccessFacts)

  test('property: what is written is read back, to the same bytes', () => {
    fc.assert(
      fc.property(anyFacts, (f) => {
        const { bytes } = encodeEvent(f)
        expect(readEvent(bytes)).toEqual(f)
        expect(encodeEvent(readEvent(bytes)).bytes).toEqual(bytes)
      }),
    )
  })
  test('what is not canonical, too large or no such event is refused without repeating it', () => {
    const { bytes } = encodeEvent(facts())
    const spaced = utf8(` ${new TextDecoder().decode(bytes)}`)
    for (const bad of [
      spaced,
      bytes.slice(1),
      utf8('{}'),
      utf8('{"resourceType":"AuditEvent"}'),
      new Uint8Array(1024 * 1024 + 1),
    ]) {
      expect(() => readEvent(bad)).toThrow('event:')
    }
    expect(toHex(requestHashIn(bytes) ?? new Uint8Array(0))).toBe(toHex(fixed('request')))
    expect(requestHashIn(utf8('{}'))).toBeUndefined()
  })
})

describe('sequences of both sides', () => {
  const entry = (seq: number, change: Partial<SequenceEntry> = {}): SequenceEntry => ({
    seq,
    prev: seq === 1 ? new Uint8Array(32) : fixed(`request ${seq - 1}`),
    requestHash: fixed(`request ${seq}`),
    versions: [`oid ${seq}`],
    outcome: 'permitted',
    ...change,
  })
  const run = (count: number) => Array.from({ length: count }, (_, i) => entry(i + 1))
  const kinds = (custodian: SequenceEntry[], grantee: SequenceEntry[]) =>
    compareSequences({ custodian, grantee }).map(({ kind, party, seq }) => [kind, party, seq])

  test('that agree give nothing, in any order and split over events', () => {
    expect(kinds(run(5), run(5).toReversed())).toEqual([])
    const split = [entry(1, { versions: ['b'] }), entry(1, { versions: ['a'] })]
    expect(kinds(split, [entry(1, { versions: ['a', 'b'] })])).toEqual([])
    expect(kinds([], [])).toEqual([])
  })
  test('an event left out shows as a gap, at the end as missing on one side', () => {
    expect(kinds(run(3).toSpliced(1, 1), run(3))).toEqual([
      ['gap', 'custodian', 2],
      ['missing-at-custodian', undefined, 2],
    ])
    expect(kinds(run(2), run(3))).toEqual([['missing-at-custodian', undefined, 3]])
    expect(kinds(run(3), run(2))).toEqual([['missing-at-grantee', undefined, 3]])
  })
  test('both leaving out the same one still breaks the chain', () => {
    const both = run(3).toSpliced(1, 1)
    expect(kinds(both, both)).toEqual([
      ['gap', 'custodian', 2],
      ['gap', 'grantee', 2],
    ])
    const renumbered = [entry(1), entry(2, { prev: fixed('request 2'), requestHash: fixed('request 3') })]
    expect(kinds(renumbered, renumbered)).toEqual([
      ['broken-chain', 'custodian', 2],
      ['broken-chain', 'grantee', 2],
    ])
  })
  test('telling different things about one request, and one number used twice, show', () => {
    expect(kinds([entry(1, { versions: ['x'] })], run(1))).toEqual([['other-versions', undefined, 1]])
    expect(kinds([entry(1, { outcome: 'refused' })], run(1))).toEqual([['other-outcome', undefined, 1]])
    expect(kinds([entry(1, { requestHash: fixed('x') })], run(1))).toEqual([['other-request', undefined, 1]])
    expect(kinds([...run(1), entry(1, { requestHash: fixed('x') })], run(1))).toEqual([
      ['twice', 'custodian', 1],
    ])
  })
  test('property: whatever single event one side drops is found', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(), fc.boolean(), (count, pick, ours) => {
        const dropped = run(count).toSpliced(pick % count, 1)
        expect(kinds(ours ? dropped : run(count), ours ? run(count) : dropped)).not.toEqual([])
      }),
    )
  })
  test('a daily statement holds its maker to every event up to its head', () => {
    const key = signingKey(fixed('key'))
    const statement = {
      v: 1,
      g: id('g'),
      party: 'custodian' as const,
      upTo: 3,
      head: fixed('request 3'),
      time: NOW,
    }
    const signed = signSequenceStatement(key, fixed('chain'), statement)
    expect(openSequenceStatement(key.publicKey, fixed('chain'), signed)).toEqual(statement)
    expect(checkStatement(statement, run(3))).toEqual([])
    expect(checkStatement(statement, run(2))).toEqual([{ kind: 'gap', party: 'custodian', seq: 3 }])
    expect(checkStatement({ ...statement, head: fixed('x') }, run(3))).toEqual([
      { kind: 'other-head', party: 'custodian', seq: 3 },
    ])
  })
  test('entries of a grant come out of its events alone', () => {
    const other = facts({
      grant: { g: id('other'), seq: 1, prev: new Uint8Array(32), requestHash: fixed('x') },
    })
    expect(sequenceOf([facts(), other], id('g')).map(({ seq }) => seq)).toEqual([1])
  })
})

describe('lists', () => {
  const received = facts({ eventId: id('r'), kind: 'receive', timeMs: NOW + 1 })
  const research = facts({ eventId: id('s'), purpose: 'HRESCH', timeMs: NOW + 2 })
  const refused = facts({
    eventId: id('n'),
    outcome: 'refused',
    purpose: 'HRESCH',
    reasons: ['PURPOSE'],
    timeMs: NOW + 3,
  })

  test('who looked: newest first, refusals included, both sides’ events of one request as one line', () => {
    const lines = whoLooked([facts(), received, refused, facts()])
    expect(lines.map(({ timeMs, outcome }) => [timeMs, outcome])).toEqual([
      [NOW + 3, 'refused'],
      [NOW, 'permitted'],
    ])
    expect(lines[1]).toMatchObject({
      person: 'p-17',
      organisation: 'hospital-b',
      purpose: 'TREAT',
      records: ['Observation/o/_history/2'],
      views: 1,
    })
    // What only the grantee tells is a line of its own: the custodian kept silent.
    const alone = facts({
      eventId: id('q'),
      kind: 'receive',
      grant: { g: id('g'), seq: 9, prev: fixed('p'), requestHash: fixed('q') },
    })
    expect(whoLooked([facts(), alone])).toHaveLength(2)
  })
  test('accounting of disclosures: what left for other purposes than treatment, payment, operations or her own', () => {
    const span = { custodian: 'hospital-a', fromMs: NOW, toMs: NOW + 10 }
    expect(accountingOfDisclosures([facts(), research, refused, received], span)).toEqual([
      { timeMs: NOW + 2, recipient: 'hospital-b', what: ['Observation/o'], purpose: 'HRESCH' },
    ])
    expect(accountingOfDisclosures([research], { ...span, toMs: NOW + 2 })).toEqual([])
    expect(accountingOfDisclosures([research], { ...span, custodian: 'hospital-c' })).toEqual([])
  })
})
