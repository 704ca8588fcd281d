import {
  accepts,
  bytes,
  check,
  decode,
  encode,
  fromHex,
  isAppError,
  leafHash,
  list,
  object,
  openCheckpoint,
  optional,
  parseTlogProof,
  parseVerifierKey,
  rootOfHashes,
  sparseRootOf,
  text,
  toHex,
  uint,
  verifySparse,
  verifyTlogProof,
} from '@salus/core'

// Runs on Node and, bundled, in a browser. The vectors come in as JSON text; what comes out must be the same.

interface Tree {
  readonly root: string
  readonly proofs: {
    key: string
    value?: string
    siblings: string[]
    leaf?: { keyHash: string; valueHash: string }
  }[]
}

/** One line per vector file: what was found. */
export function formsReport(files: {
  cbor: string
  merkle: string
  sparse: string
  notes: string
}): string[] {
  const cbor = JSON.parse(files.cbor) as { accept: { hex: string }[]; reject: { hex: string }[] }
  const same = cbor.accept.filter(({ hex }) => toHex(encode(decode(fromHex(hex)))) === hex).length
  const refused = cbor.reject.filter(({ hex }) => throws('CBOR', () => decode(fromHex(hex)))).length

  const merkle = JSON.parse(files.merkle) as { leaves: string[] }
  const root = rootOfHashes(merkle.leaves.map((leaf) => leafHash(fromHex(leaf))))

  const sparse = JSON.parse(files.sparse) as { trees: Tree[] }
  const proven = sparse.trees.flatMap(({ root: treeRoot, proofs }) =>
    proofs.filter(({ key, value, siblings, leaf }) =>
      verifySparse({
        root: fromHex(treeRoot),
        key: fromHex(key),
        value: value === undefined ? undefined : fromHex(value),
        proof: {
          siblings: siblings.map(fromHex),
          ...(leaf && { leaf: { keyHash: fromHex(leaf.keyHash), valueHash: fromHex(leaf.valueHash) } }),
        },
      }),
    ),
  ).length

  const { cosigned, proofs } = JSON.parse(files.notes) as {
    cosigned: { note: string; keys: string[] }
    proofs: { origin: string; log: string; cosigner: string; good: { text: string; leaf: string }[] }
  }
  const signers = openCheckpoint(cosigned.note, cosigned.keys.map(parseVerifierKey)).signedBy.length
  const [log, cosigner] = [parseVerifierKey(proofs.log), parseVerifierKey(proofs.cosigner)]
  const verified = proofs.good.map(
    ({ text: proof, leaf }) =>
      verifyTlogProof({
        proof: parseTlogProof(proof),
        leafHash: leafHash(fromHex(leaf)),
        origin: proofs.origin,
        log,
        cosigners: [cosigner],
      }).checkpoint.size,
  )
  return [
    `cbor ${same}/${cbor.accept.length} ${refused}/${cbor.reject.length}`,
    `merkle ${toHex(root)}`,
    `sparse ${proven} ${toHex(sparseRootOf([]))}`,
    `notes ${signers} ${verified.join(' ')}`,
    `schema ${schemaReport()}`,
  ]
}

function schemaReport(): string {
  const schema = object('A form', {
    id: bytes('Id', { length: 2 }),
    n: list(uint('N', { max: 3 }), { max: 2 }),
    t: optional(text('T', { max: 1 })),
  })
  const good = check(schema, { id: new Uint8Array(2), n: [1, 3] })
  const bad = [
    { ...good, n: [4] },
    { ...good, n: [1, 1, 1] },
    { ...good, t: undefined },
    { ...good, more: 1 },
    null,
  ]
  return bad.map((value) => accepts(schema, value)).join(' ')
}

function throws(code: string, run: () => unknown): boolean {
  try {
    run()
    return false
  } catch (error) {
    return isAppError(error, code)
  }
}
