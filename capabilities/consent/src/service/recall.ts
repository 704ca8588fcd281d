import {
  bytes,
  type Infer,
  object,
  openForm,
  type SignedForm,
  type SigningKey,
  signForm,
  text,
  uint,
} from '@salus/core'

/** What a grantee signs when a custodian recalls: nothing opened under the grant is held any more. Protocol §4. */
export const recalledSchema = object('Keys and plaintext under a grant are dropped', {
  v: uint('Form version'),
  g: bytes('Grant', { length: 16 }),
  org: text('Grantee', { min: 1, max: 64 }),
  dropped: uint('How many versions were held'),
  time: uint('ms UTC'),
})
export type Recalled = Infer<typeof recalledSchema>

export function signRecalled(key: SigningKey, chainId: Uint8Array, recalled: Recalled): SignedForm {
  return signForm(recalledSchema, recalled, { key, type: 'statement', chainId })
}

/** Throws AppError `BAD_SIGNATURE`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function openRecalled(publicKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): Recalled {
  const limits = { maxBytes: 1_024, version: 1 }
  return openForm(recalledSchema, signed, { publicKey, type: 'statement', chainId, ...limits })
}
