import {
  bytes,
  decodeForm,
  encodeForm,
  type Infer,
  list,
  object,
  oneOf,
  openSealed,
  type Random,
  type SealKeyPair,
  SUITE,
  sealTo,
  tuple,
  uint,
} from '@salus/core'
import { CATEGORIES, type Category, type Keyring } from './keyring-types.ts'

const VERSION = 1
const MAX_BYTES = 8 * 1024

const sharedForm = object('Section keys for a delegate', {
  v: uint('Form version'),
  suite: uint('Suite', { max: 255 }),
  keyringId: bytes('Keyring id', { length: 16 }),
  d: bytes('Delegation on the ledger', { length: 16 }),
  sealed: bytes('enc ‖ sealed section keys', { max: 4 * 1024 }),
})
const keysForm = list(
  object('', { category: oneOf('Compartment', CATEGORIES), key: bytes('Section key', { length: 32 }) }),
  {
    max: CATEGORIES.length,
  },
)
export type SectionKeys = Infer<typeof keysForm>

/**
 * Seals the keys of some sections to a delegate's device (protocol §6). With them and the stored keyring she opens
 * these sections (`openSection`) and no other. To end it: `nextEpochs` on the same categories.
 * `d` is the delegation's id on the ledger, 16 B; `to` her X-Wing public key.
 */
export function shareSections(options: {
  readonly keyring: Keyring
  readonly categories: readonly Category[]
  readonly d: Uint8Array
  readonly to: Uint8Array
  readonly random: Random
}): Uint8Array {
  const { keyring, d, to, random } = options
  const plaintext = encodeForm(
    keysForm,
    CATEGORIES.filter((category) => options.categories.includes(category)).map((category) => ({
      category,
      key: keyring.sections[category].key,
    })),
  )
  const sealed = sealTo({ to, info: infoOf(keyring.keyringId, d), plaintext, random })
  return encodeForm(sharedForm, { v: VERSION, suite: SUITE, keyringId: keyring.keyringId, d, sealed })
}

/** Opens what `shareSections` made. Errors: OPEN_FAILED, CBOR, SCHEMA, UNKNOWN_VERSION. */
export function openSharedSections(
  bytes: Uint8Array,
  key: SealKeyPair,
): { readonly keyringId: Uint8Array; readonly d: Uint8Array; readonly keys: SectionKeys } {
  const { keyringId, d, sealed } = decodeForm(sharedForm, bytes, { maxBytes: MAX_BYTES, version: VERSION })
  const opened = openSealed({ key, info: infoOf(keyringId, d), sealed })
  return { keyringId, d, keys: decodeForm(keysForm, opened, { maxBytes: MAX_BYTES }) }
}

const infoOf = (keyringId: Uint8Array, d: Uint8Array): Uint8Array =>
  tuple('salus/section-keys/v1', SUITE, keyringId, d)
