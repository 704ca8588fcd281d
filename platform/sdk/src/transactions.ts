import {
  AppError,
  type AuthItem,
  bytes,
  equal,
  fromBase64url,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  text,
  toBase64url,
  uint,
} from '@salus/core'
import type { Item } from '@salus/ledger'
import { type Connection, sendFor, sendForJson } from './connection.ts'

export const txStatusForm = object('Where a body is', {
  state: oneOf('How far it came', ['queued', 'bundled', 'final', 'unknown']),
  height: optional(uint('Block that holds it')),
  index: optional(uint('Its place among the results of that block')),
  code: optional(uint('0 when it took effect')),
  name: optional(text('Name of the code', { max: 64 })),
})
export type TxStatus = Infer<typeof txStatusForm>

export const acceptanceForm = object('The sponsor says that it took the body', {
  txId: bytes('Id of the body', { length: 32 }),
  acceptance: bytes('What the sponsor signed, DAG-CBOR', { max: 1_024 }),
  sig: bytes('Signature of the sponsor, type statement', { length: 64 }),
})
export type TxAcceptance = Infer<typeof acceptanceForm>

/** A body as JSON carries it. */
export const itemForm = object('A signed body', {
  body: bytes('Strict DAG-CBOR of the body', { min: 1, max: 32 * 1024 }),
  auth: list(bytes('Ed25519 signature', { length: 64 }), { min: 1, max: 8 }),
})

/** A body whose keys are all Ed25519, as the forms of patients are, in its JSON shape. */
export function itemJson(item: Item): { readonly body: string; readonly auth: readonly string[] } {
  return { body: toBase64url(item.body), auth: item.auth.map(authText) }
}

function authText(auth: AuthItem): string {
  if (!(auth instanceof Uint8Array))
    throw new AppError('BAD_REQUEST', 'auth: a passkey assertion is sent by POST /tx as an object, not here')
  return toBase64url(auth)
}

/** Hands a signed body to the node as its sponsor. The same body may be given to another node: it runs once. */
export async function submit(
  connection: Connection,
  item: Item & { readonly txId: Uint8Array },
): Promise<TxAcceptance> {
  const accepted = await sendFor(connection, 'POST', '/tx', acceptanceForm, { json: itemJson(item) })
  if (!equal(accepted.txId, item.txId))
    throw new AppError('BAD_REPLY', 'txId: the node answers for another body; give it to another node')
  return accepted
}

/** Where a body is; waits up to `waitMs` for it to become final. */
export async function txStatus(connection: Connection, txId: Uint8Array, waitMs = 0): Promise<TxStatus> {
  return sendFor(connection, 'GET', `/tx/${toBase64url(txId)}?wait=${waitMs}`, txStatusForm)
}

/**
 * Waits until a body is final. Throws AppError `TX_REJECTED` (with `code` and `name` in its data) when the ledger said
 * no, `TX_NOT_FINAL` when it is not final within `waitMs`.
 */
export async function waitFinal(
  connection: Connection,
  txId: Uint8Array,
  waitMs = 15_000,
): Promise<{ readonly height: number; readonly index: number }> {
  const status = await txStatus(connection, txId, waitMs)
  if (status.state !== 'final' || status.height === undefined || status.index === undefined)
    throw new AppError(
      'TX_NOT_FINAL',
      'tx: not final yet; ask again, or give the same body to another organisation',
    )
  if (status.code !== 0)
    throw new AppError('TX_REJECTED', `tx: the ledger rejected it (${status.name ?? status.code})`, {
      code: status.code,
      name: status.name,
    })
  return { height: status.height, index: status.index }
}

/** Submits a body and waits until it is final. */
export async function execute(
  connection: Connection,
  item: Item & { readonly txId: Uint8Array },
  waitMs = 15_000,
): Promise<{ readonly height: number; readonly index: number }> {
  await submit(connection, item)
  return waitFinal(connection, item.txId, waitMs)
}

export const headForm = object('The head of the ledger, as this node executed it', {
  height: uint('Height'),
  timeMs: uint('Block time, ms UTC'),
  stateRoot: bytes('Root of the state', { length: 32 }),
})

export async function head(connection: Connection): Promise<Infer<typeof headForm>> {
  return sendFor(connection, 'GET', '/ledger/head', headForm)
}

/** The chain id and the genesis bytes of a node; the caller compares the id with the one it trusts. */
export async function genesisOf(connection: Connection): Promise<Uint8Array> {
  const answer = (await sendForJson(connection, 'GET', '/genesis')) as { genesis?: unknown }
  return fromBase64url(String(answer.genesis))
}
