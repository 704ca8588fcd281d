import { type Random, type SealKeyPair, type SigningKey, sealKeyPair, signingKey } from '@salus/core'
import type { KeyringContext } from '../keyring.ts'
import { type KeyUnlocker, unwrapKrk } from './envelope.ts'

/** What a device keeps for itself: it opens its envelope and signs its requests to home. */
export interface DeviceKeys {
  /** 16 B. */
  readonly id: Uint8Array
  readonly seal: SealKeyPair
  readonly sign: SigningKey
}

/** The device's secrets as they are kept on it. 16 B, 32 B, 32 B. */
export interface DeviceSecrets {
  readonly id: Uint8Array
  readonly sealSeed: Uint8Array
  readonly signSeed: Uint8Array
}

export const newDevice = (random: Random): DeviceSecrets => ({
  id: random(16),
  sealSeed: random(32),
  signSeed: random(32),
})

export const deviceKeys = ({ id, sealSeed, signSeed }: DeviceSecrets): DeviceKeys => ({
  id,
  seal: sealKeyPair(sealSeed),
  sign: signingKey(signSeed),
})

/** The device as the keyring lists it. */
export function deviceUnlocker(
  device: DeviceKeys,
  { label, nowMs }: { readonly label: string } & Pick<KeyringContext, 'nowMs'>,
): KeyUnlocker {
  const { id, seal, sign } = device
  return { kind: 'device', id, label, publicKey: seal.publicKey, signKey: sign.publicKey, addedMs: nowMs }
}

/** `KRK` from this device's envelope. Errors: OPEN_FAILED. */
export const openWithDevice = (envelope: Uint8Array, device: DeviceKeys): Uint8Array =>
  unwrapKrk(envelope, device.seal)
