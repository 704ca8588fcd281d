import { type AuthItem, ed25519Verify, type SignatureType, signedMessage, verifyAuth } from '@salus/core'
import { type Body, decodeBody } from './body.ts'
import { decodeBundle, type SignedBundle } from './bundle.ts'

/** Stands for the bundle itself where an item's index is asked for. */
export const BUNDLE_SIGNATURE = -1

/** One signature to verify, away from the ledger. */
export interface SignatureCheck {
  /** Index of the item in its bundle; BUNDLE_SIGNATURE for the sponsor's own. */
  readonly item: number
  readonly publicKey: Uint8Array
  readonly type: SignatureType
  readonly chain: Uint8Array
  /** The body or bundle. */
  readonly bytes: Uint8Array
  /** What is signed (protocol, Forms); an assertion's challenge is its SHA-256. */
  readonly message: Uint8Array
  readonly auth: AuthItem
}

/**
 * Every signature of a bundle. Items whose body does not decode, or whose auth does not match its keys in
 * number, are absent: nothing can make them valid.
 * @param sponsorKey the sponsor's sign key in the state before the block; undefined for an unknown sponsor
 */
export function itemsToVerify(bundle: SignedBundle, sponsorKey: Uint8Array | undefined): SignatureCheck[] {
  const checks: SignatureCheck[] = []
  if (sponsorKey !== undefined) {
    const { chain, bytes, signature } = bundle
    const message = signedMessage('bundle', chain, bytes)
    checks.push({
      item: BUNDLE_SIGNATURE,
      publicKey: sponsorKey,
      type: 'bundle',
      chain,
      bytes,
      message,
      auth: signature,
    })
  }
  bundle.items.forEach((item, index) => {
    const body = bodyOrUndefined(item.body)
    if (body === undefined || body.keys.length !== item.auth.length) return
    const bytes = item.body
    const message = signedMessage('tx', body.chain, bytes)
    body.keys.forEach((publicKey, at) => {
      const auth = item.auth[at] as AuthItem
      checks.push({ item: index, publicKey, type: 'tx', chain: body.chain, bytes, message, auth })
    })
  })
  return checks
}

/** Whether one signature holds. Never throws. */
export function checkHolds(check: SignatureCheck): boolean {
  const { publicKey, type, chain, bytes, message, auth } = check
  if (auth instanceof Uint8Array) return ed25519Verify(publicKey, message, auth)
  return verifyAuth(publicKey, type, chain, bytes, auth)
}

/**
 * Verifies a whole bundle here and now: 1 where valid, first for the sponsor's signature, then per item.
 * Small enough to come back from a worker. An undecodable bundle gives an empty answer.
 */
export function verifyBundle(wire: Uint8Array, sponsorKey: Uint8Array | undefined): Uint8Array {
  let bundle: SignedBundle
  try {
    bundle = decodeBundle(wire)
  } catch {
    return new Uint8Array(0)
  }
  const checks = itemsToVerify(bundle, sponsorKey)
  const valid = new Uint8Array(bundle.items.length + 1)
  for (const check of checks) valid[check.item + 1] = 1
  for (const check of checks) {
    if (valid[check.item + 1] === 1 && !checkHolds(check)) valid[check.item + 1] = 0
  }
  return valid
}

/** `verified` for Ledger.execute from the answers of `verifyBundle`, one per bundle. */
export function verifiedBy(answers: readonly Uint8Array[]): Verified {
  return (bundle, item) => answers[bundle]?.[item + 1] === 1
}

/** Whether all signatures of an item (or of the bundle: BUNDLE_SIGNATURE) were found valid. */
export type Verified = (bundleIndex: number, itemIndex: number) => boolean

function bodyOrUndefined(bytes: Uint8Array): Body | undefined {
  try {
    return decodeBody(bytes)
  } catch {
    return undefined
  }
}
