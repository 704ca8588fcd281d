import {
  AppError,
  type AuthItem,
  bytes,
  check,
  fromJson,
  fromUtf8,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  text,
  toJson,
  uint,
} from '@salus/core'

// Protocol §12. Bytes travel as base64url; what is CBOR on the inside stays bytes, so that it is never written again.

const hash = bytes('SHA-256', { length: 32 })
const proofText = text('C2SP tlog-proof', { min: 1, max: 300_000 })

const stateForm = object('A row of the ledger under a state root', {
  key: bytes('DAG-CBOR tuple (contract, table, …parts)', { max: 1_024 }),
  value: bytes('DAG-CBOR of the row', { max: 65_536 }),
  siblings: list(hash, { doc: 'From the end of the path up to the child of the root', max: 256 }),
})
export type ReceiptState = Infer<typeof stateForm>

const blockForm = object('A block in the block log', {
  leaf: bytes('Block leaf', { max: 256 }),
  proof: proofText,
})
export type ReceiptBlock = Infer<typeof blockForm>

const keyHintForm = object('Where keys come from: exactly one member', {
  genesis: optional(bytes('The genesis, whose hash is the genesis id', { max: 524_288 })),
  change: optional(
    object('Members and keys as they are after a block', {
      block: blockForm,
      rows: list(stateForm, { min: 1, max: 256 }),
    }),
  ),
})
export type KeyHint = Infer<typeof keyHintForm>

export const receiptForm = object(
  'A receipt: one fact or one transaction, and the way from it to the genesis id',
  {
    v: uint('Version: 1', { max: 1 }),
    chain: bytes('Genesis id', { length: 32 }),
    kind: oneOf('What is received', ['fact', 'tx']),
    fact: optional(
      object('A fact in an organisation’s log', {
        kind: uint('Kind', { max: 65_535 }),
        fields: bytes('DAG-CBOR list of its fields', { max: 65_536 }),
        salt: optional(bytes('Salt; a tombstone has none', { length: 32 })),
      }),
    ),
    log: optional(proofText),
    tx: optional(
      object('A body and what became of it', {
        body: bytes('Body', { max: 65_536 }),
        auth: list(
          object('Ed25519: sig alone; ES256: all three', {
            authenticatorData: optional(bytes('WebAuthn', { max: 512 })),
            clientDataJSON: optional(bytes('WebAuthn', { max: 1_024 })),
            sig: bytes('Signature', { max: 72 }),
          }),
          { max: 8 },
        ),
        code: uint('Result code, 0 for success', { max: 65_535 }),
        result: bytes('DAG-CBOR of the result', { max: 65_536 }),
        index: uint('Position in the block: which side each hash of the path is on'),
        path: list(hash, { doc: 'RFC 6962 path', max: 64 }),
      }),
    ),
    block: optional(blockForm),
    state: optional(stateForm),
    keys: list(keyHintForm, { doc: 'Hints only: what they say is verified', max: 64 }),
  },
)
export type Receipt = Infer<typeof receiptForm>

const RECEIPT_MAX_BYTES = 1 << 20

/** The content of a `*.receipt.json` file. Throws AppError `RECEIPT` above 1 MiB. */
export function encodeReceipt(receipt: Receipt): string {
  const json = `${JSON.stringify(toJson(receiptForm, receipt), null, 1)}\n`
  checkSize(json.length)
  return json
}

/** Reads a receipt file without believing any of it; at most 1 MiB. Throws AppError `RECEIPT` or `SCHEMA` naming the member. */
export function decodeReceipt(file: string | Uint8Array): Receipt {
  checkSize(file.length)
  let json: unknown
  try {
    json = JSON.parse(typeof file === 'string' ? file : fromUtf8(file))
  } catch (cause) {
    throw new AppError('RECEIPT', 'receipt: must be JSON in UTF-8', {}, { cause })
  }
  return checkReceipt(fromJson(receiptForm, json))
}

/** The receipt, if it has the shape of one. Throws AppError `RECEIPT` or `SCHEMA`. */
export function checkReceipt(value: unknown): Receipt {
  const receipt = check(receiptForm, value)
  if (receipt.v !== 1) throw new AppError('RECEIPT', 'receipt.v: this version is not known; use 1')
  const { kind, fact, log, tx, block, state } = receipt
  const whole =
    kind === 'fact'
      ? fact && log !== undefined && !tx && (block === undefined) === (state === undefined)
      : tx && block && !fact && log === undefined && !state
  if (!whole)
    throw new AppError(
      'RECEIPT',
      'receipt: a fact has fact and log, and block and state once anchored; a tx has tx and block',
    )
  for (const hint of receipt.keys) {
    if ((hint.genesis === undefined) === (hint.change === undefined))
      throw new AppError('RECEIPT', 'receipt.keys: each hint is either a genesis or a change')
  }
  return receipt
}

/** `auth` of a body as a receipt writes it. */
export function receiptAuth(auth: readonly AuthItem[]): NonNullable<Receipt['tx']>['auth'] {
  return auth.map((item) => (item instanceof Uint8Array ? { sig: item } : { ...item }))
}

/** `auth` of a receipt as signatures are verified. */
export function authItems(auth: NonNullable<Receipt['tx']>['auth']): AuthItem[] {
  return auth.map(({ authenticatorData, clientDataJSON, sig }) =>
    authenticatorData && clientDataJSON ? { authenticatorData, clientDataJSON, sig } : sig,
  )
}

function checkSize(sizeBytes: number): void {
  if (sizeBytes > RECEIPT_MAX_BYTES)
    throw new AppError('RECEIPT', `receipt: at most ${RECEIPT_MAX_BYTES} bytes`, { sizeBytes })
}
