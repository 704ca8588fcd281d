import { AppError, equal, toBase64url } from '@salus/core'
import { addController, type Keyring, linkSub, nextEpochs, shareSections } from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, execute, sendForJson } from '@salus/sdk'
import { delegateArgs, type Mandate, signMandate } from '../delegation.ts'
import type { SignedMandate } from '../terms.ts'
import type { Action, Compartment } from '../vocabulary.ts'
import { controllerSigner, type DeviceContext } from './draft-terms.ts'

const BODY_LIFE_MS = 5 * 60_000

/** Name under which a delegate's keyring keeps her link key for an organisation: she may be a patient there herself. */
export function delegateLinkName(org: string, d: Uint8Array): string {
  return `${org}#${toBase64url(d).slice(0, 11)}`.slice(-64)
}

/** A delegation, drafted: its key goes into the keyring, and the keyring home, before it is made. */
export interface DelegationDraft {
  readonly d: Uint8Array
  readonly mandate: SignedMandate
  readonly controller: Keyring['controllers'][number]
}

/** Drafts a mandate with a fresh controller key. Throws AppError `SCHEMA`. */
export function draftDelegation(
  keyring: Keyring,
  input: {
    readonly compartments: readonly Compartment[]
    readonly actions: readonly Action[]
    /** Ends, ms UTC: the 18th birthday, say. */
    readonly until: number
    readonly evidence: Mandate['evidence']
    readonly context: Pick<DeviceContext, 'chainId' | 'random'>
  },
): DelegationDraft {
  const { compartments, actions, until, evidence, context } = input
  const made = addController(keyring, 'delegation', context.random)
  const mandate = signMandate({
    mandate: {
      v: 1,
      d: made.id,
      scope: { compartments: [...compartments], actions: [...actions] },
      until,
      evidence,
    },
    salt: context.random(32),
    controller: made.key,
    chainId: context.chainId,
  })
  return { d: made.id, mandate, controller: { kind: 'delegation', id: made.id, seed: made.key.seed } }
}

/** What the delegate's device receives, over a channel of the two: sections open to her device only. */
export interface DelegatePackage {
  readonly d: Uint8Array
  readonly mandate: SignedMandate
  /** Section keys sealed to the delegate's device; `openSharedSections` of the keys package. */
  readonly sections: Uint8Array
  /** What each organisation knows the patient by, for terms that the delegate drafts. */
  readonly subs: readonly { readonly org: string; readonly sub: Uint8Array }[]
}

/**
 * Makes a delegation (protocol §6): final on the ledger, then the sections of its categories sealed to the delegate's
 * device. `connection` is to home. Her own link keys are registered with the patient's endorsement, at each custodian.
 */
export async function makeDelegation(
  connection: Connection,
  input: {
    readonly draft: DelegationDraft
    readonly keyring: Keyring
    /** The delegate's device, X-Wing public key. */
    readonly to: Uint8Array
    readonly compartments: readonly Compartment[]
    /** Organisations that the delegate may share with. */
    readonly orgs: readonly string[]
    readonly context: DeviceContext
  },
): Promise<DelegatePackage> {
  const { draft, keyring, to, compartments, orgs, context } = input
  const { chainId, random, clock } = context
  if (!keyring.controllers.some(({ id }) => equal(id, draft.d)))
    throw new AppError(
      'KEYRING_CONTROLLER',
      'draft: its key is not in the keyring; add it with withController and store the keyring first',
    )
  await execute(
    connection,
    signBody({
      chainId,
      call: 'consent/delegate',
      args: delegateArgs(draft.mandate),
      untilMs: clock.now() + BODY_LIFE_MS,
      keys: [controllerSigner(draft.controller)],
      random,
    }),
  )
  return {
    d: draft.d,
    mandate: draft.mandate,
    sections: shareSections({ keyring, categories: compartments, d: draft.d, to, random }),
    subs: orgs.map((org) => ({ org, sub: linkSub(keyring, org) })),
  }
}

/**
 * Ends a delegation: on the ledger, and new epochs of its categories, so that the delegate opens nothing that is
 * written from now on. The returned keyring is to be stored, and its write cards renewed at every custodian.
 */
export async function endDelegation(
  connection: Connection,
  input: {
    readonly d: Uint8Array
    readonly compartments: readonly Compartment[]
    readonly keyring: Keyring
    readonly context: DeviceContext
  },
): Promise<Keyring> {
  const { d, compartments, keyring, context } = input
  const { chainId, random, clock } = context
  const controller = keyring.controllers.find(({ id }) => equal(id, d))
  if (controller === undefined)
    throw new AppError('KEYRING_CONTROLLER', 'd: no key of this keyring controls that delegation')
  await execute(
    connection,
    signBody({
      chainId,
      call: 'consent/endDelegation',
      args: { d },
      untilMs: clock.now() + BODY_LIFE_MS,
      keys: [controllerSigner(controller)],
      random,
    }),
  )
  return nextEpochs(keyring, compartments, { random, nowMs: clock.now() })
}

/** A delegate shows her mandate at a custodian (a session there with her own link key). */
export async function showMandate(
  connection: Connection,
  { mandate }: { readonly mandate: SignedMandate },
): Promise<void> {
  await sendForJson(connection, 'POST', '/me/mandate', {
    json: {
      mandate: toBase64url(mandate.mandate),
      salt: toBase64url(mandate.salt),
      k: toBase64url(mandate.k),
      sig: toBase64url(mandate.sig),
    },
  })
}
