import { AppError, encode } from '@salus/core'
import {
  decodeBlock,
  decodeBundle,
  type Item,
  type Ledger,
  proveResult,
  type StateProof,
} from '@salus/ledger'
import { type KeyHint, type Receipt, receiptAuth } from '@salus/log'
import type { CommittedBlock, Engine } from './engine.ts'

type TxPart = NonNullable<Receipt['tx']>
type StatePart = NonNullable<Receipt['state']>

/** The body at `index` of a block, and its result's place in `txRoot` (protocol §12). Throws AppError `RECEIPT`. */
export function txPart(block: CommittedBlock, index: number): TxPart {
  const result = block.outcome.results[index]
  if (!result) throw new AppError('RECEIPT', `tx: block ${block.height} has no result ${index}`)
  const { body, auth } = itemAt(block, result.bundle, result.item)
  const { path } = proveResult(block.outcome, index)
  return {
    body,
    auth: receiptAuth(auth),
    code: result.code,
    result: encode(result.result),
    index,
    path: [...path],
  }
}

/** A row of the ledger with its path under a state root. Throws AppError `RECEIPT` where there is no row. */
export function statePart({ key, value, proof }: StateProof): StatePart {
  if (value === undefined) throw new AppError('RECEIPT', 'state: the ledger has no such row at that height')
  return { key, value, siblings: [...proof.siblings] }
}

/**
 * The receipt of a body that is final, or undefined until its block is under a cosigned checkpoint.
 * @throws {AppError} RECEIPT when the block has no such result
 */
export async function txReceipt(
  ledger: Ledger,
  engine: Engine,
  {
    height,
    index,
    keys = [],
  }: { readonly height: number; readonly index: number; readonly keys?: readonly KeyHint[] },
): Promise<Receipt | undefined> {
  const committed = engine.blockAt(height)
  if (!committed) return undefined
  const tx = txPart(committed, index)
  const block = await engine.blockProof(height)
  return block && { v: 1, chain: ledger.chainId, kind: 'tx', tx, block, keys: [...keys] }
}

function itemAt(block: CommittedBlock, bundle: number, item: number): Item {
  const wire = decodeBlock(block.bytes).bundles[bundle]
  const found = wire && decodeBundle(wire).items[item]
  if (!found) throw new AppError('RECEIPT', `tx: block ${block.height} lacks the body of its result`)
  return found
}
