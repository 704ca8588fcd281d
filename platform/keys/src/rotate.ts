import { AppError, equal, type Random, type SigningKey } from '@salus/core'
import { type KeyringContext, makeLink, newKrk, nextEpochs, replaceController } from './keyring.ts'
import { CATEGORIES, type Keyring } from './keyring-types.ts'
import { wrapKrk } from './unlockers/envelope.ts'
import { type GuardianSetup, wrapForGuardians } from './unlockers/guardians.ts'

/** What home stores so that every unlocker in the keyring can open it. */
export interface WrappedKrk {
  /** One per device, passkey, recovery code or host, in the keyring's order. */
  readonly envelopes: readonly Uint8Array[]
  readonly guardians: readonly GuardianSetup[]
}

/** Wraps `krk` to every unlocker that the keyring lists. */
export async function wrapForAll(keyring: Keyring, krk: Uint8Array, random: Random): Promise<WrappedKrk> {
  const common = { krk, krkGeneration: keyring.krkGeneration, keyringId: keyring.keyringId, random }
  const envelopes: Uint8Array[] = []
  const guardians: GuardianSetup[] = []
  for (const unlocker of keyring.unlockers) {
    if (unlocker.kind === 'guardians') guardians.push(await wrapForGuardians({ ...common, unlocker }))
    else envelopes.push(wrapKrk({ ...common, unlocker }))
  }
  return { envelopes, guardians }
}

/**
 * A new `KRK`, after a device left or something was erased: take the unlocker out first (`withoutUnlocker`), then seal
 * under the new key and store what `wrapForAll` gives in place of all earlier envelopes.
 */
export function rotateKrk(
  keyring: Keyring,
  random: Random,
): { readonly keyring: Keyring; readonly krk: Uint8Array } {
  return { keyring: { ...keyring, krkGeneration: keyring.krkGeneration + 1 }, krk: newKrk(random) }
}

export interface Claimed {
  readonly keyring: Keyring
  readonly krk: Uint8Array
  /** For `consent/rotate` and the like: the old key signs with the new one. */
  readonly controllers: readonly {
    readonly id: Uint8Array
    readonly oldSeed: Uint8Array
    readonly newKey: SigningKey
  }[]
  /** To register at each organisation, signed by the old one. */
  readonly links: readonly {
    readonly org: string
    readonly oldSeed: Uint8Array
    readonly newKey: SigningKey
  }[]
}

/**
 * Claim of a hosted keyring (protocol §2), or the answer to a stolen device: a new `KRK`, new link keys, new
 * controllers and new epochs everywhere. Only the unlockers in `keep` (ids) stay. Errors: KEYRING_UNLOCKER.
 */
export function renewAll(
  keyring: Keyring,
  { keep, random, nowMs }: KeyringContext & { readonly keep: readonly Uint8Array[] },
): Claimed {
  const unlockers = keyring.unlockers.filter((each) => keep.some((id) => equal(each.id, id)))
  if (unlockers.length === 0) {
    throw new AppError(
      'KEYRING_UNLOCKER',
      'keep: names no unlocker of this keyring; add the device first',
      {},
    )
  }
  let next = nextEpochs({ ...keyring, unlockers }, CATEGORIES, { random, nowMs })
  const controllers = keyring.controllers.map(({ id, seed }) => {
    const made = replaceController(next, id, random)
    next = made.keyring
    return { id, oldSeed: seed, newKey: made.key }
  })
  const links = keyring.links.map(({ org, seed }) => {
    const made = makeLink(next, org, random)
    next = made.keyring
    return { org, oldSeed: seed, newKey: made.key }
  })
  return { ...rotateKrk(next, random), controllers, links }
}
