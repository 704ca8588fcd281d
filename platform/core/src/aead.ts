import { native } from '#native'
import { concat } from './bytes.ts'
import { AppError } from './errors.ts'
import type { Random } from './random.ts'

/** Bytes that sealing adds: nonce(12) and tag(16). */
export const GCM_OVERHEAD_BYTES = 28

/**
 * AES-256-GCM with a random nonce: `nonce(12) ‖ ciphertext ‖ tag(16)`. Protocol, Forms.
 * One key must seal fewer than 2^32 messages (NIST SP 800-38D §8.3); here each key seals one or few.
 * @param options `key` 32 bytes
 */
export function gcmSeal(options: {
  readonly key: Uint8Array
  readonly aad: Uint8Array
  readonly plaintext: Uint8Array
  readonly random: Random
}): Uint8Array {
  const { key, aad, plaintext } = options
  checkKey(key)
  const nonce = options.random(12)
  return concat(nonce, native.gcmSeal({ key, nonce, aad, bytes: plaintext }))
}

/** Opens what `gcmSeal` made. Throws AppError `OPEN_FAILED`, which does not say what was wrong. */
export function gcmOpen(options: {
  readonly key: Uint8Array
  readonly aad: Uint8Array
  readonly sealed: Uint8Array
}): Uint8Array {
  const { key, aad, sealed } = options
  checkKey(key)
  if (sealed.length < GCM_OVERHEAD_BYTES) throw openFailed()
  const opened = native.gcmOpen({ key, nonce: sealed.subarray(0, 12), aad, bytes: sealed.subarray(12) })
  if (opened === undefined) throw openFailed()
  return opened
}

/** The one answer to every wrong key, tag, AAD or commitment, so that it can be no oracle. */
export function openFailed(): AppError {
  return new AppError(
    'OPEN_FAILED',
    'sealed: does not open with this key; check key, context and that it is whole',
  )
}

function checkKey(key: Uint8Array): void {
  if (key.length !== 32) throw new AppError('KEY', 'key: must be 32 bytes', { lengthBytes: key.length })
}
