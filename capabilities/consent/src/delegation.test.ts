import { describe, expect, test } from 'vitest'
import { ledgerIdOf } from '../contract/ids.ts'
import {
  chainId,
  fixed,
  HOUR,
  keyOf,
  linkKey,
  NOON,
  OWNER,
  sampleGrant,
  sampleLabels,
  sampleRequest,
} from '../testing/sample.ts'
import { decide } from './decide.ts'
import type { DecisionState, Reason } from './decision.ts'
import { delegateArgs, type Mandate, mandateIsProven, signMandate } from './delegation.ts'

const parent = keyOf('parent delegation')
const mandate: Mandate = {
  v: 1,
  d: ledgerIdOf(parent.publicKey),
  scope: { compartments: ['general', 'labs', 'medication'], actions: ['read', 'search'] },
  until: NOON + 24 * HOUR,
  evidence: { kind: 'parental-responsibility' },
}
const signed = signMandate({ mandate, salt: fixed('mandate salt'), controller: parent, chainId })
const delegation = { ...delegateArgs(signed), state: 'active' as const }

/** The link key here is the parent's own, registered for this delegation. */
const links = [{ key: linkKey.publicKey, owner: OWNER, d: mandate.d }]

function ask(
  terms: Parameters<typeof sampleGrant>[0],
  state: Partial<DecisionState>,
  request: Parameters<typeof sampleRequest>[0] = {},
): readonly Reason[] {
  const grant = sampleGrant(terms, { links, delegation, ...state })
  return decide(sampleRequest(request), grant.carried, grant.state, sampleLabels()).reasons
}

describe('a grant by a delegate', () => {
  test('holds inside the mandate while the delegation is active', () => {
    expect(ask({ mandate: signed }, {})).toEqual([])
  })
  test('dies with the delegation, at every release', () => {
    for (const state of ['revoked', 'expired'] as const) {
      expect(ask({ mandate: signed }, { delegation: { ...delegation, state } })).toEqual(['MANDATE'])
    }
    expect(ask({ mandate: signed }, { delegation: undefined })).toEqual(['MANDATE'])
    const late = NOON + 24 * HOUR
    const terms = { mandate: signed, notAfter: late }
    expect(ask(terms, { clockMs: late, head: { height: 1, timeMs: late } }, { time: late })).toEqual([
      'EXPIRED',
      'MANDATE',
    ])
  })
  test('stays inside its categories, actions and end', () => {
    expect(ask({ mandate: signed, scope: { compartments: ['labs', 'mental'] } }, {})).toEqual(['MANDATE'])
    expect(ask({ mandate: signed, actions: ['read', 'copy'] }, {})).toEqual(['MANDATE'])
    expect(ask({ mandate: signed, notAfter: mandate.until + 1 }, {})).toEqual(['MANDATE'])
  })
  test('a delegate’s link key signs nothing without the mandate, and hers nothing with it', () => {
    expect(ask({}, {})).toEqual(['MANDATE'])
    expect(ask({ mandate: signed }, { links: [{ key: linkKey.publicKey, owner: OWNER }] })).toEqual([
      'MANDATE',
    ])
    const other = [{ key: linkKey.publicKey, owner: OWNER, d: fixed('x').slice(0, 16) }]
    expect(ask({ mandate: signed }, { links: other })).toEqual(['MANDATE'])
  })
  test('a mandate with a field, salt, key or signature changed is not proven', () => {
    expect(mandateIsProven(signed, delegation, chainId)).toBe(true)
    const wider = signMandate({
      mandate: { ...mandate, until: mandate.until + HOUR },
      salt: signed.salt,
      controller: parent,
      chainId,
    })
    const cases = [
      { ...signed, mandate: wider.mandate },
      { ...wider },
      { ...signed, salt: fixed('x') },
      { ...signed, k: keyOf('x').publicKey },
      { ...signed, sig: fixed('x') },
      { ...signed, mandate: new Uint8Array(3) },
    ]
    for (const changed of cases) expect(mandateIsProven(changed, delegation, chainId)).toBe(false)
    expect(mandateIsProven(signed, delegation, fixed('chain 2'))).toBe(false)
    expect(() => signMandate({ mandate, salt: fixed('s'), controller: keyOf('x'), chainId })).toThrow('d:')
  })
})
