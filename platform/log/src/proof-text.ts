import { AppError, formatTlogProof, parseTlogProof, type TlogProof } from '@salus/core'

/** Reads a proof that is written in the one canonical way and carries nothing unauthenticated. Throws AppError. */
export function canonicalProof(text: string): TlogProof {
  const proof = parseTlogProof(text)
  if (proof.extra !== undefined || formatTlogProof(proof) !== text)
    throw new AppError('RECEIPT', 'the proof text is not canonical, or carries extra data')
  return proof
}
