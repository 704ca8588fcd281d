import {
  AppError,
  bytes,
  decodeForm,
  encode,
  encodeForm,
  equal,
  hmacBytes,
  type Infer,
  object,
  openForm,
  openSealed,
  optional,
  type Random,
  type SealKeyPair,
  type SignedForm,
  type SigningKey,
  sealTo,
  sha256,
  signAs,
  signForm,
  text,
  tuple,
  uint,
  verifyAs,
} from '@salus/core'
import { roundUpToHour } from '../contract/ids.ts'
import { type ConditionKinds, noConditions } from './conditions.ts'
import { checkText } from './template.ts'
import { decodeTerms, type Terms } from './terms.ts'

/** `H(terms)`, over the encoded terms; 32 bytes. */
export function termsHashOf(encodedTerms: Uint8Array): Uint8Array {
  return sha256(encodedTerms)
}

/** `c = HMAC(salt, H(terms))`; 32 bytes. Protocol §4. */
export function termsCommitment(salt: Uint8Array, encodedTerms: Uint8Array): Uint8Array {
  return hmacBytes(salt, sha256(encodedTerms))
}

/** Arguments of `consent/grant`. */
export function grantArgs(
  encodedTerms: Uint8Array,
  salt: Uint8Array,
): { g: Uint8Array; c: Uint8Array; k: Uint8Array; na: number } {
  const { g, controller, notAfter } = decodeTerms(encodedTerms)
  return { g, c: termsCommitment(salt, encodedTerms), k: controller, na: roundUpToHour(notAfter) }
}

function linkBytes(terms: Terms, termsHash: Uint8Array): Uint8Array {
  return encode({ g: terms.g, k: terms.controller, terms: termsHash })
}

/** The link key registered at the custodian says whose record the terms mean. Type `terms-link`; 64 bytes. */
export function signTermsLink(
  linkKey: SigningKey,
  chainId: Uint8Array,
  encodedTerms: Uint8Array,
): Uint8Array {
  return signAs(linkKey, 'terms-link', chainId, linkBytes(decodeTerms(encodedTerms), sha256(encodedTerms)))
}

export function verifyTermsLink(
  linkKey: Uint8Array,
  chainId: Uint8Array,
  encodedTerms: Uint8Array,
  sig: Uint8Array,
): boolean {
  const bytes = linkBytes(decodeTerms(encodedTerms), sha256(encodedTerms))
  return verifyAs(linkKey, 'terms-link', chainId, bytes, sig)
}

const terms = bytes('Encoded terms', { max: 256 * 1024 })
const salt = bytes('Salt of the commitment', { length: 32 })
const v = uint('Form version')

export const custodianPackageSchema = object('Terms for the custodian', {
  v,
  terms,
  salt,
  link: object('Whose record', {
    key: bytes('Link key registered at the custodian', { length: 32 }),
    sig: bytes('Type terms-link', { length: 64 }),
  }),
})
export const granteePackageSchema = object('Terms for the grantee', { v, terms, salt })
export type CustodianPackage = Infer<typeof custodianPackageSchema>
export type GranteePackage = Infer<typeof granteePackageSchema>

const PACKAGE_MAX_BYTES = 300 * 1024

function sealInfo(chainId: Uint8Array, g: Uint8Array, role: 'custodian' | 'grantee'): Uint8Array {
  return tuple('salus/terms/v1', chainId, g, role)
}

interface Sealing {
  /** Recipient's X-Wing public key. */
  readonly to: Uint8Array
  readonly chainId: Uint8Array
  readonly g: Uint8Array
  readonly random: Random
}

/** Step 4 of Create: only the custodian can open it, and only as this grant's. Protocol §4. */
export function sealForCustodian(pack: CustodianPackage, { to, chainId, g, random }: Sealing): Uint8Array {
  const plaintext = encodeForm(custodianPackageSchema, pack)
  return sealTo({ to, info: sealInfo(chainId, g, 'custodian'), plaintext, random })
}

