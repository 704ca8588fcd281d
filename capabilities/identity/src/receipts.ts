import {
  bytes,
  hmacBytes,
  type Infer,
  list,
  oneOf,
  openForm,
  optional,
  type SignedForm,
  type SigningKey,
  sha256,
  signForm,
  text,
  uint,
  variant,
} from '@salus/core'

const org = text('Organisation that signs', { min: 1, max: 63 })
const common = {
  v: uint('Form version'),
  org,
  sub: bytes('The person as this organisation knows her', { length: 32 }),
  time: uint('ms UTC'),
  requestId: bytes('The request that this answers', { length: 16 }),
}
const method = oneOf('How keys were destroyed', ['destroyed-in-KMS', 'rewritten'])

/** What an organisation signs about data that went or that stays; type `receipt`. Protocol §7. */
export const receiptSchema = variant('A receipt', 'kind', {
  erasure: {
    ...common,
    method,
    /** Objects, wraps, salts, tokens, deposits and replicas of these versions are gone. */
    objects: list(bytes('Object', { length: 16 }), { max: 10_000 }),
    more: optional(bytes('H over all objects in ascending order, where they are more', { length: 32 })),
    count: uint('Versions erased'),
    keystoreGeneration: uint('KSK generation that no longer exists'),
  },
  refusal: {
    ...common,
    count: uint('Versions that stay'),
    effect: oneOf('What happens instead', ['restrict', 'keep']),
    basis: text('Law that demands it', { min: 1, max: 512 }),
    retainUntil: text('Day on which they are destroyed, YYYY-MM-DD', { min: 10, max: 10 }),
  },
  deletion: {
    ...common,
    what: oneOf('What the host deleted', ['hosted-keys', 'replica', 'link', 'recovery-half']),
    method,
  },
})
export type Receipt = Infer<typeof receiptSchema>
export type ErasureReceipt = Extract<Receipt, { kind: 'erasure' }>

export function signReceipt(key: SigningKey, chainId: Uint8Array, receipt: Receipt): SignedForm {
  return signForm(receiptSchema, receipt, { key, type: 'receipt', chainId })
}

/** Throws AppError `BAD_SIGNATURE`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`. */
export function openReceipt(publicKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): Receipt {
  const limits = { maxBytes: 512 * 1024, version: 1 }
  return openForm(receiptSchema, signed, { publicKey, type: 'receipt', chainId, ...limits })
}

/** Arguments of `records/erased`: `c = HMAC(salt, H(receipt))`, `e` = first 16 B of `H(c)`. */
export function erasedArgs(signed: SignedForm, salt: Uint8Array): { e: Uint8Array; c: Uint8Array } {
  const c = hmacBytes(salt, sha256(signed.bytes))
  return { e: sha256(c).slice(0, 16), c }
}
