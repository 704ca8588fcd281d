import { AppError, decodeVersion, equal, openObject, readHeader, sha256, toHex, unwrapKey } from '@salus/core'
import type { ObjectStore } from '@salus/vault'
import type { VersionRow } from './custody/rows.ts'
import type { OwnerKeys } from './owner-keys.ts'
import { openLabels, type SealedLabels } from './sealed-labels.ts'

/** A version opened under the custody key. `json` is what was stored, byte for byte. */
export interface OpenedVersion {
  readonly row: VersionRow
  readonly labels: SealedLabels
  readonly json: Uint8Array
  /** Digest of the version before; absent for the first. */
  readonly prev: Uint8Array | undefined
}

const MAX_CACHED_LABELS = 50_000

/** Opens what this organisation holds in custody. Decides nothing: whoever calls has asked `decide` and logged. */
export class RecordReader {
  readonly #vault: Pick<ObjectStore, 'get'>
  readonly #keys: OwnerKeys
  readonly #labels = new Map<number, SealedLabels>()

  constructor({ vault, keys }: { vault: Pick<ObjectStore, 'get'>; keys: OwnerKeys }) {
    this.#vault = vault
    this.#keys = keys
  }

  labels(row: VersionRow): SealedLabels {
    const cached = this.#labels.get(row.seq)
    if (cached !== undefined) return cached
    const labels = openLabels(row.sealed, { key: this.#keys.custodyKey(row.owner), oid: row.oid })
    this.#labels.set(row.seq, labels)
    if (this.#labels.size > MAX_CACHED_LABELS) this.#labels.delete(this.#labels.keys().next().value ?? 0)
    return labels
  }

  /** Forgets what is cached of an owner: her keys changed or are gone. */
  forget(): void {
    this.#labels.clear()
  }

  /** The data key of a version, and its ciphertext. Throws `OBJECT_MISSING`, `OBJECT_ALTERED`, `OPEN_FAILED`. */
  async dataKey(row: VersionRow): Promise<{ dek: Uint8Array; object: Uint8Array }> {
    if (row.custodyWrap === undefined)
      throw new AppError(
        'NOT_READABLE',
        'record: this organisation stores it and cannot read it; ask its owner',
      )
    const object = await this.#vault.get(row.address)
    if (object === undefined)
      throw new AppError(
        'OBJECT_MISSING',
        `vault: object ${toHex(row.address)} is missing; restore it from a replica or a backup`,
      )
    const { header, headerHash } = readHeader(object)
    if (!equal(header.oid, row.oid))
      throw new AppError(
        'OBJECT_ALTERED',
        `vault: object ${toHex(row.address)} is not the one that custody names`,
      )
    const dek = unwrapKey({
      kek: this.#keys.custodyKey(row.owner),
      wrap: row.custodyWrap,
      oid: row.oid,
      headerHash,
      use: 'custody',
    })
    return { dek, object }
  }

  /** Opens a version; `key`, where the caller has just taken it with `dataKey`, saves doing so again. */
  async open(row: VersionRow, key?: { dek: Uint8Array; object: Uint8Array }): Promise<OpenedVersion> {
    const labels = this.labels(row)
    const { dek, object } = key ?? (await this.dataKey(row))
    const { recordId, version, prev, json } = decodeVersion(openObject(object, dek))
    if (recordId !== labels.recordId || version !== row.version || !equal(sha256(json), labels.digest))
      throw new AppError(
        'OBJECT_ALTERED',
        `vault: object ${toHex(row.address)} holds another version than custody names`,
      )
    return { row, labels, json, prev: prev ?? undefined }
  }
}
