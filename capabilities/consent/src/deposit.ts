import {
  AppError,
  bytes,
  concat,
  decodeForm,
  encodeForm,
  gcmOpen,
  gcmSeal,
  hkdf,
  hmacBytes,
  type Infer,
  list,
  object,
  openSealed,
  type Random,
  type SealKeyPair,
  sealTo,
  text,
  tuple,
  uint,
  utf8,
} from '@salus/core'

/** A deposit names at most this many objects; more are several deposits. */
export const DEPOSIT_MAX_ENTRIES = 20_000
const KEY_INFO = utf8('salus/deposit/v1')

/** What the storing nodes keep: ciphertext keys that none of them can open. Protocol §4, Deposit. */
export const depositSchema = object('A deposit', {
  v: uint('Form version'),
  g: bytes('Grant', { length: 16 }),
  terms: bytes('H(terms)', { length: 32 }),
  nodes: list(text('Storing organisation', { min: 1, max: 64 }), { min: 1, max: 2 }),
  entries: list(
    object('One object', {
      oid: bytes('Object', { length: 16 }),
      entry: bytes('nonce ‖ sealed data key ‖ tag', { length: 60 }),
    }),
    { max: DEPOSIT_MAX_ENTRIES },
  ),
})
export type Deposit = Infer<typeof depositSchema>

export function encodeDeposit(deposit: Deposit): Uint8Array {
  return encodeForm(depositSchema, deposit)
}

export function decodeDeposit(encoded: Uint8Array): Deposit {
  return decodeForm(depositSchema, encoded, { maxBytes: 4 * 1024 * 1024, version: 1 })
}

/** `HMAC(rs, oid)`: all that a storing node ever hands out for an object; 32 bytes. */
export function depositShare(rs: Uint8Array, oid: Uint8Array): Uint8Array {
  return hmacBytes(rs, oid)
}

function entryKey(gs: Uint8Array, shares: readonly Uint8Array[]): Uint8Array {
  return hkdf({ ikm: concat(gs, ...shares), salt: new Uint8Array(0), info: KEY_INFO, lengthBytes: 32 })
}

function granteeInfo(termsHash: Uint8Array): Uint8Array {
  return termsHash
}

function nodeInfo(chainId: Uint8Array, g: Uint8Array, termsHash: Uint8Array, org: string): Uint8Array {
  return tuple('salus/deposit-share/v1', chainId, g, termsHash, org)
}

/**
 * Makes a deposit: whoever holds the data keys, one storing node or two. No node can open an entry alone, nor can the
 * grantee; with two nodes both must hand out their share. Protocol §4.
 */
export function makeDeposit(input: {
  readonly chainId: Uint8Array
  readonly g: Uint8Array
  readonly termsHash: Uint8Array
  readonly objects: readonly { readonly oid: Uint8Array; readonly dek: Uint8Array }[]
  readonly granteeSealKey: Uint8Array
  readonly nodes: readonly { readonly org: string; readonly sealKey: Uint8Array }[]
  readonly random: Random
}): {
  readonly deposit: Deposit
  readonly forGrantee: Uint8Array
  readonly forNodes: readonly { readonly org: string; readonly sealed: Uint8Array }[]
} {
  const { chainId, g, termsHash, nodes, random } = input
  if (nodes.length < 1 || nodes.length > 2)
    throw new AppError('DEPOSIT', 'nodes: name one storing node or two')
  const gs = random(32)
  const secrets = nodes.map(() => random(32))
  const entries = input.objects.map(({ oid, dek }) => {
    const key = entryKey(
      gs,
      secrets.map((rs) => depositShare(rs, oid)),
    )
    return { oid, entry: gcmSeal({ key, aad: concat(g, oid), plaintext: dek, random }) }
  })
  const forNodes = nodes.map(({ org, sealKey }, i) => ({
    org,
    sealed: sealTo({
      to: sealKey,
      info: nodeInfo(chainId, g, termsHash, org),
      plaintext: secrets[i] as Uint8Array,
      random,
    }),
  }))
  return {
    deposit: { v: 1, g, terms: termsHash, nodes: nodes.map(({ org }) => org), entries },
    forGrantee: sealTo({ to: input.granteeSealKey, info: granteeInfo(termsHash), plaintext: gs, random }),
    forNodes,
  }
}

/** `gs`, at the grantee. Throws AppError `OPEN_FAILED`. */
export function openGranteeSecret(key: SealKeyPair, termsHash: Uint8Array, sealed: Uint8Array): Uint8Array {
  return openSealed({ key, info: granteeInfo(termsHash), sealed })
}

/** `rs`, at a storing node. Throws AppError `OPEN_FAILED`. */
export function openNodeSecret(input: {
  readonly key: SealKeyPair
  readonly chainId: Uint8Array
  readonly g: Uint8Array
  readonly termsHash: Uint8Array
  readonly org: string
  readonly sealed: Uint8Array
}): Uint8Array {
  const info = nodeInfo(input.chainId, input.g, input.termsHash, input.org)
  return openSealed({ key: input.key, info, sealed: input.sealed })
}

/**
 * The data key of one object, from `gs`, its entry, and the share of every storing node in the deposit's order.
 * Throws AppError `OPEN_FAILED`.
 */
export function openDepositEntry(input: {
  readonly g: Uint8Array
  readonly entry: Deposit['entries'][number]
  readonly gs: Uint8Array
  readonly shares: readonly Uint8Array[]
}): Uint8Array {
  const { g, gs, shares } = input
  const { oid, entry } = input.entry
  return gcmOpen({ key: entryKey(gs, shares), aad: concat(g, oid), sealed: entry })
}
