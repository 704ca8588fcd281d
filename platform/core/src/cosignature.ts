import { concat, utf8 } from './bytes.ts'
import { AppError } from './errors.ts'
import { NOTE_COSIGNATURE, type NoteSignature, type NoteSigner, noteKeyId, type VerifierKey } from './note.ts'
import { ed25519Verify } from './sign.ts'

// C2SP tlog-cosignature: "as of this time, the largest consistent tree I have seen of this log is this checkpoint".
// Only the Ed25519 form (type 4) is here; ML-DSA-44 (type 6) lines are ignored like any unknown key's.

const SIGNATURE_BYTES = 8 + 64

/** What a cosigner signs: header line, time line, then the whole checkpoint text. */
export function cosignatureMessage(checkpointText: string, timeSeconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${timeSeconds}\n${checkpointText}`)
}

/**
 * Cosigns a checkpoint text. The caller has verified that it is consistent with everything it cosigned before.
 * @param timeSeconds since 1970 UTC, a safe integer
 */
export function cosign(
  checkpointText: string,
  { name, key }: NoteSigner,
  timeSeconds: number,
): NoteSignature {
  if (!Number.isSafeInteger(timeSeconds) || timeSeconds < 0)
    throw new AppError('NOTE', 'cosignature: time must be whole seconds since 1970')
  const time = new Uint8Array(8)
  new DataView(time.buffer).setBigUint64(0, BigInt(timeSeconds))
  return {
    name,
    keyId: noteKeyId(name, NOTE_COSIGNATURE, key.publicKey),
    bytes: concat(time, key.sign(cosignatureMessage(checkpointText, timeSeconds))),
  }
}

/** The time in a cosignature, unverified; undefined unless it has the form of one. */
export function cosignatureTime(signature: NoteSignature): number | undefined {
  if (signature.bytes.length !== SIGNATURE_BYTES) return undefined
  const view = new DataView(signature.bytes.buffer, signature.bytes.byteOffset)
  const seconds = view.getBigUint64(0)
  return seconds <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seconds) : undefined
}

/** The time at which this key cosigned the checkpoint text, or undefined if the signature is not its own or wrong. */
export function verifyCosignature(
  checkpointText: string,
  signature: NoteSignature,
  key: VerifierKey,
): number | undefined {
  if (key.type !== NOTE_COSIGNATURE || signature.name !== key.name || signature.keyId !== key.keyId)
    return undefined
  const timeSeconds = cosignatureTime(signature)
  if (timeSeconds === undefined) return undefined
  const message = cosignatureMessage(checkpointText, timeSeconds)
  return ed25519Verify(key.publicKey, message, signature.bytes.subarray(8)) ? timeSeconds : undefined
}
