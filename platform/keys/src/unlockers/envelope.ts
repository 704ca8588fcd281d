import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  type Infer,
  object,
  oneOf,
  openSealed,
  optional,
  type Random,
  type SealKeyPair,
  SUITE,
  sealTo,
  tuple,
  uint,
} from '@salus/core'
import type { Unlocker } from '../keyring-types.ts'

/** A way to the keyring that has a key pair of its own: the private half is on the device or made from a secret. */
export type KeyUnlocker = Exclude<Unlocker, { kind: 'guardians' }>

const VERSION = 1
const MAX_BYTES = 8 * 1024

/** `KRK` sealed to one unlocker, as home keeps it. */
export const envelopeForm = object('A wrapped KRK', {
  v: uint('Form version'),
  suite: uint('Suite', { max: 255 }),
  kind: oneOf('Kind of unlocker', ['device', 'passkey', 'recovery-code', 'host']),
  id: bytes('Id of the unlocker', { length: 16 }),
  keyringId: bytes('Keyring id', { length: 16 }),
  krkGeneration: uint('Which KRK it holds'),
  credential: optional(bytes('WebAuthn credential id', { min: 1, max: 1_023 })),
  sealed: bytes('enc ‖ sealed KRK', { length: 1_120 + 48 }),
})
export type Envelope = Infer<typeof envelopeForm>

/**
 * Wraps `krk` to an unlocker's public key; needs nothing of its private half, so a new `KRK` reaches every unlocker
 * without its owner typing a code. Returns the envelope's bytes.
 */
export function wrapKrk(options: {
  readonly krk: Uint8Array
  readonly krkGeneration: number
  readonly keyringId: Uint8Array
  readonly unlocker: KeyUnlocker
  readonly random: Random
}): Uint8Array {
  const { krk, krkGeneration, keyringId, unlocker, random } = options
  const head = { v: VERSION, suite: SUITE, kind: unlocker.kind, id: unlocker.id, keyringId, krkGeneration }
  const sealed = sealTo({ to: unlocker.publicKey, info: infoOf(head), plaintext: krk, random })
  const credential = unlocker.credential
  return encodeForm(envelopeForm, { ...head, sealed, ...(credential === undefined ? {} : { credential }) })
}

/** Reads an envelope without opening it. Errors: CBOR, SCHEMA, UNKNOWN_VERSION, SUITE. */
export function readEnvelope(bytes: Uint8Array): Envelope {
  const envelope = decodeForm(envelopeForm, bytes, { maxBytes: MAX_BYTES, version: VERSION })
  if (envelope.suite !== SUITE) {
    throw new AppError(
      'SUITE',
      `suite: ${envelope.suite} is unknown, this program knows ${SUITE}; update it`,
      {},
    )
  }
  return envelope
}

/** Opens an envelope. Errors: OPEN_FAILED (another unlocker, or altered) and those of `readEnvelope`. */
export function unwrapKrk(bytes: Uint8Array, key: SealKeyPair): Uint8Array {
  const envelope = readEnvelope(bytes)
  return openSealed({ key, info: infoOf(envelope), sealed: envelope.sealed })
}

function infoOf({ suite, kind, id, keyringId, krkGeneration }: Omit<Envelope, 'sealed' | 'v'>): Uint8Array {
  return tuple('salus/unlocker/v1', suite, kind, id, keyringId, krkGeneration)
}
