import { describe, expect, it } from 'vitest'
import { readVectors } from '../test/vectors.ts'
import { fromHex, toHex, utf8 } from './bytes.ts'
import { isAppError } from './errors.ts'
import { leafHash } from './merkle.ts'
import { parseVerifierKey } from './note.ts'
import { formatTlogProof, parseTlogProof, type TlogProof, verifyTlogProof } from './tlog-proof.ts'

interface ProofVector {
  readonly text: string
  readonly leaf: string
  readonly index: number
  readonly size: number
  readonly extra?: string
  readonly cosignedAtSeconds: number
}
const { proofs } = readVectors<{
  proofs: {
    origin: string
    log: string
    cosigner: string
    good: ProofVector[]
    bad: { rule: string; text: string }[]
  }
}>('notes.json')
const log = parseVerifierKey(proofs.log)
const cosigner = parseVerifierKey(proofs.cosigner)
const claimOf = ({ text, leaf }: ProofVector) => ({
  proof: parseTlogProof(text),
  leafHash: leafHash(fromHex(leaf)),
  origin: proofs.origin,
  log,
  cosigners: [cosigner],
})
const refused = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return isAppError(error) ? error.code : error
  }
  return undefined
}

describe('tlog-proof', () => {
  it.each(proofs.good)('reads, writes and verifies index $index of $size', (vector) => {
    const proof = parseTlogProof(vector.text)
    expect(proof.index).toBe(vector.index)
    expect(proof.extra === undefined ? undefined : toHex(proof.extra)).toBe(vector.extra)
    expect(parseTlogProof(utf8(vector.text))).toEqual(proof)
    expect(formatTlogProof(proof)).toBe(vector.text)
    const { checkpoint, signedBy } = verifyTlogProof(claimOf(vector))
    expect(checkpoint.size).toBe(vector.size)
    expect(signedBy).toEqual([{ key: cosigner, timeSeconds: vector.cosignedAtSeconds }])
  })

  it.each(proofs.bad)('refuses $rule', ({ text }) => {
    expect(refused(() => parseTlogProof(text))).toMatch(/^(TLOG_PROOF|NOTE)$/)
  })

  it('does not verify for another leaf, index, log, origin or without the log’s signature', () => {
    const claim = claimOf(proofs.good[0] as ProofVector)
    const verify = (change: Partial<typeof claim>) => refused(() => verifyTlogProof({ ...claim, ...change }))
    const change = (part: Partial<TlogProof>) => ({ proof: { ...claim.proof, ...part } })
    expect(verify({})).toBeUndefined()
    expect(verify({ leafHash: leafHash(utf8('other')) })).toBe('TLOG_PROOF')
    expect(verify(change({ index: 4 }))).toBe('TLOG_PROOF')
    expect(verify(change({ hashes: claim.proof.hashes.slice(1) }))).toBe('TLOG_PROOF')
    expect(verify({ origin: 'log.example/other' })).toBe('TLOG_PROOF')
    expect(verify({ log: { ...log, name: 'log.example/other' } })).toBe('NOTE_SIGNATURE')
    const withoutLog = claim.proof.checkpoint.replace(new RegExp(`\u2014 ${proofs.origin} .*\n`), '')
    expect(verify(change({ checkpoint: withoutLog }))).toBe('NOTE_SIGNATURE')
  })

  it('does not write what it would not read', () => {
    const good = parseTlogProof((proofs.good[0] as ProofVector).text)
    expect(refused(() => formatTlogProof({ ...good, index: -1 }))).toBe('TLOG_PROOF')
    expect(refused(() => formatTlogProof({ ...good, hashes: [new Uint8Array(31)] }))).toBe('TLOG_PROOF')
    expect(refused(() => formatTlogProof({ ...good, checkpoint: 'text\n' }))).toBe('NOTE')
    expect(refused(() => formatTlogProof({ ...good, extra: new Uint8Array(64 * 1024) }))).toBe('TLOG_PROOF')
    expect(refused(() => parseTlogProof('x'.repeat(600_000)))).toBe('TLOG_PROOF')
    expect(refused(() => parseTlogProof(new Uint8Array([0xff])))).toBe('TLOG_PROOF')
  })
})
