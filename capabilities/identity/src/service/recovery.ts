import {
  AppError,
  type CborValue,
  decode,
  decodeForm,
  equal,
  type Infer,
  openForm,
  type Random,
  type SignedForm,
  sha256,
  signedMessage,
} from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import { passOnPart } from '@salus/keys'
import { decodeBody } from '@salus/ledger'
import type { identitySchema } from '../../contract/schema.ts'
import type { armForm, openedRecoveryForm, recoveryStateForm } from '../client/recovery-forms.ts'
import {
  mayHelp,
  openShareRequest,
  type RecoveryPlan,
  recoveryArgs,
  recoveryPlanSchema,
  replyToShareRequest,
  type ShareRequest,
  shareReplySchema,
  shareRequestSchema,
} from '../recovery.ts'
import type { EnrolmentCodes } from './enrolment-codes.ts'
import type { Home } from './home.ts'
import type { Notices } from './notices.ts'
import type { IdentityAudit, IdentityKeys, IdentityLedger, OrgTransport } from './ports.ts'
import { RecoveryMail } from './recovery-mail.ts'
import { RecoveryStore } from './recovery-store.ts'
import { sendToOrg } from './relay.ts'
import { onceKnown } from './settle.ts'

/** Between the code from the desk and the start on the ledger. */
const PENDING_MS = 10 * 60_000
const MAX_PLAN_BYTES = 4_096

export interface RecoveryParts {
  readonly sql: Sql
  /** Organisation secret that seals plans and halves. */
  readonly key: Uint8Array
  readonly keys: IdentityKeys
  readonly ledger: IdentityLedger
  readonly codes: EnrolmentCodes
  readonly home: Home
  readonly notices: Notices
  readonly audit: IdentityAudit
  readonly transport: OrgTransport
  readonly clock: Clock
  readonly random: Random
}

type Armed = Infer<typeof armForm>
export type RecoveryRow = NonNullable<
  Infer<(typeof identitySchema)['queries']['recovery']['output']['inner']>
>

