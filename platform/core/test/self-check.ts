import {
  batchReceiver,
  batchSender,
  checkSignatureAcceptance,
  decodeVersion,
  encodeVersion,
  fromHex,
  hash,
  hkdf,
  hmac,
  inclusionProof,
  leafHash,
  objectAddress,
  openObject,
  openSealed,
  type Random,
  readHeader,
  rootOfHashes,
  sealKeyPair,
  sealObject,
  sealTo,
  sha256,
  signAs,
  signingKey,
  toHex,
  txIdOf,
  unwrapKey,
  utf8,
  verifyAs,
  verifyInclusion,
  wrapKey,
} from '@salus/core'
import { repeatable } from './randomness.ts'

// Runs on Node and, bundled, in a browser. Only strings cross the border.

const chainId = sha256(utf8('self-check'))
const info = utf8('self-check')

/** What must come out the same everywhere: name to hex. */
export function transcript(): Record<string, string> {
  checkSignatureAcceptance()
  const random = repeatable('transcript')
  const key = signingKey(random(32))
  const signature = signAs(key, 'tx', chainId, info)
  const pair = sealKeyPair(random(32))
  const [oid, comp, dek] = [random(16), random(16), random(32)] as [Uint8Array, Uint8Array, Uint8Array]
  const version = encodeVersion({ recordId: 'Patient/1', version: 1, prev: null, json: utf8('{"a":1.0}') })
  const small = sealObject({ oid, dek, comp, epoch: 1, plaintext: version, random })
  const large = sealObject({
    oid,
    dek,
    comp,
    epoch: 1,
    plaintext: new Uint8Array(1024 * 1024 + 5).fill(7),
    random,
  })
  const target = { chainId, comp, epoch: 1, batchId: random(16) }
  const batch = batchSender({ ...target, to: pair.publicKey, random })
  const { headerHash } = readHeader(small)
  const wrap = wrapKey({ kek: batch.key, dek, oid, headerHash, use: 'owner', random })
  const leaves = Array.from({ length: 11 }, (_, i) => leafHash(utf8(`leaf ${i}`)))
  const proof = inclusionProof(leaves, 6)
  const root = rootOfHashes(leaves)
  return {
    hash: toHex(hash('a', 1, info)),
    hmac: toHex(hmac(info, 'a', 1)),
    hkdf: toHex(hkdf({ ikm: info, salt: chainId, info, lengthBytes: 77 })),
    publicKey: toHex(key.publicKey),
    signature: toHex(signature),
    txId: toHex(txIdOf(chainId, info)),
    verified: String(verifyAs(key.publicKey, 'tx', chainId, info, signature)),
    refused: String(verifyAs(key.publicKey, 'bundle', chainId, info, signature)),
    sealPublicKey: toHex(pair.publicKey),
    sealed: toHex(sealTo({ to: pair.publicKey, info, plaintext: info, random })),
    object: toHex(small),
    largeAddress: toHex(objectAddress(large)),
    largeOpens: toHex(sha256(openObject(large, dek))),
    enc: toHex(batch.enc),
    batchKeyBack: String(toHex(batchReceiver({ ...target, key: pair, enc: batch.enc })) === toHex(batch.key)),
    wrap: toHex(wrap),
    root: toHex(root),
    proof: proof.map(toHex).join(),
    included: String(verifyInclusion({ leafHash: leaves[6] as Uint8Array, index: 6, size: 11, proof, root })),
    notIncluded: String(
      verifyInclusion({ leafHash: leaves[5] as Uint8Array, index: 6, size: 11, proof, root }),
    ),
  }
}

/** What one side gives the other to open. */
export interface Parcel {
  readonly seed: string
  readonly sealed: string
  readonly object: string
  readonly enc: string
  readonly wrap: string
  readonly publicKey: string
  readonly signature: string
}

/** Seals a text with this side's own randomness. */
export function makeParcel(text: string, random: Random): Parcel {
  const seed = random(32)
  const pair = sealKeyPair(seed)
  const [oid, comp, dek] = [random(16), sha256(info).slice(0, 16), random(32)] as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const plaintext = encodeVersion({ recordId: 'Patient/1', version: 1, prev: null, json: utf8(text) })
  const object = sealObject({ oid, dek, comp, epoch: 1, plaintext, random })
  const batch = batchSender({ chainId, comp, epoch: 1, batchId: oid, to: pair.publicKey, random })
  const { headerHash } = readHeader(object)
  const key = signingKey(random(32))
  return {
    seed: toHex(seed),
    sealed: toHex(sealTo({ to: pair.publicKey, info, plaintext: utf8(text), random })),
    object: toHex(object),
    enc: toHex(batch.enc),
    wrap: toHex(wrapKey({ kek: batch.key, dek, oid, headerHash, use: 'owner', random })),
    publicKey: toHex(key.publicKey),
    signature: toHex(signAs(key, 'request', chainId, object)),
  }
}

/** Opens all of it from the seed alone; gives the text found in the sealed message and in the object. */
export function openParcel(parcel: Parcel): { sealed: string; object: string; signed: boolean } {
  const key = sealKeyPair(fromHex(parcel.seed))
  const object = fromHex(parcel.object)
  const { header, headerHash } = readHeader(object)
  const { oid, comp, epoch } = header
  const kek = batchReceiver({ key, enc: fromHex(parcel.enc), chainId, comp, epoch, batchId: oid })
  const dek = unwrapKey({ kek, wrap: fromHex(parcel.wrap), oid, headerHash, use: 'owner' })
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
  return {
    sealed: text(openSealed({ key, info, sealed: fromHex(parcel.sealed) })),
    object: text(decodeVersion(openObject(object, dek)).json),
    signed: verifyAs(fromHex(parcel.publicKey), 'request', chainId, object, fromHex(parcel.signature)),
  }
}

/** `makeParcel` with the browser's own randomness. */
export function makeParcelHere(text: string): Parcel {
  return makeParcel(text, (lengthBytes) => crypto.getRandomValues(new Uint8Array(lengthBytes)))
}
