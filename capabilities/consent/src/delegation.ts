import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  equal,
  hmacBytes,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  type SigningKey,
  sha256,
  signAs,
  text,
  uint,
  verifyAs,
} from '@salus/core'
import { isLedgerIdOf, roundUpToHour } from '../contract/ids.ts'
import type { SignedMandate, Terms } from './terms.ts'
import { ACTIONS, COMPARTMENTS } from './vocabulary.ts'

/** What a delegate may do in the patient's place. The ledger holds a commitment to it. Protocol §6. */
export const mandateSchema = object('A mandate', {
  v: uint('Form version'),
  d: bytes('Delegation: first 16 B of H(k)', { length: 16 }),
  scope: object('What the delegate may share and see', {
    compartments: list(oneOf('Category', COMPARTMENTS), { min: 1, max: COMPARTMENTS.length }),
    actions: list(oneOf('Action', ACTIONS), { min: 1, max: ACTIONS.length }),
  }),
  until: uint('Ends, ms UTC, not included: the 18th birthday, say'),
  evidence: object('Why', {
    kind: oneOf('Kind', ['parental-responsibility', 'guardianship', 'power-of-attorney', 'patient-choice']),
    hash: optional(bytes('Hash of the document', { length: 32 })),
    note: optional(text('Reference for whoever checks; no names', { max: 128 })),
  }),
})
export type Mandate = Infer<typeof mandateSchema>

/** Throws AppError `SCHEMA`. */
export function encodeMandate(mandate: Mandate): Uint8Array {
  return encodeForm(mandateSchema, mandate)
}

/** Throws AppError `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function decodeMandate(encoded: Uint8Array): Mandate {
  return decodeForm(mandateSchema, encoded, { maxBytes: 16_384, version: 1 })
}

/** Signs a mandate with the controller of its delegation, type `mandate`. */
export function signMandate(input: {
  readonly mandate: Mandate
  readonly salt: Uint8Array
  readonly controller: SigningKey
  readonly chainId: Uint8Array
}): SignedMandate {
  const mandate = encodeMandate(input.mandate)
  if (!isLedgerIdOf(input.mandate.d, input.controller.publicKey)) {
    throw new AppError('MANDATE', 'd: must be the first 16 bytes of H(controller key)')
  }
  return {
    mandate,
    salt: input.salt,
    k: input.controller.publicKey,
    sig: signAs(input.controller, 'mandate', input.chainId, mandate),
  }
}

/** Arguments of `consent/delegate` for a signed mandate. */
export function delegateArgs(signed: SignedMandate): {
  d: Uint8Array
  c: Uint8Array
  k: Uint8Array
  na: number
} {
  const { d, until } = decodeMandate(signed.mandate)
  return { d, c: hmacBytes(signed.salt, sha256(signed.mandate)), k: signed.k, na: roundUpToHour(until) }
}

/** The delegation as final on the ledger. */
export interface LedgerDelegation {
  readonly c: Uint8Array
  readonly k: Uint8Array
  readonly na: number
  readonly state: 'active' | 'revoked' | 'expired'
}

/** Whether the signature, the id and the ledger's commitment all belong to this mandate. */
export function mandateIsProven(
  signed: SignedMandate,
  delegation: LedgerDelegation,
  chainId: Uint8Array,
): boolean {
  try {
    const mandate = decodeMandate(signed.mandate)
    const args = delegateArgs(signed)
    return (
      isLedgerIdOf(mandate.d, signed.k) &&
      equal(delegation.k, signed.k) &&
      equal(delegation.c, args.c) &&
      delegation.na === args.na &&
      verifyAs(signed.k, 'mandate', chainId, signed.mandate, signed.sig)
    )
  } catch {
    return false
  }
}

/** Whether terms stay inside a mandate: categories, actions and end. */
export function mandateCovers(mandate: Mandate, terms: Terms): boolean {
  return (
    terms.scope.compartments.every((name) => mandate.scope.compartments.includes(name)) &&
    terms.actions.every((action) => mandate.scope.actions.includes(action)) &&
    terms.notAfter <= mandate.until
  )
}
