import { equal, type Random, SUITE, signingKey } from '@salus/core'
import type { Clock } from '@salus/host'
import { addController, type ControllerKey, type Keyring, linkSub } from '@salus/keys'
import { type ConditionKinds, noConditions } from '../conditions.ts'
import { type Piece, renderTerms, withText } from '../template.ts'
import { encodeTerms, type SignedMandate, type Terms } from '../terms.ts'

/** What every function on a device needs and none takes for itself. */
export interface DeviceContext {
  readonly chainId: Uint8Array
  readonly random: Random
  readonly clock: Clock
}

/** What the person chose on the screen. Times are ms UTC; `from` and `to` in the filter are days. */
export interface Choices {
  readonly custodian: string
  readonly grantee: Terms['grantee']
  readonly scope: Terms['scope']
  readonly purpose: Terms['purpose']
  readonly actions: Terms['actions']
  readonly notBefore: number
  readonly notAfter: number
  /** How long what is opened may stay open, ms, at most 12 h; 30 min unless told. */
  readonly lease?: number
  readonly rate?: Terms['rate']
  readonly masks?: Terms['masks']
  readonly conditions?: Terms['conditions']
  readonly showWithheld?: boolean
  readonly standby?: NonNullable<Terms['standby']>
}

/** Terms that nobody has agreed to yet, with the key that will control the grant. */
export interface Draft {
  readonly terms: Terms
  /** As committed, linked and sealed. */
  readonly encoded: Uint8Array
  readonly g: Uint8Array
  /** Put into the keyring with `withController`, and stored at home, before the grant is made. */
  readonly controller: ControllerKey
  /** What the person reads; ids stand where a screen shows names. */
  readonly text: readonly Piece[]
}

const DEFAULT_LEASE_MS = 30 * 60_000
/** Four searches a minute, each with as many versions as an answer holds. */
const DEFAULT_RATE = { requests: 240, versions: 240_000 }

/**
 * Drafts terms with a fresh one-time controller key. `actingFor` is set by a delegate: the mandate she acts under, and
 * what the patient told her of how the grantee knows the patient.
 * Throws AppError `TERMS`, `TIME`, `UNKNOWN_CONDITION`.
 */
export function draftTerms(
  keyring: Keyring,
  input: {
    readonly choices: Choices
    readonly context: Pick<DeviceContext, 'random'>
    readonly actingFor?: { readonly mandate: SignedMandate; readonly sub: Uint8Array }
    readonly kinds?: ConditionKinds
  },
): Draft {
  const { choices, context, actingFor, kinds = noConditions } = input
  const made = addController(keyring, 'grant', context.random)
  const { lease, rate, masks, conditions, showWithheld, ...chosen } = choices
  const terms = withText(
    {
      v: 1,
      g: made.id,
      controller: made.key.publicKey,
      sub: actingFor?.sub ?? linkSub(keyring, choices.grantee.org),
      lease: lease ?? DEFAULT_LEASE_MS,
      rate: rate ?? DEFAULT_RATE,
      masks: masks ?? [],
      conditions: conditions ?? [],
      showWithheld: showWithheld ?? false,
      minSuite: SUITE,
      ...chosen,
      ...(actingFor === undefined ? {} : { mandate: actingFor.mandate }),
    },
    kinds,
  )
  const controller: ControllerKey = { kind: 'grant', id: made.id, seed: made.key.seed }
  return { terms, encoded: encodeTerms(terms), g: made.id, controller, text: renderTerms(terms, kinds) }
}

/** The keyring with a controller key in it; the same keyring if it has it already. */
export function withController(keyring: Keyring, controller: ControllerKey): Keyring {
  const has = keyring.controllers.some(({ id }) => equal(id, controller.id))
  return has ? keyring : { ...keyring, controllers: [...keyring.controllers, controller] }
}

export const controllerSigner = ({ seed }: ControllerKey) => signingKey(seed)
