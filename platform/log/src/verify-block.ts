import { AppError, leafHash, openCheckpoint, verifiedSignatures, verifyInclusion } from '@salus/core'
import type { BlockLeaf } from '@salus/ledger'
import { blockLogKeys, cosignersOf, type Membership, outsiders, quorumRule } from './membership.ts'
import { blockLogOrigin } from './names.ts'
import { canonicalProof } from './proof-text.ts'
import type { ReceiptBlock } from './receipt.ts'

/**
 * A block leaf in the block log, under a checkpoint that a quorum of organisations has cosigned (protocol §11).
 * @returns whether a witness has cosigned too, where one is needed
 * @throws `AppError` naming what is missing
 */
export function verifyBlock(
  { leaf, proof: text }: ReceiptBlock,
  { height }: BlockLeaf,
  chainId: Uint8Array,
  membership: Membership,
): { readonly isWitnessed: boolean; readonly found: string } {
  const proof = canonicalProof(text)
  const expected = blockLogOrigin(chainId)
  const { checkpoint, note } = openCheckpoint(proof.checkpoint, blockLogKeys(membership, expected))
  const { origin, size, root } = checkpoint
  if (origin !== expected) throw new AppError('RECEIPT', 'the checkpoint is not of this network’s block log')
  if (proof.index !== height)
    throw new AppError('RECEIPT', 'the block log holds block h as its leaf h, genesis first')
  if (!verifyInclusion({ leafHash: leafHash(leaf), index: proof.index, size, proof: proof.hashes, root }))
    throw new AppError('RECEIPT', 'the block is not in the block log')
  // Whoever held a key at some height from the block to the checkpoint may have cosigned it. Each organisation counts once.
  const cosigners = cosignersOf(membership, height, size - 1).filter(
    ({ keys }) => verifiedSignatures(note, keys).length > 0,
  )
  const { quorum, needsWitness, count } = quorumRule(membership)
  const signed = `${cosigners.length} of ${count} organisations have cosigned`
  if (cosigners.length < quorum) throw new AppError('RECEIPT', `${signed}, ${quorum} are needed`)
  const witnesses = verifiedSignatures(note, outsiders(membership)).map(({ key }) => key.name)
  const isWitnessed = !needsWitness || witnesses.length > 0
  const witnessed =
    witnesses.length > 0 ? `, witnessed by ${witnesses.join(', ')}` : needsWitness ? ', not witnessed' : ''
  return {
    isWitnessed,
    found: `height ${height} under a checkpoint of ${size} blocks; ${signed}${witnessed}`,
  }
}
