import { hmac } from '@salus/core'

/**
 * An owner's keys at this organisation, from the keystore (protocol §2: `CK_p`, `IK_p`). Reading a key that was
 * destroyed throws AppError `KEY_GONE`.
 */
export interface OwnerKeys {
  /** Makes the keys of owners that have none; durable when it resolves. */
  ensure(owners: readonly Uint8Array[]): Promise<void>
  custodyKey(owner: Uint8Array): Uint8Array
  indexKey(owner: Uint8Array): Uint8Array
  /** New custody and index keys; the old ones stay readable through `previous` until `finishRotation`. */
  rotate(owner: Uint8Array): Promise<{ readonly previousCustodyKey: Uint8Array }>
  /** Destroys every key of the owner, or (with none given) only moves live keys to a new generation. */
  destroy(owners: readonly Uint8Array[]): Promise<void>
}

/** How a record id is looked up without being shown: 16 bytes under an organisation secret. */
export function ridOf(ridKey: Uint8Array, recordId: string): Uint8Array {
  return hmac(ridKey, 'rid', recordId).slice(0, 16)
}
