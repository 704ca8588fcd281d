/**
 * The compartments of a person's record (protocol §2). A record lies in exactly one.
 * Each is a section of the keyring with a key of its own, so that a delegate can be given some of them.
 */
export const CATEGORIES = [
  'general',
  'medication',
  'labs',
  'imaging',
  'financial',
  'mental',
  'substance',
  'sexual-reproductive',
  'genetics',
  'notes',
  'patient-made',
  'audit',
  'emergency',
] as const

export type Category = (typeof CATEGORIES)[number]

/** One epoch of one compartment: the private half of what custodians seal to. */
export interface CompartmentEpoch {
  /** From 1, rising by 1. */
  readonly epoch: number
  /** X-Wing private key, 32 B. */
  readonly seed: Uint8Array
  readonly sinceMs: number
}

/** A compartment with all its epochs, oldest first. Old epochs stay: old records are sealed to them. */
export interface Section {
  /** Seals this section inside the stored keyring; what a delegate is given. 32 B. */
  readonly key: Uint8Array
  /** Opaque id of the compartment, as object headers carry it. 16 B. */
  readonly comp: Uint8Array
  readonly epochs: readonly CompartmentEpoch[]
}

/** What a controller key controls on the ledger. */
export type ControlledKind = 'grant' | 'delegation' | 'recovery'

/** One Ed25519 key per ledger object; the object's id is the first 16 B of `H(publicKey)` (protocol §4). */
export interface ControllerKey {
  readonly kind: ControlledKind
  /** 16 B. */
  readonly id: Uint8Array
  /** Ed25519 seed, 32 B. */
  readonly seed: Uint8Array
}

/** One Ed25519 key per organisation, known to that organisation only. */
export interface LinkKey {
  readonly org: string
  readonly seed: Uint8Array
}

export type UnlockerKind = 'device' | 'passkey' | 'recovery-code' | 'guardians' | 'host'

/** A guardian, as the owner knows her: a label and the X-Wing public key (1,216 B) of her device. */
export interface GuardianKey {
  readonly label: string
  readonly publicKey: Uint8Array
}

/**
 * One way to get at the keyring. Kept inside the keyring, so that whoever stores the envelopes cannot slip in
 * a key of their own that the next rotation would wrap to.
 */
export type Unlocker =
  | {
      readonly kind: 'device' | 'passkey' | 'recovery-code' | 'host'
      /** 16 B, random. */
      readonly id: Uint8Array
      readonly label: string
      /** X-Wing public key, 1,216 B. */
      readonly publicKey: Uint8Array
      /** Ed25519 public key by which home knows a device's requests, 32 B. Devices only. */
      readonly signKey?: Uint8Array
      /** WebAuthn credential id, to ask the browser for the right one. Passkeys only. */
      readonly credential?: Uint8Array
      readonly addedMs: number
    }
  | {
      readonly kind: 'guardians'
      readonly id: Uint8Array
      readonly label: string
      readonly threshold: number
      readonly guardians: readonly GuardianKey[]
      /** Home, and the second organisation that keeps a copy of the home half: X-Wing seal keys. */
      readonly homes: readonly GuardianKey[]
      readonly addedMs: number
    }

/**
 * A person's secrets: random, none derived from another. Immutable: every change returns a new keyring.
 * It is stored sealed under `KRK` (sealed.ts) at her home organisation.
 */
export interface Keyring {
  readonly v: 1
  /** Random, 16 B. */
  readonly keyringId: Uint8Array
  /** Version last stored, from 1; 0 if it was never stored. */
  readonly version: number
  /** Digest of the stored version that this one follows; undefined for the first. 32 B. */
  readonly prev: Uint8Array | undefined
  /** Which `KRK` this is under; rises by one with each new `KRK`. From 1. */
  readonly krkGeneration: number
  /** For `sub = HMAC(linkSecret, orgId)`. 32 B. */
  readonly linkSecret: Uint8Array
  readonly sections: Readonly<Record<Category, Section>>
  readonly controllers: readonly ControllerKey[]
  readonly links: readonly LinkKey[]
  readonly unlockers: readonly Unlocker[]
}
