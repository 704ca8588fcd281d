import { decode, encode, equal, sealKeyPair } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  chainId,
  counted,
  fixed,
  granteeKey,
  HOUR,
  keyOf,
  linkKey,
  NOON,
  salt,
  sampleGrant,
  sampleTerms,
} from '../testing/sample.ts'
import { conditionKinds, sayCondition } from './conditions.ts'
import { checkText, readableText, renderTerms, TEMPLATE, termsText, textHashOf } from './template.ts'
import { decodeTerms, encodeTerms, type Terms } from './terms.ts'
import {
  checkAsGrantee,
  grantArgs,
  openAcceptance,
  openForCustodian,
  openForGrantee,
  sealForCustodian,
  sealForGrantee,
  signAcceptance,
  signTermsLink,
  termsHashOf,
  verifyTermsLink,
} from './terms-link.ts'

describe('terms', () => {
  test('come back as they were', () => {
    const terms = sampleTerms({ standby: ['hospital-c'], masks: ['Patient.address'] })
    expect(decodeTerms(encodeTerms(terms))).toEqual(terms)
  })

  const wrong: [string, Partial<Terms>, string][] = [
    ['a foreign id', { g: fixed('x').slice(0, 16) }, 'g:'],
    ['the custodian itself as grantee', { grantee: { org: 'hospital-a' } }, 'grantee:'],
    ['an id that imitates words', { grantee: { org: 'hospital-b”, any of its staff' } }, 'grantee:'],
    ['a category twice', { scope: { compartments: ['labs', 'labs'] } }, 'scope.compartments:'],
    ['an empty filter', { scope: { compartments: ['labs'], filter: {} } }, 'scope.filter:'],
    ['a day that is none', { scope: { compartments: ['labs'], filter: { from: '2015-02-30' } } }, 'day:'],
    [
      'days the wrong way round',
      { scope: { compartments: ['labs'], filter: { from: '2016-01-01', to: '2015-01-01' } } },
      'to:',
    ],
    [
      'a code with a line break',
      { scope: { compartments: ['labs'], filter: { codes: [{ system: 'x', code: 'a\nb' }] } } },
      'codes:',
    ],
    [
      'a type that is none',
      { scope: { compartments: ['labs'], filter: { types: ['observation'] } } },
      'types:',
    ],
    ['an end before the beginning', { notAfter: NOON }, 'notAfter:'],
    ['a lease of nothing', { lease: 0 }, 'lease:'],
    ['a lease of more than twelve hours', { lease: 12 * HOUR + 1 }, 'lease:'],
    ['a rate of nothing', { rate: { requests: 0, versions: 1 } }, 'rate:'],
    ['a mask on the id', { masks: ['Patient.id'] }, 'masks:'],
    ['a mask that is no path', { masks: ['name'] }, 'masks'],
    ['another version', { v: 2 }, 'v:'],
  ]
  test.each(wrong)('with %s are refused, naming the field', (_name, change, field) => {
    expect(() => encodeTerms({ ...sampleTerms(), ...change })).toThrow(field)
  })

  test('of an unknown version, with unknown members, not canonical or too large are refused', () => {
    const encoded = encodeTerms(sampleTerms())
    const map = decode(encoded) as Record<string, never>
    expect(() => decodeTerms(encode({ ...map, v: 2 }))).toThrow('v:')
    expect(() => decodeTerms(encode({ ...map, more: 1 }))).toThrow('not known')
    expect(() => decodeTerms(new Uint8Array(256 * 1024 + 1))).toThrow('larger than')
    expect(() => decodeTerms(encoded.slice(0, -1))).toThrow()
  })
})

