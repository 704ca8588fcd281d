import {
  AppError,
  decodeForm,
  equal,
  hmacBytes,
  type SignedForm,
  sealKeyPair,
  sha256,
  signedMessage,
  signingKey,
  toBase64url,
} from '@salus/core'
import { type DeviceKeys, recoverKrk } from '@salus/keys'
import { bodyFor } from '@salus/ledger'
import { type Connection, sendFor } from '@salus/sdk'
import {
  openShareReply,
  type RecoveryPlan,
  recoveryPlanSchema,
  type ShareRequest,
  signShareRequest,
} from '../recovery.ts'
import { signedJson } from './forms.ts'
import { memberKeys } from './guardians.ts'
import { fetchKeyring } from './home.ts'
import type { LedgerReader } from './ledger-reader.ts'
import type { DeviceContext, Person } from './person.ts'
import { askedForm, openedRecoveryForm, repliesForm, startedRecoveryForm } from './recovery-forms.ts'
import { finishRenewal, takeOver, type Unfinished } from './renewal.ts'

const BODY_LIFE_MS = 5 * 60_000

/** A recovery that waits for its delay; the new device keeps it, as it is, for three days. */
export interface RecoveryAttempt {
  readonly r: Uint8Array
  readonly keyringId: Uint8Array
  readonly home: string
  /** Seeds of the one-time keys that the ledger and the guardians know this attempt by. */
  readonly signSeed: Uint8Array
  readonly sealSeed: Uint8Array
  readonly plan: RecoveryPlan
  readonly envelope: Uint8Array
  /** What was asked: home first, then the guardians in order. */
  readonly asked: readonly { readonly request: ShareRequest; readonly signed: SignedForm }[]
  readonly readyMs: number
}

/**
 * Starts a recovery with a code from home's desk. Checks the plan against the ledger, so that home cannot name
 * guardians of its own; asks all guardians at once. Throws AppError `CODE_REFUSED`, `RECOVERY`, `TX_REJECTED`.
 */
export async function startRecovery(
  home: Connection,
  input: { readonly code: string; readonly context: DeviceContext; readonly ledger: LedgerReader },
): Promise<RecoveryAttempt> {
  const { context, ledger } = input
  const { random, chainId, clock } = context
  const signSeed = random(32)
  const sealSeed = random(32)
  const key = signingKey(signSeed)
  const opened = await sendFor(home, 'POST', '/home/recoveries', openedRecoveryForm, {
    json: { code: input.code, newKey: toBase64url(key.publicKey) },
  })
  const { r, keyringId, envelope } = opened
  const plan = decodeForm(recoveryPlanSchema, opened.plan, { maxBytes: 4_096, version: 1 })
  const armed = await ledger.recovery(r)
  const committed = hmacBytes(opened.salt, sha256(opened.plan))
  if (armed === undefined || !equal(armed.c, committed) || !equal(plan.check, sha256(envelope)))
    throw new AppError('RECOVERY', 'plan: home does not show the one that was armed; tell your organisation')
  const body = bodyFor({
    chainId,
    call: 'identity/startRecovery',
    args: { r, newKey: key.publicKey },
    untilMs: clock.now() + BODY_LIFE_MS,
    publicKeys: [key.publicKey, opened.homeKey],
    random,
  })
  const sig = key.sign(signedMessage('tx', chainId, body))
  const path = `/home/recoveries/${toBase64url(r)}`
  const { readyMs } = await sendFor(home, 'POST', `${path}/start`, startedRecoveryForm, {
    json: { body: toBase64url(body), sig: toBase64url(sig) },
  })
  const asked = [0, ...plan.guardians.map((_, at) => at + 1)].map((index) => {
    const request: ShareRequest = {
      v: 1,
      r,
      part: index === 0 ? 'home' : 'guardian',
      index,
      newKey: key.publicKey,
      sealKey: sealKeyPair(sealSeed).publicKey,
      time: clock.now(),
    }
    return { request, signed: signShareRequest(key, chainId, request) }
  })
  for (const { signed } of asked.slice(1))
    await sendFor(home, 'POST', `${path}/requests`, askedForm, { json: { request: signedJson(signed) } })
  return { r, keyringId, home: plan.home, signSeed, sealSeed, plan, envelope, asked, readyMs }
}

