import { readFileSync, writeFileSync } from 'node:fs'
import { fromUtf8, sha256, signingKey, toHex, utf8 } from '@salus/core'
import { expect, test } from 'vitest'
import type { EventKind, Outcome } from './codes.ts'
import { encodeEvent, eventLeaf } from './event.ts'
import { compareSequences, signSequenceStatement } from './sequence.ts'

const fixed = (name: string): Uint8Array => sha256(utf8(name))
const id = (name: string): Uint8Array => fixed(name).slice(0, 16)
const NOW = 1_795_348_800_000

function event(name: string, kind: EventKind, outcome: Outcome, more: object = {}) {
  const { bytes, digest } = encodeEvent({
    eventId: id(name),
    kind,
    timeMs: NOW,
    outcome,
    reasons: outcome === 'refused' ? ['EXPIRED'] : [],
    recorder: { org: 'hospital-a', node: 'https://a.example' },
    custodian: { org: 'hospital-a', node: 'https://a.example' },
    requester: {
      org: 'hospital-b',
      node: 'https://b.example',
      unit: 'cardiology',
      practitioner: 'p-17',
      as: 'practitioner',
    },
    purpose: 'TREAT',
    patient: 'Patient/1',
    versions:
      outcome === 'refused'
        ? []
        : [{ oid: id('oid'), recordId: 'Observation/o', version: 2, view: fixed('view') }],
    requestId: id('request'),
    head: { height: 10, ageMs: 400 },
    degraded: false,
    ...more,
  })
  return {
    name,
    eventId: toHex(id(name)),
    json: fromUtf8(bytes),
    digest: toHex(digest),
    salt: toHex(fixed('salt')),
    leaf: toHex(eventLeaf(fixed('salt'), id(name), digest)),
  }
}

/** `SALUS_WRITE_VECTORS=1` writes the file anew, which is a change of protocol. */
test('vectors/audit.json', () => {
  const grant = { g: id('g'), seq: 1, prev: new Uint8Array(32), requestHash: fixed('request') }
  const entry = (seq: number, prev: Uint8Array) => ({
    seq,
    prev,
    requestHash: fixed(`r${seq}`),
    versions: [],
    outcome: 'permitted',
  })
  const complete = [entry(1, new Uint8Array(32)), entry(2, fixed('r1')), entry(3, fixed('r2'))]
  const statement = { v: 1, g: id('g'), party: 'grantee' as const, upTo: 3, head: fixed('r3'), time: NOW }
  const signed = signSequenceStatement(signingKey(fixed('key')), fixed('chain'), statement)
  const found = {
    source: 'architecture §10, protocol §12, IHE BALP; docs/spec/consent.md. Bytes are hexadecimal.',
    events: [
      event('release', 'release', 'permitted', { grant }),
      event('receive', 'receive', 'permitted', { grant }),
      event('refusal', 'release', 'refused', { grant }),
      event('search', 'search', 'permitted', { grant, query: 'Observation?code=718-7' }),
      event('own read', 'read', 'permitted'),
      event('break-glass', 'break-glass', 'permitted', {
        purpose: 'ETREAT',
        emergency: { b: id('b'), reason: 'unconscious', requestHash: fixed('request') },
        degraded: true,
      }),
    ],
    sequence: {
      complete: compareSequences({ custodian: complete, grantee: complete }),
      withoutTheSecond: compareSequences({ custodian: complete.toSpliced(1, 1), grantee: complete }),
    },
    statement: {
      chainId: toHex(fixed('chain')),
      seed: toHex(fixed('key')),
      bytes: toHex(signed.bytes),
      sig: toHex(signed.sig),
    },
  }
  const url = new URL('../../../vectors/audit.json', import.meta.url)
  const text = `${JSON.stringify(found, null, 2)}\n`
  if (process.env['SALUS_WRITE_VECTORS'] === '1') writeFileSync(url, text)
  expect(text).toBe(readFileSync(url, 'utf8'))
})
