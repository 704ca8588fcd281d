import type { HeldVersion, Labels } from '@salus/consent'
import {
  AppError,
  batchReceiver,
  decode,
  decodeVersion,
  equal,
  fromUtf8,
  openObject,
  readHeader,
  SUITE,
  sealKeyPair,
  sha256,
  toBase64url,
  toHex,
  unwrapKey,
} from '@salus/core'
import type { Category, Keyring } from '@salus/keys'
import { type Connection, send, sendForCbor } from '@salus/sdk'
import { clinicalDates, compartmentOf, type LooseResource } from '../fhir/index.ts'
import { codesOf } from '../ingest/codes-of.ts'
import { unpackCode } from '../packed-codes.ts'

const OBJECTS_PER_REQUEST = 500
const MAX_OBJECTS_BYTES = 512 * 1024 * 1024

/** One of her versions as a custodian lists it: wraps that her keys open, and no content. */
export interface OwnVersion {
  readonly oid: Uint8Array
  readonly address: Uint8Array
  readonly version: number
  readonly current: boolean
  readonly leafIndex: number
  readonly state: string
  /** Absent for what the custodian has not wrapped for her. */
  readonly wrap: Uint8Array | undefined
  readonly batch:
    | {
        readonly batch: Uint8Array
        readonly comp: Uint8Array
        readonly epoch: number
        readonly enc: Uint8Array
      }
    | undefined
}

/** A version opened on her device, from her own keys. */
export interface OpenedOwnVersion extends OwnVersion {
  readonly recordId: string
  readonly prev: Uint8Array | null
  /** Stored JSON, byte for byte. */
  readonly json: Uint8Array
  /** Whose key opened it: what the custodian labelled it. */
  readonly compartment: Category
}

type Row = Omit<OwnVersion, 'wrap' | 'batch'> & {
  readonly wrap: Uint8Array | null
  readonly batch: Uint8Array | null
}
/** Compartments that a device opens. */
export interface OpenSections {
  readonly sections: Readonly<Partial<Keyring['sections']>>
}

type Batch = NonNullable<OwnVersion['batch']>

/** Lists her versions at a custodian (a session there), in order of arrival; all pages. */
export async function listOwnVersions(connection: Connection): Promise<OwnVersion[]> {
  const versions: OwnVersion[] = []
  let after = 0
  for (;;) {
    const page = (await sendForCbor(connection, 'GET', `/me/versions?after=${after}`)) as unknown as {
      readonly versions: readonly Row[]
      readonly batches: readonly Batch[]
      readonly next: number | null
    }
    const batches = new Map(page.batches.map((batch) => [toHex(batch.batch), batch]))
    for (const { wrap, batch, ...row } of page.versions)
      versions.push({
        ...row,
        wrap: wrap ?? undefined,
        batch: batch === null ? undefined : batches.get(toHex(batch)),
      })
    if (page.next === null) return versions
    after = page.next
  }
}

/**
 * Opens versions with the compartment keys of her keyring. The ciphertext may come from any node; every object is
 * hashed, and the key commitment checked, before anything in it is believed.
 * Throws AppError `OBJECT_MISSING`, `OBJECT_ALTERED`, `KEYRING_COMPARTMENT`, `OPEN_FAILED`.
 */
export async function openOwnVersions(
  connection: Connection,
  input: {
    /** Her keyring; a delegate's device has the sections of its mandate. */
    readonly keyring: OpenSections
    readonly chainId: Uint8Array
    readonly versions: readonly OwnVersion[]
  },
): Promise<OpenedOwnVersion[]> {
  const { keyring, chainId } = input
  const wrapped = input.versions.filter(({ wrap, batch }) => wrap !== undefined && batch !== undefined)
  const batchKeys = new Map<string, { readonly key: Uint8Array; readonly compartment: Category }>()
  const keyOf = (batch: Batch): { readonly key: Uint8Array; readonly compartment: Category } => {
    const name = toHex(batch.batch)
    const known = batchKeys.get(name)
    if (known !== undefined) return known
    const { seed, compartment } = seedFor(keyring, batch)
    const { enc, comp, epoch } = batch
    const key = batchReceiver({ key: sealKeyPair(seed), enc, chainId, comp, epoch, batchId: batch.batch })
    const made = { key, compartment }
    batchKeys.set(name, made)
    return made
  }
  const opened: OpenedOwnVersion[] = []
  for (let from = 0; from < wrapped.length; from += OBJECTS_PER_REQUEST) {
    const page = wrapped.slice(from, from + OBJECTS_PER_REQUEST)
    const objects = await fetchObjects(
      connection,
      page.map(({ address }) => address),
    )
    for (const [at, version] of page.entries()) {
      const object = objects[at]
      if (object === undefined) throw new AppError('OBJECT_MISSING', 'object: no node that was asked has it')
      if (!equal(sha256(object), version.address))
        throw new AppError('OBJECT_ALTERED', 'object: is not the one of this address')
      const { headerHash } = readHeader(object)
      const { key: kek, compartment } = keyOf(version.batch as Batch)
      const dek = unwrapKey({
        kek,
        wrap: version.wrap as Uint8Array,
        oid: version.oid,
        headerHash,
        use: 'owner',
      })
      const { recordId, prev, json } = decodeVersion(openObject(object, dek))
      opened.push({ ...version, recordId, prev, json, compartment })
    }
  }
  return opened
}

/** Ciphertext by address. */
export async function fetchObjects(
  connection: Connection,
  addresses: readonly Uint8Array[],
): Promise<readonly (Uint8Array | undefined)[]> {
  if (addresses.length === 0) return []
  const { body } = await send(connection, 'POST', '/objects', {
    json: { addresses: addresses.map(toBase64url) },
  })
  const objects = decode(body, { maxBytes: MAX_OBJECTS_BYTES })
  if (!Array.isArray(objects)) throw new AppError('BAD_REPLY', 'objects: the answer is no list')
  return objects.map((object) => (object instanceof Uint8Array ? object : undefined))
}

/**
 * What a decision sees of a version, made on the device from the plaintext with the custodian's own functions. Only of
 * the generated emergency summary does the compartment say it, and not the content.
 */
export function heldVersion(
  version: Pick<OpenedOwnVersion, 'oid' | 'json' | 'recordId' | 'state' | 'compartment'>,
  owner: string,
): HeldVersion {
  const resource = JSON.parse(fromUtf8(version.json)) as LooseResource
  const isSummary = version.compartment === 'emergency'
  const dates = isSummary ? undefined : clinicalDates(resource)
  const labels: Labels = {
    recordId: version.recordId,
    type: resource.resourceType,
    compartment: isSummary ? 'emergency' : compartmentOf(resource),
    codes: isSummary ? [] : codesOf(resource).map(unpackCode),
    dates: dates === undefined ? undefined : { startMs: dates.startMs, endMs: dates.endMs },
    owner,
    restricted: version.state === 'restricted',
    suite: SUITE,
  }
  return { oid: version.oid, labels }
}

function seedFor(
  keyring: OpenSections,
  { comp, epoch }: Batch,
): { readonly seed: Uint8Array; readonly compartment: Category } {
  for (const [name, section] of Object.entries(keyring.sections)) {
    if (!equal(section.comp, comp)) continue
    const found = section.epochs.find((one) => one.epoch === epoch)
    if (found !== undefined) return { seed: found.seed, compartment: name as Category }
  }
  throw new AppError(
    'KEYRING_COMPARTMENT',
    'keyring: has no key for this compartment and epoch; load its newest version',
  )
}
