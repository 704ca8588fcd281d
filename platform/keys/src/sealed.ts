import {
  AppError,
  decodeForm,
  encodeForm,
  equal,
  gcmOpen,
  gcmSeal,
  type Random,
  SUITE,
  sha256,
  tuple,
} from '@salus/core'
import { mapSections } from './keyring.ts'
import { rootForm, SEALED_MAX_BYTES, type SealedKeyring, sealedForm, sectionForm } from './keyring-form.ts'
import { CATEGORIES, type Category, type Keyring, type Section } from './keyring-types.ts'

const VERSION = 1

/** Fields of a log leaf of kind 3 (protocol, Forms). `digest` is that of the stored bytes, 32 B. */
export interface KeyringLeaf {
  readonly keyringId: Uint8Array
  readonly version: number
  readonly digest: Uint8Array
}

/** What a sealing gives: the bytes to store, and the keyring as it is once they are stored. */
export interface SealResult {
  readonly bytes: Uint8Array
  readonly keyring: Keyring
  readonly leaf: KeyringLeaf
}

/**
 * Seals the next version of a keyring under `krk` (32 B). Go on with the returned keyring once home has accepted
 * the bytes; if home refuses with KEYRING_CONFLICT, open what it has and make the change again.
 */
export function sealKeyring(options: {
  readonly keyring: Keyring
  readonly krk: Uint8Array
  readonly random: Random
}): SealResult {
  const { keyring, krk, random } = options
  const version = keyring.version + 1
  const head = {
    v: VERSION,
    suite: SUITE,
    id: keyring.keyringId,
    version,
    krkGeneration: keyring.krkGeneration,
    ...(keyring.prev === undefined ? {} : { prev: keyring.prev }),
  }
  const sections = CATEGORIES.map((category) => {
    const { key, comp, epochs } = keyring.sections[category]
    const plaintext = encodeForm(sectionForm, { comp, epochs: epochs.map((each) => ({ ...each })) })
    return { category, sealed: gcmSeal({ key, aad: sectionAad(head, category), plaintext, random }) }
  })
  const plaintext = encodeForm(rootForm, {
    v: VERSION,
    linkSecret: keyring.linkSecret,
    sectionKeys: CATEGORIES.map((category) => ({ category, key: keyring.sections[category].key })),
    controllers: [...keyring.controllers],
    links: [...keyring.links],
    unlockers: keyring.unlockers.map((each) =>
      each.kind === 'guardians' ? { ...each, guardians: [...each.guardians], homes: [...each.homes] } : each,
    ),
  })
  const root = gcmSeal({ key: krk, aad: rootAad(head, sections), plaintext, random })
  const bytes = encodeForm(sealedForm, { ...head, root, sections })
  const leaf = { keyringId: keyring.keyringId, version, digest: sha256(bytes) }
  return { bytes, leaf, keyring: { ...keyring, version, prev: leaf.digest } }
}

/**
 * Opens a stored keyring. `known`: the newest version and digest that the device has seen; an older one, or another
 * one of the same number, is refused with KEYRING_ROLLED_BACK. Errors also: OPEN_FAILED, CBOR, SCHEMA, UNKNOWN_VERSION.
 */
export function openKeyring(options: {
  readonly bytes: Uint8Array
  readonly krk: Uint8Array
  readonly known?: KeyringLeaf
}): Keyring {
  const sealed = readSealed(options.bytes)
  const digest = sha256(options.bytes)
  checkNotOlder(sealed, digest, options.known)
  const opened = gcmOpen({ key: options.krk, aad: rootAad(sealed, sealed.sections), sealed: sealed.root })
  const root = decodeForm(rootForm, opened, { maxBytes: SEALED_MAX_BYTES, version: VERSION })
  const sections = mapSections((category) => {
    const key = root.sectionKeys.find((each) => each.category === category)?.key
    if (key === undefined)
      throw new AppError('KEYRING_FORMAT', `sectionKeys: ${category} is missing`, { category })
    return openSealedSection(sealed, category, key)
  })
  const { linkSecret, controllers, links, unlockers } = root
  const { id: keyringId, version, krkGeneration } = sealed
  return {
    v: 1,
    keyringId,
    version,
    prev: digest,
    krkGeneration,
    linkSecret,
    sections,
    controllers,
    links,
    unlockers,
  }
}

/** Opens one section with its own key, as a delegate does. Errors: OPEN_FAILED and those of decoding. */
export function openSection(bytes: Uint8Array, category: Category, key: Uint8Array): Section {
  return openSealedSection(readSealed(bytes), category, key)
}

/** Reads what is in clear. Errors: CBOR, SCHEMA, UNKNOWN_VERSION, SUITE. */
export function readSealed(bytes: Uint8Array): SealedKeyring {
  const sealed = decodeForm(sealedForm, bytes, { maxBytes: SEALED_MAX_BYTES, version: VERSION })
  if (sealed.suite !== SUITE) {
    throw new AppError(
      'SUITE',
      `suite: ${sealed.suite} is unknown, this program knows ${SUITE}; update it`,
      {},
    )
  }
  return sealed
}

/**
 * Compare-and-swap at home: checks that `bytes` follows what is stored and returns its leaf.
 * Errors: KEYRING_CONFLICT (another device was first: open the stored version and make the change again).
 */
export function acceptVersion(bytes: Uint8Array, stored: KeyringLeaf | undefined): KeyringLeaf {
  const { id, version, prev } = readSealed(bytes)
  const follows =
    stored === undefined
      ? version === 1 && prev === undefined
      : equal(id, stored.keyringId) &&
        version === stored.version + 1 &&
        prev !== undefined &&
        equal(prev, stored.digest)
  if (!follows) {
    throw new AppError(
      'KEYRING_CONFLICT',
      `version: ${version} does not follow the stored ${stored?.version ?? 0}; open what is stored and make the change again`,
      { version, stored: stored?.version ?? 0 },
    )
  }
  return { keyringId: id, version, digest: sha256(bytes) }
}

type Head = Omit<SealedKeyring, 'root' | 'sections'>

function openSealedSection(sealed: SealedKeyring, category: Category, key: Uint8Array): Section {
  const found = sealed.sections.find((each) => each.category === category)
  if (found === undefined)
    throw new AppError('KEYRING_FORMAT', `sections: ${category} is missing`, { category })
  const opened = gcmOpen({ key, aad: sectionAad(sealed, category), sealed: found.sealed })
  return { key, ...decodeForm(sectionForm, opened, { maxBytes: SEALED_MAX_BYTES }) }
}

function checkNotOlder(sealed: SealedKeyring, digest: Uint8Array, known: KeyringLeaf | undefined): void {
  if (known === undefined) return
  const newer = sealed.version > known.version
  const same = sealed.version === known.version && equal(digest, known.digest)
  if (equal(sealed.id, known.keyringId) && (newer || same)) return
  throw new AppError(
    'KEYRING_ROLLED_BACK',
    `version: home gave ${sealed.version}, this device has seen ${known.version}; do not go on, tell your organisation`,
    { version: sealed.version, known: known.version },
  )
}

const sectionAad = ({ suite, id, version }: Head, category: Category): Uint8Array =>
  tuple('salus/keyring-section/v1', suite, id, version, category)

/** Binds the sections too, so that none can be taken from another version. */
function rootAad(head: Head, sections: SealedKeyring['sections']): Uint8Array {
  const { suite, id, version, prev, krkGeneration } = head
  const digest = sha256(tuple(...sections.map((each) => [each.category, each.sealed])))
  return tuple('salus/keyring/v1', suite, id, version, prev ?? null, krkGeneration, digest)
}
