import {
  AppError,
  bytes,
  equal,
  hmacBytes,
  type Infer,
  object,
  oneOf,
  openForm,
  optional,
  type SignedForm,
  type SigningKey,
  signForm,
  text,
  uint,
  utf8,
} from '@salus/core'

const org = text('Organisation', { min: 1, max: 63 })

/** `sub = HMAC(linkSecret, orgId)`: how one organisation knows the patient; no two can compare. Protocol §9. */
export function subOf(linkSecret: Uint8Array, orgId: string): Uint8Array {
  return hmacBytes(linkSecret, utf8(orgId))
}

/** How well a person was identified: NIST SP 800-63A. IAL2 for custodian records, IAL1 for patient-made data. */
export const LEVELS = ['IAL1', 'IAL2'] as const

/** What the person's device says when it registers at an organisation, type `statement`, signed by the link key. */
export const linkStatementSchema = object('Link statement', {
  v: uint('Form version'),
  org,
  sub: bytes('How this organisation knows the patient', { length: 32 }),
  linkKey: bytes('Link key, Ed25519; only this organisation sees it', { length: 32 }),
  home: org,
  /** A delegate's own link key names the delegation; it signs nothing but terms under that mandate. */
  d: optional(bytes('Delegation', { length: 16 })),
  replaces: optional(bytes('Link key that this one replaces', { length: 32 })),
  time: uint('ms UTC'),
})
export type LinkStatement = Infer<typeof linkStatementSchema>

/** What the organisation keeps: the statement, and how it knew the person. */
export const linkRegistrationSchema = object('Registration of a link key', {
  v: uint('Form version'),
  statement: bytes('Link statement', { max: 1_024 }),
  sig: bytes('By the link key', { length: 64 }),
  /** By the key that is replaced, or by the patient's own link key for a delegate's. */
  endorsement: optional(bytes('Type statement, over the same bytes', { length: 64 })),
  proofing: object('How the person was identified', {
    level: oneOf('NIST SP 800-63A', LEVELS),
    kind: oneOf('Evidence', ['id-document', 'national-eid', 'in-person', 'existing-account', 'none']),
    hash: optional(bytes('Hash of the evidence on file', { length: 32 })),
    staff: optional(text('Staff member who checked, opaque', { min: 1, max: 64 })),
    time: uint('ms UTC'),
  }),
})
export type LinkRegistration = Infer<typeof linkRegistrationSchema>

export function signLinkStatement(
  key: SigningKey,
  chainId: Uint8Array,
  statement: LinkStatement,
): SignedForm {
  if (!equal(key.publicKey, statement.linkKey)) {
    throw new AppError('LINK_KEY', 'linkKey: must be the key that signs')
  }
  return signForm(linkStatementSchema, statement, { key, type: 'statement', chainId })
}

/**
 * Checks a link statement at the organisation that it names. A replacement needs the signature of the key it replaces,
 * a delegate's key that of the patient's own link key. Throws AppError `LINK_KEY`, `BAD_SIGNATURE`, `CBOR`, `SCHEMA`.
 */
export function openLinkStatement(input: {
  readonly signed: SignedForm
  /** Read from the statement by the caller's own decoding or sent beside it; must be the statement's `linkKey`. */
  readonly linkKey: Uint8Array
  readonly org: string
  readonly chainId: Uint8Array
  readonly endorsedBy?: { readonly key: Uint8Array; readonly sig: Uint8Array }
}): LinkStatement {
  const { signed, linkKey, chainId, endorsedBy } = input
  const options = { type: 'statement', chainId, maxBytes: 1_024, version: 1 } as const
  const statement = openForm(linkStatementSchema, signed, { publicKey: linkKey, ...options })
  if (!equal(statement.linkKey, linkKey))
    throw new AppError('LINK_KEY', 'linkKey: must be the key that signs')
  if (statement.org !== input.org)
    throw new AppError('LINK_KEY', 'org: the statement is for another organisation')
  if (statement.replaces !== undefined || statement.d !== undefined) {
    if (endorsedBy === undefined)
      throw new AppError('LINK_KEY', 'endorsement: the earlier link key must sign too')
    if (statement.replaces !== undefined && !equal(statement.replaces, endorsedBy.key)) {
      throw new AppError('LINK_KEY', 'replaces: must be the key that endorses')
    }
    openForm(
      linkStatementSchema,
      { bytes: signed.bytes, sig: endorsedBy.sig },
      { publicKey: endorsedBy.key, ...options },
    )
  }
  return statement
}

/** What an organisation may do with a person identified so. Protocol §9. */
export function levelSuffices(
  level: (typeof LEVELS)[number],
  use: 'custodian-records' | 'patient-made',
): boolean {
  return use === 'patient-made' || level === 'IAL2'
}
