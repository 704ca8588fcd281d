import {
  batchSender,
  encodeVersion,
  hmac,
  type Random,
  readHeader,
  sealObject,
  sha256,
  toBase64url,
  wrapKey,
} from '@salus/core'
import { compartmentPublicKey, currentEpoch, type Keyring } from '@salus/keys'
import { type Connection, sendForJson } from '@salus/sdk'
import { versionLeaf } from '../ingest/seal-version.ts'
import type { OwnVersionForm } from '../own-record/patient-made.ts'

/** A version that its owner makes: the text is final, with `id` and `meta`, and is never serialised again. */
export interface OwnEntry {
  /** Opaque id of the record, 16 B, the same for all of its versions. */
  readonly record: Uint8Array
  /** `Type/id`. */
  readonly recordId: string
  readonly version: number
  /** Digest of the version before. */
  readonly prev?: Uint8Array
  readonly json: Uint8Array
}

/** The salt of an own version's leaf follows from its data key, so whoever opens the version can prove it. */
export function ownLeafSalt(dek: Uint8Array): Uint8Array {
  return hmac(dek, 'salus/own-leaf/v1')
}

/** Seals an entry on the device, to the owner's patient-made compartment. The organisation gets no key of it. */
export function sealOwnEntry(
  entry: OwnEntry,
  {
    keyring,
    chainId,
    random,
  }: { readonly keyring: Keyring; readonly chainId: Uint8Array; readonly random: Random },
): OwnVersionForm {
  const { record, recordId, version, prev, json } = entry
  const { comp } = keyring.sections['patient-made']
  const { epoch } = currentEpoch(keyring, 'patient-made')
  const [oid, dek, batch] = [random(16), random(32), random(16)]
  const plaintext = encodeVersion({ recordId, version, prev: prev ?? null, json })
  const object = sealObject({ oid, dek, comp, epoch, plaintext, random })
  const to = compartmentPublicKey(keyring, 'patient-made')
  const { enc, key } = batchSender({ to, chainId, comp, epoch, batchId: batch, random })
  const { headerHash } = readHeader(object)
  const wrap = wrapKey({ kek: key, dek, oid, headerHash, use: 'owner', random })
  const leaf = versionLeaf(ownLeafSalt(dek), { recordId, version, digest: sha256(json) })
  return { object, record, version, batch, enc, wrap, leaf }
}

/** Stores a sealed entry at an organisation (a session of the owner there). */
export async function storeOwnEntry(
  connection: Connection,
  form: OwnVersionForm,
): Promise<{ leafIndex: number }> {
  const { version, ...parts } = form
  const encoded = Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, toBase64url(value)]))
  return (await sendForJson(connection, 'POST', '/me/records', { json: { ...encoded, version } })) as {
    leafIndex: number
  }
}
