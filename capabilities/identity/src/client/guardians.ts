import {
  AppError,
  encodeForm,
  equal,
  type Infer,
  isAppError,
  sha256,
  signingKey,
  toBase64url,
} from '@salus/core'
import {
  type ControllerKey,
  controlledId,
  controllerKey,
  type DeviceKeys,
  guardiansUnlocker,
  passOnPart,
  withUnlocker,
  wrapForGuardians,
} from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, execute, sendFor, sendForJson } from '@salus/sdk'
import {
  mayHelp,
  openShareRequest,
  recoveryArgs,
  recoveryPlanSchema,
  replyToShareRequest,
} from '../recovery.ts'
import { signedJson } from './forms.ts'
import { changeKeyring } from './home.ts'
import type { LedgerReader, RecoveryState } from './ledger-reader.ts'
import type { DeviceContext, Person } from './person.ts'
import {
  type armForm,
  type guardianReplyForm,
  recoveryStateForm,
  waitingRequestForm,
} from './recovery-forms.ts'

const BODY_LIFE_MS = 5 * 60_000

/** What a guardian's device shows to the person who asks her; usually one picture code. */
export interface GuardianCard {
  readonly label: string
  /** Ed25519, 32 B, and X-Wing, 1,216 B, of her device. */
  readonly signKey: Uint8Array
  readonly sealKey: Uint8Array
}

export const guardianCard = (device: DeviceKeys, label: string): GuardianCard => ({
  label,
  signKey: device.sign.publicKey,
  sealKey: device.seal.publicKey,
})

/** What a guardian's device keeps: sealed to it, and of no use to anybody alone. */
export interface GuardianShare {
  readonly r: Uint8Array
  /** From 1. */
  readonly index: number
  /** Where requests wait. */
  readonly home: string
  readonly part: Uint8Array
}

/**
 * Names guardians (protocol §6): 3 of 5 unless told. The plan is committed on the ledger, home and a second
 * organisation keep a half, the shares are returned to be handed to the guardians. A new `KRK` needs a new arming:
 * `recoveryState` tells. `home` has a session.
 */
export async function armRecovery(
  home: Connection,
  input: {
    readonly person: Person
    readonly context: DeviceContext
    readonly guardians: readonly GuardianCard[]
    readonly threshold?: number
    /** Keeps the copy of home's half; home itself in a network of one. */
    readonly copyHome: string
    readonly sponsor: Connection
    readonly ledger: LedgerReader
  },
): Promise<{ readonly person: Person; readonly shares: readonly GuardianShare[] }> {
  const { context, guardians, copyHome, ledger, threshold = 3 } = input
  const { random, clock, chainId } = context
  const orgs = copyHome === input.person.home ? [copyHome] : [input.person.home, copyHome]
  const homes = await Promise.all(
    orgs.map(async (org) => ({ label: org, publicKey: (await memberKeys(ledger, org)).seal })),
  )
  const unlocker = guardiansUnlocker({
    id: random(16),
    label: 'Guardians',
    guardians: guardians.map(({ label, sealKey }) => ({ label, publicKey: sealKey })),
    homes,
    threshold,
    nowMs: clock.now(),
  })
  const cancelKey = signingKey(random(32))
  const r = controlledId(cancelKey.publicKey)
  const mine: ControllerKey = { kind: 'recovery', id: r, seed: cancelKey.seed }
  // The cancel key is stored before the ledger knows it: an armed recovery that nobody can cancel would be a trap.
  const stored = await changeKeyring(home, {
    person: input.person,
    context,
    change: (keyring) => {
      const others = keyring.unlockers.filter(({ kind }) => kind !== 'guardians')
      const added = withUnlocker({ ...keyring, unlockers: others }, unlocker)
      return { ...added, controllers: [...added.controllers, mine] }
    },
  })
  const { keyring, krk } = stored
  const { keyringId, krkGeneration } = keyring
  const setup = await wrapForGuardians({ krk, krkGeneration, keyringId, unlocker, random })
  const plan = encodeForm(recoveryPlanSchema, {
    v: 1,
    home: stored.home,
    copyHome,
    threshold,
    guardians: guardians.map(({ signKey }) => signKey),
    check: sha256(setup.envelope),
  })
  const salt = random(32)
  const args = recoveryArgs(plan, salt, cancelKey.publicKey)
  const untilMs = clock.now() + BODY_LIFE_MS
  await execute(
    input.sponsor,
    signBody({ chainId, call: 'identity/armRecovery', args, untilMs, keys: [cancelKey], random }),
  )
  const [homeHalf, copyHalf] = setup.homeHalves
  await sendForJson(home, 'PUT', '/home/recovery', {
    json: {
      plan: toBase64url(plan),
      salt: toBase64url(salt),
      cancelKey: toBase64url(cancelKey.publicKey),
      envelope: toBase64url(setup.envelope),
      homeHalf: toBase64url(homeHalf as Uint8Array),
      ...(copyHalf === undefined ? {} : { copyHalf: toBase64url(copyHalf) }),
    } satisfies { [K in keyof Infer<typeof armForm>]?: unknown },
  })
  // Only now: until here an earlier recovery was the one that worked.
  const person = await changeKeyring(home, {
    person: stored,
    context,
    change: (ring) => ({
      ...ring,
      controllers: ring.controllers.filter((each) => each.kind !== 'recovery' || equal(each.id, r)),
    }),
  })
  const shares = setup.shares.map((part, at) => ({ r, index: at + 1, home: stored.home, part }))
  return { person, shares }
}