/**
 * Recovery through guardians and home (protocol §6). Home keeps its half and the plan, starts a recovery on the ledger
 * once staff identified the person anew, and lets nothing out before the ledger's delay has passed uncancelled.
 */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly mail: RecoveryMail
  readonly #store: RecoveryStore

  constructor(parts: RecoveryParts) {
    this.#parts = parts
    this.mail = new RecoveryMail(parts.sql)
    this.#store = new RecoveryStore(parts)
  }

  /**
   * Takes the plan and the halves of a recovery that is armed on the ledger, in place of an earlier one. The second
   * organisation has its copy before this resolves. Throws AppError `RECOVERY`, `OPEN_FAILED`, `UNREACHABLE`.
   */
  async arm(owner: Uint8Array, input: Armed): Promise<{ readonly r: Uint8Array }> {
    const { home, keys, audit, notices } = this.#parts
    const plan = decodeForm(recoveryPlanSchema, input.plan, { maxBytes: MAX_PLAN_BYTES, version: 1 })
    const { r, c } = recoveryArgs(input.plan, input.salt, input.cancelKey)
    const row = await onceKnown(this.#parts.clock, () => this.#row(r))
    if (row === undefined || !equal(row.c, c) || row.startedMs !== undefined)
      throw refusal('plan', 'is not what the ledger holds the commitment of, armed and not started')
    if (plan.home !== keys.org) throw refusal('plan.home', 'is another organisation')
    if (!equal(plan.check, sha256(input.envelope))) throw refusal('envelope', 'is not the plan’s')
    const stored = home.ofOwner(owner)
    if (stored === undefined) throw refusal('keyring', 'is not kept here; store it first')
    const krkGeneration = this.#checkHalf(input.homeHalf, stored.keyringId)
    if (krkGeneration !== stored.generation)
      throw refusal('homeHalf', 'leads to an earlier KRK; load the keyring and arm again')
    const before = this.#store.ofOwner(owner)
    if (plan.copyHome !== keys.org) {
      if (input.copyHalf === undefined)
        throw refusal('copyHalf', 'is missing for the plan’s second organisation')
      const payload = {
        r,
        half: input.copyHalf,
        keyringId: stored.keyringId,
        ...(before === undefined ? {} : { replaces: before.r }),
      }
      const path = '/org/recovery-halves'
      await sendToOrg(this.#parts, { to: plan.copyHome, path, kind: 'recovery-half', payload })
    }
    this.#store.putForOwner(r, owner, {
      half: input.homeHalf,
      keyringId: stored.keyringId,
      plan: input.plan,
      salt: input.salt,
      envelope: input.envelope,
      krkGeneration,
    })
    notices.add(owner, { kind: 'recovery-armed', about: { r } })
    await audit.record({ owner, act: 'recovery' })
    return { r }
  }

  /** Keeps the copy of a half for another home. Throws AppError `RECOVERY`, `OPEN_FAILED`. */
  async receiveHalf(from: string, payload: CborValue): Promise<void> {
    const { r, half, keyringId, replaces } = (payload ?? {}) as Readonly<Record<string, CborValue>>
    if (!(r instanceof Uint8Array) || !(half instanceof Uint8Array) || !(keyringId instanceof Uint8Array))
      throw new AppError('BAD_REQUEST', 'payload: must have r, half and keyringId')
    if ((await onceKnown(this.#parts.clock, () => this.#row(r))) === undefined)
      throw refusal('r', 'is not armed on the ledger')
    this.#checkHalf(half, keyringId)
    const known = this.#store.get(r)
    if (known !== undefined && known.fromOrg !== from) throw refusal('r', 'is kept for another home')
    this.#store.putCopy(r, from, { half }, replaces instanceof Uint8Array ? replaces : undefined)
  }

  /** An owner's recovery with its state on the ledger; undefined when none is kept here. */
  state(owner: Uint8Array): Infer<typeof recoveryStateForm> | undefined {
    const found = this.#store.ofOwner(owner)
    const row = found && this.#row(found.r)
    if (found === undefined || row === undefined) return undefined
    const { newKey, startedMs, readyMs, state } = row
    return {
      r: found.r,
      state,
      krkGeneration: found.kept.krkGeneration ?? 0,
      ...(newKey === undefined ? {} : { newKey }),
      ...(startedMs === undefined ? {} : { startedMs }),
      ...(readyMs === undefined ? {} : { readyMs }),
    }
  }

  /** Uses up a code for a person whom staff identified anew. Throws AppError `CODE_REFUSED`, `NOT_FOUND`. */
  async open(input: {
    readonly code: string
    readonly newKey: Uint8Array
  }): Promise<Infer<typeof openedRecoveryForm>> {
    const { codes, keys, clock, audit } = this.#parts
    const { owner, proofing } = codes.redeem(input.code, 'recover')
    const found = this.#store.ofOwner(owner)
    const { plan, salt, envelope, keyringId } = found?.kept ?? {}
    if (found === undefined || !plan || !salt || !envelope || !keyringId)
      throw new AppError('NOT_FOUND', 'recovery: no guardians were named for this account')
    this.#store.setPending(found.r, { key: input.newKey, untilMs: clock.now() + PENDING_MS })
    const staff = proofing.staff === undefined ? {} : { staff: proofing.staff }
    await audit.record({ owner, act: 'recovery', ...staff })
    return { r: found.r, keyringId, home: keys.org, homeKey: keys.sign.publicKey, plan, salt, envelope }
  }

  /**
   * Adds home's signature to the start, for the key that came with a code in the last ten minutes, and sponsors it.
   * Throws AppError `RECOVERY`, `TX_REJECTED`.
   */
  async start(
    r: Uint8Array,
    item: { readonly body: Uint8Array; readonly sig: Uint8Array },
  ): Promise<{ readonly readyMs: number }> {
    const { keys, ledger, clock, notices, audit } = this.#parts
    const { owner, pending: waiting } = this.#store.get(r) ?? {}
    if (owner === undefined || waiting === undefined || clock.now() >= waiting.untilMs)
      throw refusal('r', 'no code from the desk was shown for it in the last ten minutes')
    const pending = waiting.key
    const { call, args, keys: signers, chain } = decodeBody(item.body)
    const [newKey, homeKey] = signers
    const fits =
      call === 'identity/startRecovery' &&
      equal(chain, keys.chainId) &&
      signers.length === 2 &&
      equal(newKey as Uint8Array, pending) &&
      equal(homeKey as Uint8Array, keys.sign.publicKey) &&
      args['r'] instanceof Uint8Array &&
      equal(args['r'], r) &&
      args['newKey'] instanceof Uint8Array &&
      equal(args['newKey'], pending)
    if (!fits) throw refusal('body', 'must start this recovery for the key that came with the code')
    const own = keys.sign.sign(signedMessage('tx', keys.chainId, item.body))
    await ledger.submit({ body: item.body, auth: [item.sig, own] })
    this.#store.setPending(r, undefined)
    this.mail.clear(r)
    const started = this.#row(r)
    const readyMs = started?.readyMs ?? 0
    notices.add(owner, { kind: 'recovery-started', about: { r, readyMs } })
    await audit.record({ owner, act: 'recovery' })
    return { readyMs }
  }

  /**
   * Takes a share request of the device that the ledger names: for a guardian it waits to be fetched, the home half is
   * answered here. Throws AppError `RECOVERY_NOT_READY`, `RECOVERY`, `BAD_SIGNATURE`.
   */
  async ask(r: Uint8Array, signed: SignedForm): Promise<SignedForm | undefined> {
    const recovery = this.#row(r)
    if (recovery?.newKey === undefined) throw refusal('r', 'is not started on the ledger')
    const request = openShareRequest(recovery.newKey, this.#parts.keys.chainId, signed)
    if (!equal(request.r, r)) throw refusal('r', 'is another recovery’s')
    if (request.part === 'home') return this.#answer(request, signed, recovery)
    if (request.index < 1 || request.index > this.#plan(r).guardians.length)
      throw refusal('index', 'is no guardian of the plan')
    this.mail.putRequest(r, request.index, signed)
    return undefined
  }

  /** What waits for a guardian, if the ledger still names its asker. */
  waitingFor(r: Uint8Array, index: number): SignedForm | undefined {
    const signed = this.mail.request(r, index)
    const newKey = this.#row(r)?.newKey
    if (signed === undefined || newKey === undefined) return undefined
    const asked = decodeForm(shareRequestSchema, signed.bytes, { maxBytes: 4_096, version: 1 })
    return equal(asked.newKey, newKey) ? signed : undefined
  }

  /** Takes a guardian's answer, checked against the plan's key for her. Throws AppError `RECOVERY`, `BAD_SIGNATURE`. */
  answer(r: Uint8Array, index: number, reply: SignedForm): void {
    const publicKey = this.#plan(r).guardians[index - 1]
    const request = this.mail.request(r, index)
    if (publicKey === undefined || request === undefined) throw refusal('index', 'nobody asked this guardian')
    const { chainId } = this.#parts.keys
    const options = { publicKey, type: 'reply', chainId, maxBytes: 8_192, version: 1 } as const
    const opened = openForm(shareReplySchema, reply, options)
    if (!equal(opened.request, sha256(request.bytes))) throw refusal('request', 'is not the one that waits')
    this.mail.putReply(r, index, reply)
  }

  /** Forgets an owner's recovery here. */
  removeOwner(owner: Uint8Array): void {
    const found = this.#store.ofOwner(owner)
    if (found === undefined) return
    this.mail.clear(found.r)
    this.#store.removeOwner(owner)
  }

  async #answer(request: ShareRequest, signed: SignedForm, recovery: RecoveryRow): Promise<SignedForm> {
    const { keys, ledger, clock, notices, audit, random } = this.#parts
    const stored = this.#store.get(request.r)
    if (stored === undefined || request.index !== 0)
      throw refusal('index', 'the home half is 0, where it is kept')
    const now = { headTimeMs: ledger.head().timeMs, clockMs: clock.now() }
    if (!mayHelp(recovery, request, now)) {
      throw new AppError(
        'RECOVERY_NOT_READY',
        'recovery: its delay has not passed on the ledger and here; ask again when it has',
        { readyMs: recovery.readyMs },
      )
    }
    const part = passOnPart({
      part: stored.kept.half,
      key: keys.seal,
      recovery: request.r,
      newKey: request.sealKey,
      random,
    })
    const { owner } = stored
    if (owner !== undefined) {
      notices.add(owner, { kind: 'recovery-helped', about: { r: request.r } })
      await audit.record({ owner, act: 'recovery' })
    }
    const { chainId, sign: key } = keys
    return replyToShareRequest({ request, signedRequest: signed, part, key, chainId, random })
  }

  /** A half that cannot be opened is refused now, not when it is needed. Returns the KRK generation it leads to. */
  #checkHalf(half: Uint8Array, keyringId: Uint8Array): number {
    const { keys, random } = this.#parts
    const to = keys.seal.publicKey
    passOnPart({ part: half, key: keys.seal, recovery: new Uint8Array(16), newKey: to, random })
    const part = decode(half, { maxBytes: MAX_PLAN_BYTES }) as Readonly<Record<string, CborValue>>
    if (part['index'] !== 0 || !equal(part['keyringId'] as Uint8Array, keyringId))
      throw refusal('half', 'is not the home half of this keyring')
    return part['krkGeneration'] as number
  }

  #plan(r: Uint8Array): RecoveryPlan {
    const plan = this.#store.get(r)?.kept.plan
    if (plan === undefined) throw new AppError('NOT_FOUND', 'recovery: its home is another organisation')
    return decodeForm(recoveryPlanSchema, plan, { maxBytes: MAX_PLAN_BYTES, version: 1 })
  }

  #row(r: Uint8Array): RecoveryRow | undefined {
    return this.#parts.ledger.query('identity', 'recovery', { r }) as RecoveryRow | undefined
  }
}

function refusal(field: string, rule: string): AppError {
  return new AppError('RECOVERY', `${field}: ${rule}`, { path: field })
}
