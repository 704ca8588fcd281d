import {
  AppError,
  equal,
  hmacBytes,
  type Random,
  type SigningKey,
  sealKeyPair,
  sha256,
  signingKey,
  utf8,
} from '@salus/core'
import {
  CATEGORIES,
  type Category,
  type CompartmentEpoch,
  type ControlledKind,
  type ControllerKey,
  type Keyring,
  type Section,
  type Unlocker,
} from './keyring-types.ts'

/** Limits of a keyring, so that a stored one stays small enough to hold in memory many times over. */
export const KEYRING_LIMITS = { epochs: 200, controllers: 20_000, links: 500, unlockers: 32, labelChars: 200 }

export interface KeyringContext {
  readonly random: Random
  readonly nowMs: number
}

/** A new keyring with epoch 1 of every compartment; version 0, that is, not stored yet. */
export function newKeyring({ random, nowMs }: KeyringContext): Keyring {
  return {
    v: 1,
    keyringId: random(16),
    version: 0,
    prev: undefined,
    krkGeneration: 1,
    linkSecret: random(32),
    sections: mapSections(() => ({
      key: random(32),
      comp: random(16),
      epochs: [{ epoch: 1, seed: random(32), sinceMs: nowMs }],
    })),
    controllers: [],
    links: [],
    unlockers: [],
  }
}

/** A new key-ring-key, 32 B. */
export const newKrk = (random: Random): Uint8Array => random(32)

/** The newest epoch of a compartment. */
export function currentEpoch(keyring: Keyring, category: Category): CompartmentEpoch {
  return lastEpoch(keyring.sections[category])
}

/**
 * Starts a new epoch of the named compartments (claim, device compromise, delegate removal, erasure, yearly).
 * Section keys are renewed too: a delegate who had one keeps what she read and gets nothing newer.
 */
export function nextEpochs(
  keyring: Keyring,
  categories: readonly Category[],
  context: KeyringContext,
): Keyring {
  const wanted = new Set(categories)
  return {
    ...keyring,
    sections: mapSections((category) => {
      const section = keyring.sections[category]
      if (!wanted.has(category)) return section
      limit(section.epochs.length, KEYRING_LIMITS.epochs, `epochs of ${category}`)
      const epoch = { epoch: lastEpoch(section).epoch + 1, seed: context.random(32), sinceMs: context.nowMs }
      return { ...section, key: context.random(32), epochs: [...section.epochs, epoch] }
    }),
  }
}

/** Forgets all epochs of a compartment before `epoch`: for erasure, after what remains was wrapped anew. */
export function dropEpochsBefore(keyring: Keyring, category: Category, epoch: number): Keyring {
  const section = keyring.sections[category]
  const epochs = section.epochs.filter((each) => each.epoch >= epoch)
  if (epochs.length === 0) {
    throw new AppError(
      'KEYRING_EPOCH',
      `epoch ${epoch} of ${category} does not exist; start it with nextEpochs before dropping older ones`,
      { category, epoch },
    )
  }
  return { ...keyring, sections: { ...keyring.sections, [category]: { ...section, epochs } } }
}

/** The seal key pair that opens objects of this compartment and epoch, or undefined if it is not in the keyring. */
export function compartmentKey(
  sections: Partial<Keyring['sections']>,
  comp: Uint8Array,
  epoch: number,
): { readonly category: Category; readonly seed: Uint8Array } | undefined {
  for (const category of CATEGORIES) {
    const section = sections[category]
    if (section === undefined || !equal(section.comp, comp)) continue
    const found = section.epochs.find((each) => each.epoch === epoch)
    return found && { category, seed: found.seed }
  }
  return undefined
}

/** X-Wing public key of a compartment's newest epoch, as write cards carry it; 1,216 B. */
export function compartmentPublicKey(keyring: Keyring, category: Category): Uint8Array {
  return sealKeyPair(currentEpoch(keyring, category).seed).publicKey
}

/** Id of a ledger object: first 16 B of `H` of its controller's public key (protocol §4, §11). */
export const controlledId = (publicKey: Uint8Array): Uint8Array => sha256(publicKey).slice(0, 16)

