import { native } from '#native'
import { GCM_OVERHEAD_BYTES, gcmOpen, gcmSeal, openFailed } from './aead.ts'
import { AppError, assert } from './errors.ts'
import type { Random } from './random.ts'

/** The largest plaintext of one object; larger things are stored as several. */
export const MAX_PLAINTEXT_BYTES = 256 * 1024 * 1024

const ONE_PIECE_BYTES = 1024 * 1024
const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16
const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
const STREAM_PREFIX_BYTES = 7

/**
 * The ciphertext of an object, in pieces to be joined. Protocol, Forms: up to 1 MiB one AES-256-GCM message;
 * above, STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): random prefix(7), then chunks of 64 KiB each
 * under nonce = prefix ‖ u32 counter ‖ last flag, every chunk with the header as AAD.
 */
export function sealContent(options: {
  readonly dek: Uint8Array
  readonly aad: Uint8Array
  readonly plaintext: Uint8Array
  readonly random: Random
}): Uint8Array[] {
  const { dek, aad, plaintext, random } = options
  if (plaintext.length > MAX_PLAINTEXT_BYTES) throw tooLarge(plaintext.length)
  if (plaintext.length <= ONE_PIECE_BYTES) return [gcmSeal({ key: dek, aad, plaintext, random })]
  const prefix = random(STREAM_PREFIX_BYTES)
  assert(prefix.length === STREAM_PREFIX_BYTES, 'random: must give as many bytes as were asked for')
  const pieces = [prefix]
  const count = Math.ceil(plaintext.length / CHUNK_BYTES)
  for (let i = 0; i < count; i++) {
    const bytes = plaintext.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
    pieces.push(native.gcmSeal({ key: dek, nonce: chunkNonce(prefix, i, i === count - 1), aad, bytes }))
  }
  return pieces
}

/**
 * Opens what `sealContent` made. The form follows from the length alone: no ciphertext of one piece is as
 * long as the shortest stream. Throws AppError `OPEN_FAILED` or `TOO_LARGE`.
 */
export function openContent(options: {
  readonly dek: Uint8Array
  readonly aad: Uint8Array
  readonly ciphertext: Uint8Array
}): Uint8Array {
  const { dek, aad, ciphertext } = options
  if (ciphertext.length <= ONE_PIECE_BYTES + GCM_OVERHEAD_BYTES) {
    return gcmOpen({ key: dek, aad, sealed: ciphertext })
  }
  const body = ciphertext.subarray(STREAM_PREFIX_BYTES)
  const count = Math.ceil(body.length / SEALED_CHUNK_BYTES)
  const lengthBytes = body.length - count * TAG_BYTES
  if (lengthBytes > MAX_PLAINTEXT_BYTES) throw tooLarge(lengthBytes)
  // A stream of 1 MiB or less, or with an empty last chunk, is nothing `sealContent` makes.
  if (lengthBytes <= ONE_PIECE_BYTES || body.length % SEALED_CHUNK_BYTES === TAG_BYTES) throw openFailed()
  const prefix = ciphertext.subarray(0, STREAM_PREFIX_BYTES)
  const plaintext = new Uint8Array(lengthBytes)
  for (let i = 0; i < count; i++) {
    const bytes = body.subarray(i * SEALED_CHUNK_BYTES, (i + 1) * SEALED_CHUNK_BYTES)
    const opened = native.gcmOpen({ key: dek, nonce: chunkNonce(prefix, i, i === count - 1), aad, bytes })
    // Nothing of a broken stream leaves this function.
    if (opened === undefined) throw openFailed()
    plaintext.set(opened, i * CHUNK_BYTES)
  }
  return plaintext
}

function chunkNonce(prefix: Uint8Array, counter: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12)
  nonce.set(prefix)
  new DataView(nonce.buffer).setUint32(STREAM_PREFIX_BYTES, counter)
  nonce[11] = last ? 1 : 0
  return nonce
}

function tooLarge(sizeBytes: number): AppError {
  return new AppError(
    'TOO_LARGE',
    `plaintext: at most ${MAX_PLAINTEXT_BYTES} bytes; store it as several objects`,
    {
      sizeBytes,
    },
  )
}