export function sealForGrantee(pack: GranteePackage, { to, chainId, g, random }: Sealing): Uint8Array {
  const plaintext = encodeForm(granteePackageSchema, pack)
  return sealTo({ to, info: sealInfo(chainId, g, 'grantee'), plaintext, random })
}

interface Opening {
  readonly key: SealKeyPair
  readonly chainId: Uint8Array
  readonly g: Uint8Array
  readonly sealed: Uint8Array
}

/** Throws AppError `OPEN_FAILED`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function openForCustodian({ key, chainId, g, sealed }: Opening): CustodianPackage {
  const plaintext = openSealed({ key, info: sealInfo(chainId, g, 'custodian'), sealed })
  return decodeForm(custodianPackageSchema, plaintext, { maxBytes: PACKAGE_MAX_BYTES, version: 1 })
}

export function openForGrantee({ key, chainId, g, sealed }: Opening): GranteePackage {
  const plaintext = openSealed({ key, info: sealInfo(chainId, g, 'grantee'), sealed })
  return decodeForm(granteePackageSchema, plaintext, { maxBytes: PACKAGE_MAX_BYTES, version: 1 })
}

/** The grant as final on the ledger. */
export interface LedgerGrant {
  readonly c: Uint8Array
  /** Current controller; the one in the terms made the grant, a rotation may have replaced it. */
  readonly k: Uint8Array
  readonly na: number
  readonly state: 'active' | 'revoked' | 'expired'
}

/** Whether terms and salt are those of the ledger's grant. */
export function matchesGrant(grant: LedgerGrant, encodedTerms: Uint8Array, saltBytes: Uint8Array): boolean {
  return (
    equal(grant.c, termsCommitment(saltBytes, encodedTerms)) &&
    grant.na === roundUpToHour(decodeTerms(encodedTerms).notAfter)
  )
}

/**
 * What the grantee checks before it accepts (step 5 of Create): commitment, party, its own name for the patient,
 * text. Throws AppError `TERMS_REFUSED` or `TEXT_MISMATCH`; the custodian's check is part of `decide`.
 */
export function checkAsGrantee(input: {
  readonly pack: GranteePackage
  readonly grant: LedgerGrant
  readonly org: string
  readonly knowsSub: (sub: Uint8Array) => boolean
  readonly kinds?: ConditionKinds
}): Terms {
  const decoded = decodeTerms(input.pack.terms)
  const refuse = (field: string, rule: string): never => {
    throw new AppError('TERMS_REFUSED', `${field}: ${rule}`, { field })
  }
  if (!matchesGrant(input.grant, input.pack.terms, input.pack.salt))
    refuse('c', 'is not the commitment on the ledger')
  if (input.grant.state !== 'active') refuse('g', 'is not active')
  if (decoded.grantee.org !== input.org) refuse('grantee', 'is another organisation')
  if (!input.knowsSub(decoded.sub)) refuse('sub', 'names nobody here')
  checkText(decoded, input.kinds ?? noConditions)
  return decoded
}

/** What the grantee returns to custodian and home. Type `accept`. */
export const acceptanceSchema = object('Acceptance of terms', {
  v,
  g: bytes('Grant', { length: 16 }),
  terms: bytes('H(terms)', { length: 32 }),
  org: text('Grantee', { min: 1, max: 64 }),
  time: uint('ms UTC'),
  note: optional(text('For people', { max: 256 })),
})
export type Acceptance = Infer<typeof acceptanceSchema>

export function signAcceptance(key: SigningKey, chainId: Uint8Array, acceptance: Acceptance): SignedForm {
  return signForm(acceptanceSchema, acceptance, { key, type: 'accept', chainId })
}

/** Throws AppError `BAD_SIGNATURE`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function openAcceptance(publicKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): Acceptance {
  return openForm(acceptanceSchema, signed, {
    publicKey,
    type: 'accept',
    chainId,
    maxBytes: 4_096,
    version: 1,
  })
}
