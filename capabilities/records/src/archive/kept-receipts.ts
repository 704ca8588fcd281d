import { type CborValue, decode, encode, gcmOpen, gcmSeal, type Random, sha256 } from '@salus/core'
import type { CustodyStore } from '../custody/custody-store.ts'

/** Receipts of other organisations that came with an archive, sealed like everything of an owner. */
export function keepReceipts(
  owner: Uint8Array,
  receipts: readonly unknown[],
  { custody, key, random }: { custody: CustodyStore; key: Uint8Array; random: Random },
): number {
  let kept = 0
  for (const receipt of receipts) {
    const plaintext = encode(JSON.stringify(receipt) as CborValue)
    const id = sha256(plaintext).slice(0, 16)
    if (custody.addReceipt(owner, id, gcmSeal({ key, aad: id, plaintext, random }))) kept += 1
  }
  return kept
}

export function keptReceipts(
  owner: Uint8Array,
  { custody, key }: { custody: CustodyStore; key: Uint8Array },
): unknown[] {
  return custody
    .receipts(owner)
    .map(({ id, sealed }) => JSON.parse(decode(gcmOpen({ key, aad: id, sealed })) as string) as unknown)
}

/** Puts an owner's kept receipts under another key, inside the caller's transaction. */
export function resealReceipts(
  owner: Uint8Array,
  { custody, from, to, random }: { custody: CustodyStore; from: Uint8Array; to: Uint8Array; random: Random },
): void {
  for (const { id, sealed } of custody.receipts(owner)) {
    const plaintext = gcmOpen({ key: from, aad: id, sealed })
    custody.setReceipt(owner, id, gcmSeal({ key: to, aad: id, plaintext, random }))
  }
}