describe('the text a person reads', () => {
  const text = termsText(sampleTerms({ masks: ['Patient.address'], standby: ['hospital-c'] }))

  test('says everything that matters, with ids as they stand in the terms', () => {
    expect(text).toBe(`Sharing of health records
Shared by: “hospital-a”, from the records it holds.
Shared with: “hospital-b”, unit “cardiology”, only “p-17”.
Purpose: treatment, and no other.
Categories: medication; laboratory results.
Only records dated from 2015-01-01.
Left out of every record: Patient.address.
They may: read these records; search in these records.
From 2026-11-22T12:00:00.000Z until 2026-11-22T13:00:00.000Z.
What is opened may stay open for 30 min.
At most 100 requests and 5000 record versions in an hour.
They are not told whether anything is withheld.
If the first organisation cannot be reached: 
  “hospital-c”
Lowest protection accepted: suite 1.
The patient can end this at any time. What was already opened cannot be taken back.
`)
  })

  test('shows names beside ids without touching the hash', () => {
    const names: Record<string, string> = { 'hospital-b': 'Hill Hospital' }
    const shown = readableText(renderTerms(sampleTerms()), ({ id }) => names[id])
    expect(shown).toContain('Shared with: Hill Hospital (“hospital-b”), unit')
  })

  test('is rendered again and compared: a mismatch, another template and an unknown condition are refused', () => {
    const terms = sampleTerms()
    expect(() => checkText(terms)).not.toThrow()
    expect(() => checkText({ ...terms, purpose: 'HRESCH' })).toThrow('textHash:')
    expect(() => checkText({ ...terms, template: 'en/2' })).toThrow('template:')
    const condition = { kind: 'visit', v: 1, args: encode('v-1') }
    expect(() => checkText({ ...terms, conditions: [condition] })).toThrow('conditions:')
    const kinds = conditionKinds([{ kind: 'visit', v: 1, say: () => 'two\nlines', holds: () => true }])
    // A condition cannot forge a line of its own.
    expect(sayCondition(kinds, condition)).toBe('two lines')
    expect(() => conditionKinds([...kinds.values(), ...kinds.values()])).toThrow('twice')
  })

  const readable: [string, Partial<Terms>][] = [
    ['custodian', { custodian: 'hospital-x' }],
    ['grantee', { grantee: { org: 'hospital-x' } }],
    ['unit', { grantee: { org: 'hospital-b', practitioner: 'p-17' } }],
    ['practitioner', { grantee: { org: 'hospital-b', unit: 'cardiology' } }],
    [
      'compartments',
      { scope: { compartments: ['labs', 'medication', 'mental'], filter: { from: '2015-01-01' } } },
    ],
    ['filter', { scope: { compartments: ['labs', 'medication'] } }],
    ['purpose', { purpose: 'ETREAT' }],
    ['actions', { actions: ['read', 'search', 'copy'] }],
    ['notBefore', { notBefore: NOON + 1 }],
    ['notAfter', { notAfter: NOON + HOUR + 1 }],
    ['lease', { lease: 31 * 60_000 }],
    ['rate', { rate: { requests: 101, versions: 5_000 } }],
    ['masks', { masks: ['Patient.name'] }],
    ['showWithheld', { showWithheld: true }],
    ['standby', { standby: ['hospital-c'] }],
    ['hosted', { hosted: { method: 'paper', staff: 's-1', evidence: fixed('e') } }],
    ['minSuite', { minSuite: 2 }],
  ]
  test.each(readable)('changes when %s changes', (_name, change) => {
    const changed = { ...sampleTerms(), ...change }
    expect(equal(textHashOf(changed), textHashOf(sampleTerms()))).toBe(false)
    expect(changed.template).toBe(TEMPLATE)
  })
})

describe('the parties', () => {
  const { terms, carried, state } = sampleGrant()
  const custodian = sealKeyPair(fixed('seal a'))
  const grantee = sealKeyPair(fixed('seal b'))
  const at = { chainId, g: terms.g }

  test('get their packages, each only its own', () => {
    const pack = { v: 1, terms: carried.terms, salt, link: { key: carried.link.key, sig: carried.link.sig } }
    const sealed = sealForCustodian(pack, { ...at, to: custodian.publicKey, random: counted('c') })
    expect(openForCustodian({ ...at, key: custodian, sealed })).toEqual(pack)
    expect(() => openForCustodian({ ...at, key: grantee, sealed })).toThrow()
    expect(() => openForCustodian({ chainId, g: fixed('g').slice(0, 16), key: custodian, sealed })).toThrow()
    const other = { v: 1, terms: carried.terms, salt }
    const toGrantee = sealForGrantee(other, { ...at, to: grantee.publicKey, random: counted('g') })
    expect(openForGrantee({ ...at, key: grantee, sealed: toGrantee })).toEqual(other)
    // A package for one role opens in no other, even with the same key.
    const swapped = sealForGrantee(other, { ...at, to: custodian.publicKey, random: counted('s') })
    expect(() => openForCustodian({ ...at, key: custodian, sealed: swapped })).toThrow()
  })

  test('the grantee checks commitment, party, its name for the patient and the text', () => {
    const grant = state.grant
    if (grant === undefined) throw new Error('the sample has a grant')
    const pack = { v: 1, terms: carried.terms, salt }
    const checked = (change: object) =>
      checkAsGrantee({ pack, grant, org: 'hospital-b', knowsSub: (sub) => equal(sub, terms.sub), ...change })
    expect(checked({})).toEqual(terms)
    expect(() => checked({ org: 'hospital-c' })).toThrow('grantee:')
    expect(() => checked({ knowsSub: () => false })).toThrow('sub:')
    expect(() => checked({ pack: { ...pack, salt: fixed('other') } })).toThrow('c:')
    expect(() => checked({ grant: { ...grant, state: 'revoked' } })).toThrow('g:')
    const acceptance = { v: 1, g: terms.g, terms: termsHashOf(pack.terms), org: 'hospital-b', time: NOON }
    const signed = signAcceptance(granteeKey, chainId, acceptance)
    expect(openAcceptance(granteeKey.publicKey, chainId, signed)).toEqual(acceptance)
    expect(() => openAcceptance(keyOf('x').publicKey, chainId, signed)).toThrow('sig:')
  })

  test('the link signature holds for these terms, this key and this chain alone', () => {
    const sig = signTermsLink(linkKey, chainId, carried.terms)
    expect(verifyTermsLink(linkKey.publicKey, chainId, carried.terms, sig)).toBe(true)
    expect(verifyTermsLink(linkKey.publicKey, fixed('chain 2'), carried.terms, sig)).toBe(false)
    const others = encodeTerms(sampleTerms({ purpose: 'HRESCH' }))
    expect(verifyTermsLink(linkKey.publicKey, chainId, others, sig)).toBe(false)
  })

  test('property: the ledger’s end is a whole hour, never before and less than an hour after the terms’', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 * HOUR }), (durationMs) => {
        const { na } = grantArgs(encodeTerms(sampleTerms({ notAfter: NOON + durationMs })), salt)
        expect(na % HOUR).toBe(0)
        expect(na >= NOON + durationMs && na < NOON + durationMs + HOUR).toBe(true)
      }),
    )
  })
})
