import {
  AppError,
  bytes,
  type Infer,
  list,
  object,
  oneOf,
  openForm,
  type SignedForm,
  SUITE,
  signForm,
  text,
  uint,
} from '@salus/core'
import { compartmentPublicKey, currentEpoch, linkKey } from './keyring.ts'
import { CATEGORIES, type Category, type Keyring } from './keyring-types.ts'

const MAX_BYTES = 32 * 1024

/**
 * What a custodian needs to write for a patient who is away (protocol §3), signed by the link key (type `card`).
 * `category` tells the custodian, who labels records anyway, which compartment an opaque `comp` is.
 */
export const writeCardForm = object('A write card', {
  v: uint('Form version'),
  org: text('Custodian it is for', { min: 1, max: 64 }),
  suite: uint('Suite', { max: 255 }),
  floor: uint('Lowest suite the custodian may seal with', { max: 255 }),
  entries: list(
    object('', {
      category: oneOf('Compartment', CATEGORIES),
      comp: bytes('Opaque id, as in object headers', { length: 16 }),
      epoch: uint('Epoch'),
      pk: bytes('X-Wing public key', { length: 1_216 }),
    }),
    { min: 1, max: CATEGORIES.length },
  ),
  until: uint('Not to be used from, ms UTC'),
})
export type WriteCard = Infer<typeof writeCardForm>

/** A card for an organisation with the newest epochs of these compartments. Errors: KEYRING_LINK (no link key yet). */
export function makeWriteCard(options: {
  readonly keyring: Keyring
  readonly org: string
  readonly chainId: Uint8Array
  readonly untilMs: number
  readonly categories?: readonly Category[]
}): SignedForm {
  const { keyring, org, chainId, untilMs, categories = CATEGORIES } = options
  const key = linkKey(keyring, org)
  if (key === undefined) {
    throw new AppError(
      'KEYRING_LINK',
      'org: the keyring has no link key for it; make one with makeLink first',
      { org },
    )
  }
  const entries = categories.map((category) => ({
    category,
    comp: keyring.sections[category].comp,
    epoch: currentEpoch(keyring, category).epoch,
    pk: compartmentPublicKey(keyring, category),
  }))
  const card = { v: 1, org, suite: SUITE, floor: SUITE, entries, until: untilMs }
  return signForm(writeCardForm, card, { key, type: 'card', chainId })
}

/**
 * Reads a card at the custodian. Errors: BAD_SIGNATURE, SCHEMA, UNKNOWN_VERSION, CARD_OTHER (for another organisation),
 * CARD_ENDED, CARD_SUITE (unknown, or below its own or the network's `writeFloor`).
 */
export function openWriteCard(
  signed: SignedForm,
  options: {
    readonly linkKey: Uint8Array
    readonly chainId: Uint8Array
    readonly org: string
    readonly nowMs: number
    readonly writeFloor?: number
  },
): WriteCard {
  const { linkKey: publicKey, chainId, org, nowMs, writeFloor = SUITE } = options
  const card = openForm(writeCardForm, signed, {
    publicKey,
    type: 'card',
    chainId,
    maxBytes: MAX_BYTES,
    version: 1,
  })
  if (card.org !== org)
    throw new AppError('CARD_OTHER', 'org: the card is for another organisation; ask home for yours', {})
  if (nowMs >= card.until) {
    throw new AppError('CARD_ENDED', 'until: the card has ended; ask home for a new one', {
      until: card.until,
    })
  }
  if (card.suite !== SUITE || card.suite < card.floor || card.suite < writeFloor) {
    throw new AppError(
      'CARD_SUITE',
      `suite: ${card.suite} is unknown or below the floor; ask home for a new card`,
      {
        suite: card.suite,
      },
    )
  }
  return card
}

/** The card's entry for a compartment, or undefined. */
export const cardEntry = (card: WriteCard, category: Category): WriteCard['entries'][number] | undefined =>
  card.entries.find((each) => each.category === category)