/** The person's recovery on the ledger, whatever home says: her devices look at it. Undefined when none is armed. */
export async function recoveryState(
  ledger: LedgerReader,
  person: Person,
): Promise<(RecoveryState & { readonly r: Uint8Array }) | undefined> {
  const r = person.keyring.controllers.find(({ kind }) => kind === 'recovery')?.id
  const row = r && (await ledger.recovery(r))
  return r === undefined || row === undefined ? undefined : { r, ...row }
}

/** Whether what guardians hold still opens the keyring; false after every new `KRK`. */
export async function recoveryIsCurrent(home: Connection, person: Person): Promise<boolean> {
  try {
    const state = await sendFor(home, 'GET', '/home/recovery', recoveryStateForm)
    return state.krkGeneration === person.keyring.krkGeneration
  } catch (error) {
    if (isAppError(error, 'NOT_FOUND')) return false
    throw error
  }
}

/** Stops a recovery that the person did not start. Any node sponsors it. Throws AppError `TX_REJECTED` when too late. */
export async function cancelRecovery(
  sponsor: Connection,
  { person, context }: { readonly person: Person; readonly context: DeviceContext },
): Promise<void> {
  const r = person.keyring.controllers.find(({ kind }) => kind === 'recovery')?.id
  const key = r && controllerKey(person.keyring, r)
  if (r === undefined || key === undefined)
    throw new AppError('NOT_FOUND', 'recovery: none is armed for this account')
  const { chainId, clock, random } = context
  const untilMs = clock.now() + BODY_LIFE_MS
  await execute(
    sponsor,
    signBody({ chainId, call: 'identity/cancelRecovery', args: { r }, untilMs, keys: [key], random }),
  )
}

/**
 * On a guardian's device, when the person whom she helps has called her: answers the request that waits, if the ledger
 * that *she* asks says that the delay has passed uncancelled. `home` is the person's home, without a session.
 */
export async function answerShareRequest(
  home: Connection,
  input: {
    readonly share: GuardianShare
    readonly device: DeviceKeys
    readonly context: DeviceContext
    readonly ledger: LedgerReader
  },
): Promise<'answered' | 'too-early' | 'nobody-asks'> {
  const { share, device, context, ledger } = input
  const { r, index } = share
  const path = `/home/recoveries/${toBase64url(r)}`
  const { request: signed } = await sendFor(home, 'GET', `${path}/requests/${index}`, waitingRequestForm)
  const recovery = await ledger.recovery(r)
  if (signed === undefined || recovery?.newKey === undefined) return 'nobody-asks'
  const request = openShareRequest(recovery.newKey, context.chainId, signed)
  if (!equal(request.r, r) || request.index !== index || request.part !== 'guardian') return 'nobody-asks'
  const now = { headTimeMs: await ledger.headTimeMs(), clockMs: context.clock.now() }
  if (!mayHelp(recovery, request, now)) return 'too-early'
  const { random, chainId } = context
  const part = passOnPart({
    part: share.part,
    key: device.seal,
    recovery: r,
    newKey: request.sealKey,
    random,
  })
  const reply = replyToShareRequest({
    request,
    signedRequest: signed,
    part,
    key: device.sign,
    chainId,
    random,
  })
  await sendForJson(home, 'POST', `${path}/replies`, {
    json: { index, reply: signedJson(reply) } satisfies {
      [K in keyof Infer<typeof guardianReplyForm>]: unknown
    },
  })
  return 'answered'
}

/** Throws AppError `NOT_FOUND`. */
export async function memberKeys(ledger: LedgerReader, org: string) {
  const keys = await ledger.keysOf(org)
  if (keys === undefined) throw new AppError('NOT_FOUND', 'org: is no organisation of this network', { org })
  return keys
}
