import { bytes, type Infer, list, object, oneOf, optional, text, uint, variant } from '@salus/core'
import { KEYRING_LIMITS } from './keyring.ts'
import { CATEGORIES } from './keyring-types.ts'

const key32 = (doc: string) => bytes(doc, { length: 32 })
const id16 = (doc: string) => bytes(doc, { length: 16 })
const sealKey = bytes('X-Wing public key', { length: 1_216 })
const category = oneOf('Compartment', CATEGORIES)
const label = text('Name for people', { max: KEYRING_LIMITS.labelChars })
const org = text('Organisation id', { min: 1, max: 64 })
/** A section's content is at most this long: 200 epochs of some 60 B. */
const SECTION_MAX_BYTES = 32 * 1024

const person = object('Someone who holds a part, as the owner knows her', { label, publicKey: sealKey })
const simple = {
  id: id16('Id of the unlocker'),
  label,
  publicKey: sealKey,
  signKey: optional(key32('Ed25519 public key of the device')),
  credential: optional(bytes('WebAuthn credential id', { min: 1, max: 1_023 })),
  addedMs: uint('Added, ms UTC'),
}

export const unlockerForm = variant('A way to get at the keyring', 'kind', {
  device: simple,
  passkey: simple,
  'recovery-code': simple,
  host: simple,
  guardians: {
    id: id16('Id of the unlocker'),
    label,
    threshold: uint('How many guardians are needed', { max: 10 }),
    guardians: list(person, { min: 2, max: 10 }),
    homes: list(person, { min: 1, max: 2 }),
    addedMs: uint('Added, ms UTC'),
  },
})

/** Content of a section, sealed under the section's key. */
export const sectionForm = object('A compartment', {
  comp: id16('Opaque id of the compartment'),
  epochs: list(
    object('An epoch', {
      epoch: uint('Number'),
      seed: key32('X-Wing private key'),
      sinceMs: uint('From, ms UTC'),
    }),
    { min: 1, max: KEYRING_LIMITS.epochs },
  ),
})

/** The rest of the keyring, sealed under `KRK`. */
export const rootForm = object('Root of a keyring', {
  v: uint('Form version'),
  linkSecret: key32('Secret of the subs'),
  sectionKeys: list(object('', { category, key: key32('Section key') }), {
    min: CATEGORIES.length,
    max: CATEGORIES.length,
  }),
  controllers: list(
    object('', {
      kind: oneOf('What it controls', ['grant', 'delegation', 'recovery']),
      id: id16('Ledger object'),
      seed: key32('Ed25519 seed'),
    }),
    { max: KEYRING_LIMITS.controllers },
  ),
  links: list(object('', { org, seed: key32('Ed25519 seed') }), { max: KEYRING_LIMITS.links }),
  unlockers: list(unlockerForm, { max: KEYRING_LIMITS.unlockers }),
})

/** The keyring as it is stored at home. */
export const sealedForm = object('A sealed keyring', {
  v: uint('Form version'),
  suite: uint('Suite', { max: 255 }),
  id: id16('Keyring id'),
  version: uint('Version, from 1'),
  prev: optional(key32('Digest of the version before')),
  krkGeneration: uint('Which KRK it is under'),
  root: bytes('Sealed root', { min: 28, max: 3 * 1024 * 1024 }),
  sections: list(
    object('', { category, sealed: bytes('Sealed section', { min: 28, max: SECTION_MAX_BYTES }) }),
    {
      min: CATEGORIES.length,
      max: CATEGORIES.length,
    },
  ),
})
export type SealedKeyring = Infer<typeof sealedForm>

/** A stored keyring is at most this long. */
export const SEALED_MAX_BYTES = 4 * 1024 * 1024
