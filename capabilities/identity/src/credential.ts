import {
  bytes,
  decodeForm,
  encodeForm,
  hmacBytes,
  type Infer,
  list,
  object,
  openForm,
  optional,
  type SignedForm,
  type SigningKey,
  signForm,
  text,
  uint,
} from '@salus/core'

const id = (doc: string) => text(doc, { min: 1, max: 64 })

/** What an organisation says of its practitioner. Its status is on the ledger under `h`. Protocol §11. */
export const credentialSchema = object('A practitioner’s credential', {
  v: uint('Form version'),
  issuer: id('Organisation'),
  practitioner: id('Practitioner, opaque'),
  cnf: bytes('Key the practitioner holds: Ed25519, 32 B, or compressed P-256, 33 B', { min: 32, max: 33 }),
  roles: list(id('Role'), { min: 1, max: 16 }),
  licence: optional(
    object('Licence', {
      authority: text('Who licensed', { min: 1, max: 128 }),
      number: text('Number', { min: 1, max: 64 }),
    }),
  ),
  until: uint('Ends, ms UTC'),
})
export type Credential = Infer<typeof credentialSchema>

const MAX_BYTES = 8_192

/** Signed by the issuing organisation, type `statement`. */
export function signCredential(key: SigningKey, chainId: Uint8Array, credential: Credential): SignedForm {
  return signForm(credentialSchema, credential, { key, type: 'statement', chainId })
}

/** Throws AppError `BAD_SIGNATURE`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function openCredential(issuerKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): Credential {
  const limits = { maxBytes: MAX_BYTES, version: 1 }
  return openForm(credentialSchema, signed, { publicKey: issuerKey, type: 'statement', chainId, ...limits })
}

/** `h = HMAC(salt, credential)` over the encoded credential; 32 bytes. It names the credential everywhere. */
export function credentialId(salt: Uint8Array, encoded: Uint8Array): Uint8Array {
  return hmacBytes(salt, encoded)
}

/** What custodians go by: status on the ledger, and the credential's own end where they hold it. */
export function credentialIsValid(
  credential: Credential,
  row: { readonly issuer: string; readonly status: string } | undefined,
  latestMs: number,
): boolean {
  return row?.status === 'active' && row.issuer === credential.issuer && latestMs < credential.until
}

export function encodeCredential(credential: Credential): Uint8Array {
  return encodeForm(credentialSchema, credential)
}

export function decodeCredential(encoded: Uint8Array): Credential {
  return decodeForm(credentialSchema, encoded, { maxBytes: MAX_BYTES, version: 1 })
}
