import { equal } from '@salus/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  chainId,
  custodianKey,
  fixed,
  NOON,
  OWNER,
  sampleGrant,
  sampleLabels,
  sampleRequest,
} from '../testing/sample.ts'
import { decide } from './decide.ts'
import { openPreview, preview, shownHashOf, signPreview } from './preview.ts'
import { COMPARTMENTS } from './vocabulary.ts'

const version = fc.record({
  compartment: fc.constantFrom(...COMPARTMENTS),
  type: fc.constantFrom('Observation', 'MedicationRequest'),
  owner: fc.constantFrom(OWNER, OWNER, 'owner-2'),
  restricted: fc.boolean(),
})

test('property: the preview shows exactly what a release would permit, out of all that is hers', () => {
  fc.assert(
    fc.property(fc.array(version, { maxLength: 30 }), (labels) => {
      const { terms, carried, state } = sampleGrant()
      const versions = labels.map((change, i) => ({
        oid: fixed(`oid ${i}`).slice(0, 16),
        labels: sampleLabels(change),
      }))
      const found = preview({ terms, owner: OWNER, state, versions })
      const released = versions.filter(({ labels }) => decide(sampleRequest(), carried, state, labels).permit)
      expect(found.shown).toEqual(released.map(({ oid }) => oid))
      expect(found.n).toBe(released.length)
      expect(found.m).toBe(labels.filter(({ owner }) => owner === OWNER).length)
      for (const part of [found.byCompartment, found.byType]) {
        expect(part.reduce((sum, { n }) => sum + n, 0)).toBe(found.n)
        expect(part.reduce((sum, { m }) => sum + m, 0)).toBe(found.m)
      }
    }),
  )
})

test('the custodian signs its count; the device holds it to the same objects in any order', () => {
  const oids = [fixed('a').slice(0, 16), fixed('b').slice(0, 16)]
  expect(equal(shownHashOf(oids), shownHashOf(oids.toReversed()))).toBe(true)
  expect(equal(shownHashOf(oids), shownHashOf(oids.slice(1)))).toBe(false)
  const statement = {
    v: 1,
    custodian: 'hospital-a',
    terms: fixed('terms'),
    n: 2,
    m: 3,
    shown: shownHashOf(oids),
    byCompartment: [{ compartment: 'labs' as const, n: 2, m: 3 }],
    headHeight: 7,
    time: NOON,
  }
  const signed = signPreview(custodianKey, chainId, statement)
  expect(openPreview(custodianKey.publicKey, chainId, signed)).toEqual(statement)
})
