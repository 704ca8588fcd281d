import {
  AppError,
  bool,
  bytes,
  dayStartMs,
  decodeForm,
  encodeForm,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  text,
  uint,
} from '@salus/core'
import { isLedgerIdOf } from '../contract/ids.ts'
import { ACTIONS, COMPARTMENTS, PURPOSES } from './vocabulary.ts'

/** Leases end after at most this. Protocol §4. */
export const LEASE_MAX_MS = 12 * 3_600_000
const TERMS_MAX_BYTES = 256 * 1024

const id = (doc: string) => text(doc, { min: 1, max: 64 })

export const signedMandateSchema = object('A mandate with its proof', {
  mandate: bytes('The mandate, encoded', { max: 16_384 }),
  salt: bytes('Salt of the ledger commitment', { length: 32 }),
  k: bytes('Controller key of the delegation; d is its hash', { length: 32 }),
  sig: bytes('Signature of k, type mandate', { length: 64 }),
})

/** What a grant says. Times are ms since 1970-01-01 UTC; days are as written in the record. Protocol §4. */
export const termsSchema = object('Terms of a grant', {
  v: uint('Form version'),
  g: bytes('Grant: first 16 B of H(controller)', { length: 16 }),
  controller: bytes('One-time controller key that made the grant', { length: 32 }),
  custodian: id('Organisation whose records these are'),
  grantee: object('Who receives', {
    org: id('Organisation'),
    unit: optional(id('Unit of it; all if left out')),
    practitioner: optional(id('Practitioner of it, opaque; all if left out')),
  }),
  sub: bytes('The patient as the grantee knows her', { length: 32 }),
  scope: object('Which versions', {
    compartments: list(oneOf('Category', COMPARTMENTS), { min: 1, max: COMPARTMENTS.length }),
    filter: optional(
      object('Narrower than the categories; every member given must hold', {
        types: optional(list(id('FHIR resource type'), { min: 1, max: 64 })),
        codes: optional(
          list(
            object('A code inside the record', {
              system: text('Code system URI', { min: 1, max: 256 }),
              code: text('Code', { min: 1, max: 128 }),
            }),
            { min: 1, max: 256 },
          ),
        ),
        from: optional(text('First day, YYYY-MM-DD', { min: 10, max: 10 })),
        to: optional(text('Last day, YYYY-MM-DD', { min: 10, max: 10 })),
        records: optional(list(text('Record, Type/id', { min: 3, max: 160 }), { min: 1, max: 1_000 })),
      }),
    ),
  }),
  purpose: oneOf('Purpose, HL7 v3 PurposeOfUse', PURPOSES),
  actions: list(oneOf('Action', ACTIONS), { min: 1, max: ACTIONS.length }),
  notBefore: uint('Begins, ms UTC'),
  notAfter: uint('Ends, ms UTC, not included'),
  lease: uint('Opened records may stay open for this long, ms', { max: LEASE_MAX_MS }),
  rate: object('Limits per hour', {
    requests: uint('Requests', { max: 100_000 }),
    versions: uint('Record versions', { max: 10_000_000 }),
  }),
  masks: list(text('Element left out, Type.element or Resource.element', { min: 3, max: 160 }), { max: 64 }),
  conditions: list(
    object('A further condition, defined by a capability', {
      kind: id('Kind'),
      v: uint('Version of the kind'),
      args: bytes('DAG-CBOR, defined by the kind', { max: 4_096 }),
    }),
    { max: 16 },
  ),
  showWithheld: bool('Whether the grantee is told that something is withheld'),
  standby: optional(list(id('Organisation that may stand in for an absent custodian'), { min: 1, max: 8 })),
  mandate: optional(signedMandateSchema),
  hosted: optional(
    object('Made by staff on the patient’s word', {
      method: oneOf('How she was identified', ['in-person', 'telephone-code', 'paper']),
      staff: id('Staff member, opaque'),
      evidence: bytes('Hash of the evidence on file', { length: 32 }),
    }),
  ),
  minSuite: uint('Lowest sealing suite that may carry a reply', { max: 65_535 }),
  template: text('Text template and its version', { min: 1, max: 32 }),
  textHash: bytes('Hash of the text that the person read', { length: 32 }),
})