/** How many guardians have answered so far. */
export async function answersSoFar(home: Connection, attempt: RecoveryAttempt): Promise<number> {
  const path = `/home/recoveries/${toBase64url(attempt.r)}/replies`
  return (await sendFor(home, 'GET', path, repliesForm)).replies.length
}

/**
 * Completes a recovery after its delay: home's half (or its copy's), the guardians' shares, `KRK`; then everything that
 * the lost device knows is replaced, and it is shut out. No guardians are named afterwards: arm again.
 * Throws AppError `RECOVERY_NOT_READY`, `GUARDIANS_TOO_FEW`, `GUARDIANS_WRONG_SHARE`, `RECOVERY`.
 */
export async function completeRecovery(
  home: Connection,
  input: {
    readonly attempt: RecoveryAttempt
    readonly device: DeviceKeys
    readonly deviceLabel: string
    readonly context: DeviceContext
    readonly ledger: LedgerReader
    readonly connectionTo: (org: string) => Connection
    readonly sponsor: Connection
  },
): Promise<{ readonly person: Person; readonly unfinished: readonly Unfinished[] }> {
  const { attempt, context } = input
  const { r, envelope, keyringId } = attempt
  const homeHalf = await homeHalfOf(home, input)
  const { replies } = await sendFor(home, 'GET', `/home/recoveries/${toBase64url(r)}/replies`, repliesForm)
  const shares = replies.flatMap(({ index, reply }) => {
    const helperKey = attempt.plan.guardians[index - 1]
    return helperKey === undefined ? [] : [openReply(attempt, { index, reply, helperKey, context })]
  })
  const newKey = sealKeyPair(attempt.sealSeed)
  const krk = await recoverKrk({ envelope, shares, homeHalf, newKey, recovery: r })
  const { keyring } = await fetchKeyring(home, keyringId)
  const person = await takeOver(home, { ...input, org: attempt.home, krk, keyring, keyringId })
  return finishRenewal(home, { ...input, person })
}

/** From home, or from the second organisation when home is out of reach. */
async function homeHalfOf(
  home: Connection,
  input: {
    readonly attempt: RecoveryAttempt
    readonly context: DeviceContext
    readonly ledger: LedgerReader
    readonly connectionTo: (org: string) => Connection
  },
): Promise<Uint8Array> {
  const { attempt, context, ledger, connectionTo } = input
  const { home: first, copyHome } = attempt.plan
  const from = async (connection: Connection, org: string) => {
    const path = `/home/recoveries/${toBase64url(attempt.r)}/requests`
    const signed = attempt.asked[0]?.signed as SignedForm
    const { reply } = await sendFor(connection, 'POST', path, askedForm, {
      json: { request: signedJson(signed) },
    })
    if (reply === undefined) throw new AppError('BAD_REPLY', 'recovery: no half came; ask again', { org })
    const { sign } = await memberKeys(ledger, org)
    return openReply(attempt, { index: 0, reply, helperKey: sign, context })
  }
  try {
    return await from(home, first)
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'RECOVERY_NOT_READY' || copyHome === first) throw error
    return from(connectionTo(copyHome), copyHome)
  }
}

function openReply(
  attempt: RecoveryAttempt,
  input: {
    readonly index: number
    readonly reply: SignedForm
    readonly helperKey: Uint8Array
    readonly context: DeviceContext
  },
): Uint8Array {
  const asked = attempt.asked[input.index]
  if (asked === undefined) throw new AppError('RECOVERY', 'index: was not asked')
  return openShareReply({
    signed: input.reply,
    request: asked.request,
    signedRequest: asked.signed,
    helperKey: input.helperKey,
    key: sealKeyPair(attempt.sealSeed),
    chainId: input.context.chainId,
  })
}