/** Adds a fresh one-time controller key; returns the new keyring and the key with the id of what it controls. */
export function addController(
  keyring: Keyring,
  kind: ControlledKind,
  random: Random,
): { readonly keyring: Keyring; readonly id: Uint8Array; readonly key: SigningKey } {
  limit(keyring.controllers.length, KEYRING_LIMITS.controllers, 'controller keys')
  const key = signingKey(random(32))
  const controller: ControllerKey = { kind, id: controlledId(key.publicKey), seed: key.seed }
  return {
    keyring: { ...keyring, controllers: [...keyring.controllers, controller] },
    id: controller.id,
    key,
  }
}

/** The key that controls a ledger object now, or undefined. */
export function controllerKey(keyring: Keyring, id: Uint8Array): SigningKey | undefined {
  const found = keyring.controllers.find((each) => equal(each.id, id))
  return found && signingKey(found.seed)
}

/** Replaces an object's controller (`consent/rotate`): same id, new key. Errors: KEYRING_CONTROLLER. */
export function replaceController(
  keyring: Keyring,
  id: Uint8Array,
  random: Random,
): { readonly keyring: Keyring; readonly key: SigningKey } {
  if (controllerKey(keyring, id) === undefined) {
    throw new AppError('KEYRING_CONTROLLER', 'id: no controller key of this keyring controls that object', {})
  }
  const key = signingKey(random(32))
  const controllers = keyring.controllers.map((each) =>
    equal(each.id, id) ? { ...each, seed: key.seed } : each,
  )
  return { keyring: { ...keyring, controllers }, key }
}

/** Forgets the controller keys of objects that have ended. */
export function dropControllers(keyring: Keyring, ids: readonly Uint8Array[]): Keyring {
  const controllers = keyring.controllers.filter((each) => !ids.some((id) => equal(each.id, id)))
  return { ...keyring, controllers }
}

/** Makes (or, for a known organisation, replaces) the link key of an organisation. */
export function makeLink(
  keyring: Keyring,
  org: string,
  random: Random,
): { readonly keyring: Keyring; readonly key: SigningKey } {
  const others = keyring.links.filter((each) => each.org !== org)
  limit(others.length, KEYRING_LIMITS.links, 'link keys')
  const key = signingKey(random(32))
  return { keyring: { ...keyring, links: [...others, { org, seed: key.seed }] }, key }
}

/** The link key of an organisation, or undefined. */
export function linkKey(keyring: Keyring, org: string): SigningKey | undefined {
  const found = keyring.links.find((each) => each.org === org)
  return found && signingKey(found.seed)
}

/** `sub = HMAC(linkSecret, orgId)`: what an organisation knows the owner by. 32 B. Protocol §9. */
export const linkSub = (keyring: Keyring, org: string): Uint8Array => hmacBytes(keyring.linkSecret, utf8(org))

/** Adds an unlocker, or replaces the one with the same id. */
export function withUnlocker(keyring: Keyring, unlocker: Unlocker): Keyring {
  const others = keyring.unlockers.filter((each) => !equal(each.id, unlocker.id))
  limit(others.length, KEYRING_LIMITS.unlockers, 'unlockers')
  return { ...keyring, unlockers: [...others, unlocker] }
}

/** Removes an unlocker. What it could open stays open to it until `rotateKrk` (rotate.ts). */
export function withoutUnlocker(keyring: Keyring, id: Uint8Array): Keyring {
  return { ...keyring, unlockers: keyring.unlockers.filter((each) => !equal(each.id, id)) }
}

/** Builds the sections, one per category, in the fixed order. */
export function mapSections(make: (category: Category) => Section): Record<Category, Section> {
  return Object.fromEntries(CATEGORIES.map((category) => [category, make(category)])) as Record<
    Category,
    Section
  >
}

function lastEpoch(section: Section): CompartmentEpoch {
  const last = section.epochs[section.epochs.length - 1]
  if (last === undefined) throw new AppError('KEYRING_FORMAT', 'sections: a compartment has no epoch', {})
  return last
}

function limit(count: number, max: number, what: string): void {
  if (count >= max) {
    throw new AppError('KEYRING_LIMIT', `${what}: at most ${max}; remove those that have ended first`, {
      max,
    })
  }
}