export type Terms = Infer<typeof termsSchema>
export type SignedMandate = Infer<typeof signedMandateSchema>
export type Filter = NonNullable<Terms['scope']['filter']>

/** Printable, no white space, no quotes: an id cannot imitate the words around it in the text a person reads. */
const PLAIN_ID = /^[A-Za-z0-9._:/@+-]+$/
const TYPE = /^[A-Z][A-Za-z]{1,63}$/
const RECORD = /^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9.-]{1,64}$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CODE_TEXT = /^[^\s“”\u0000-\u001f\u007f]+( [^\s“”\u0000-\u001f\u007f]+)*$/
const MASK = /^[A-Z][A-Za-z]{1,63}(\.[a-z][A-Za-z0-9]{0,63}(\[x\])?)+$/
/** What a version cannot be read, ordered or cited without. */
const UNMASKABLE = /^[A-Za-z]+\.(resourceType|id)$/

/** Checks the rules between members. Throws AppError `TERMS`, naming the member and the mend. */
export function checkTerms(terms: Terms): Terms {
  const fail = (field: string, rule: string): never => {
    throw new AppError('TERMS', `${field}: ${rule}`, { field })
  }
  const all = (field: string, values: readonly string[] | undefined, pattern: RegExp, rule: string) => {
    for (const value of values ?? []) if (!pattern.test(value)) fail(field, rule)
    if (values && new Set(values).size !== values.length) fail(field, 'names something twice')
  }
  if (terms.v !== 1) fail('v', 'this program writes version 1')
  if (!isLedgerIdOf(terms.g, terms.controller)) fail('g', 'must be the first 16 bytes of H(controller)')
  const { org, unit, practitioner } = terms.grantee
  const ids = [terms.custodian, org, unit, practitioner, terms.hosted?.staff]
  for (const value of ids) {
    if (value !== undefined && !PLAIN_ID.test(value))
      fail('grantee', 'ids use A-Z a-z 0-9 . _ : / @ + - only')
  }
  if (terms.custodian === org) fail('grantee', 'must be another organisation than the custodian')
  all('standby', terms.standby, PLAIN_ID, 'ids use A-Z a-z 0-9 . _ : / @ + - only')
  all('scope.compartments', terms.scope.compartments, /./, '')
  all('actions', terms.actions, /./, '')
  all('masks', terms.masks, MASK, 'write Type.element or Resource.element')
  if (terms.masks.some((mask) => UNMASKABLE.test(mask)))
    fail('masks', 'id and resourceType cannot be left out')
  const filter = terms.scope.filter
  if (filter) {
    all('scope.filter.types', filter.types, TYPE, 'must be FHIR resource types')
    all('scope.filter.records', filter.records, RECORD, 'write Type/id')
    const codes = filter.codes?.flatMap(({ system, code }) => [system, code])
    for (const part of codes ?? [])
      if (!CODE_TEXT.test(part)) fail('scope.filter.codes', 'printable text only')
    if (Object.keys(filter).length === 0) fail('scope.filter', 'must limit something; leave it out otherwise')
    const fromMs = filter.from === undefined ? undefined : dayStartMs(filter.from)
    const toMs = filter.to === undefined ? undefined : dayStartMs(filter.to)
    if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) fail('scope.filter.to', 'is before from')
  }
  if (terms.notBefore >= terms.notAfter) fail('notAfter', 'must be later than notBefore')
  if (terms.lease === 0) fail('lease', 'must be at least 1 ms')
  if (terms.rate.requests === 0 || terms.rate.versions === 0) fail('rate', 'must allow something')
  return terms
}

/** The bytes that are committed, linked and sealed. Throws AppError `SCHEMA`, `TERMS`, `TIME`. */
export function encodeTerms(terms: Terms): Uint8Array {
  return encodeForm(termsSchema, checkTerms(terms))
}

/** Reads terms of at most 256 KiB. Throws AppError `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`, `TERMS`, `TIME`. */
export function decodeTerms(encoded: Uint8Array): Terms {
  return checkTerms(decodeForm(termsSchema, encoded, { maxBytes: TERMS_MAX_BYTES, version: 1 }))
}
