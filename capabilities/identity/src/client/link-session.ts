import { type Random, type SigningKey, signAs, tuple, verifyAs } from '@salus/core'

/** How far a device's clock may be off. */
export const SESSION_WINDOW_MS = 5 * 60_000

/** What a link key signs to open a session at its organisation, type `statement`. */
export interface SessionRequest {
  readonly linkKey: Uint8Array
  readonly timeMs: number
  /** 16 random bytes; each counts once. */
  readonly nonce: Uint8Array
  readonly sig: Uint8Array
}

const message = (org: string, timeMs: number, nonce: Uint8Array): Uint8Array =>
  tuple('session', org, timeMs, nonce)

export function signSessionRequest(
  key: SigningKey,
  { org, chainId, timeMs, random }: { org: string; chainId: Uint8Array; timeMs: number; random: Random },
): SessionRequest {
  const nonce = random(16)
  const sig = signAs(key, 'statement', chainId, message(org, timeMs, nonce))
  return { linkKey: key.publicKey, timeMs, nonce, sig }
}

/** Whether the signature is the link key's for this organisation; time and nonce are the caller's to check. */
export function sessionRequestIsSigned(request: SessionRequest, org: string, chainId: Uint8Array): boolean {
  const { linkKey, timeMs, nonce, sig } = request
  return verifyAs(linkKey, 'statement', chainId, message(org, timeMs, nonce), sig)
}
