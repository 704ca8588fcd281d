/** One ciphertext object. `address` is the SHA-256 of `bytes` (32 B); `bytes` is 1 B to `MAX_OBJECT_BYTES`. */
export interface VaultObject {
  readonly address: Uint8Array
  readonly bytes: Uint8Array
}

/** One thing that is not as it was written. Never carries content. */
export interface Damage {
  /** Path relative to the disk's root. */
  readonly file: string
  /** Byte offset of the entry in the file; 0 for a file of its own. */
  readonly offset: number
  /** Hex of the object's address, or undefined where the frame that named it is unreadable. */
  readonly address: string | undefined
  readonly what: string
}

export interface ScrubReport {
  readonly objects: number
  readonly bytes: number
  readonly damage: readonly Damage[]
}

export interface VaultStats {
  /** Objects that can be read. */
  readonly objects: number
  /** Of those, the ones kept as files of their own. */
  readonly largeObjects: number
  readonly packs: number
  /** Bytes of live object content. */
  readonly liveBytes: number
  /** Bytes of pack space that erased objects still occupy, as zeros, until compaction. */
  readonly deadBytes: number
  /** Memory of the index, in bytes. */
  readonly indexBytes: number
}

/**
 * What a store of ciphertext objects does, wherever the bytes lie. The file system form is `Vault`.
 * A store never sees plaintext or keys; anything it returns has been hashed and is what was put.
 */
export interface ObjectStore {
  /**
   * Stores objects; resolves when all of them are durable. On an error none of them counts as stored, and none is
   * there half (of more than 32 MiB in one call some may be there whole). Putting an object twice is not an error.
   * Errors: OBJECT_ADDRESS (address is not the hash), OBJECT_SIZE, DISK_FULL, VAULT_CLOSED.
   */
  putMany(objects: readonly VaultObject[]): Promise<void>
  /** The object's bytes, or undefined if it is not here. Errors: OBJECT_ALTERED (names file and address). */
  get(address: Uint8Array): Promise<Uint8Array | undefined>
  has(address: Uint8Array): boolean
  /**
   * Destroys objects: zeros are written over them before this resolves. Addresses that are not here are passed over.
   * Once started it completes, after a crash too (at the next open). Returns how many were here.
   */
  erase(addresses: readonly Uint8Array[]): Promise<number>
  /** Reads and hashes everything. `expected`: addresses that must be here; missing ones are reported. */
  scrub(options?: { readonly expected?: Iterable<Uint8Array> }): Promise<ScrubReport>
  /** Rewrites packs of which half or more is dead. Returns the bytes given back to the disk. */
  compact(): Promise<number>
  stats(): VaultStats
  close(): Promise<void>
}
