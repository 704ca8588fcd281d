import { AppError, type Random, toHex } from '@salus/core'
import type { Clock, Timer } from '@salus/host'
import { type Item, signBody } from '@salus/ledger'
import { EMERGENCY_MAX_MS } from '../../contract/schema.ts'
import {
  DEGRADED_DUE_MS,
  type EmergencyStatement,
  emergencyArgs,
  encodeEmergencyStatement,
} from '../emergency.ts'
import {
  type AskSummariesParts,
  askSummaries,
  type StaffSigner,
  type SummaryAnswer,
} from './ask-summaries.ts'
import { headNow } from './decision-inputs.ts'
import type { BrokenGlass, EmergencyStore, GlassPhase } from './emergency-store.ts'
import type { Access } from './ports.ts'

const BODY_LIFE_MS = 5 * 60_000
const HOUR_MS = 3_600_000
/** How often an event that the ledger is owed is tried again, where no block tells that it moves. */
const RETRY_MS = 60_000
/** What tells that the ledger does not move, and not that it said no. */
const STANDS_STILL = new Set([
  'TX_NOT_FINAL',
  'TX_LAPSED',
  'UNREACHABLE',
  'UNAVAILABLE',
  'BUSY',
  'LEDGER_STALE',
])

export interface BreakGlassParts extends AskSummariesParts {
  readonly store: EmergencyStore
  /** Sponsors a body and waits until it is final. Throws AppError `TX_REJECTED`, `TX_NOT_FINAL`. */
  readonly submit: (item: Item) => Promise<unknown>
  /** A member of staff with the key that her credential confirms; undefined where the house does not keep it. */
  readonly signerOf: (practitioner: string) => StaffSigner | undefined
  readonly random: Random
  readonly clock: Clock
}

export interface GlassStaff {
  readonly practitioner: string
  readonly credential?: Uint8Array
}

export interface GlassInput {
  readonly patient: BrokenGlass['patient']
  readonly owner?: Uint8Array
  readonly reason: EmergencyStatement['reason']
  readonly note?: string
  /** How long it may stand open; at most 24 h, 4 h unless told. */
  readonly lastsMs?: number
}

/** A broken glass as staff sees it. */
export interface GlassView {
  readonly b: Uint8Array
  /** `waiting`: the ledger stands still; a second person must sign. */
  readonly phase: GlassPhase
  readonly untilMs: number
  readonly degraded: boolean
  readonly answers: readonly SummaryAnswer[]
}

export interface GlassLine {
  readonly b: Uint8Array
  readonly phase: GlassPhase
  readonly practitioner: string
  readonly second: string | undefined
  readonly reason: string
  readonly openedMs: number
  readonly untilMs: number
  readonly ledgerDueMs: number | undefined
  readonly review: 'not due' | 'due' | 'overdue' | 'done'
}

/**
 * Breaking the glass here (protocol §6). The ledger's event is final before anybody is asked; where the ledger stands
 * still, two people sign instead and the ledger gets its event later. Summaries are in memory only, and end by
 * themselves. Every glass must be reviewed, by somebody else than who broke it.
 */
export class BreakGlass {
  readonly #parts: BreakGlassParts
  readonly #held = new Map<string, { readonly answers: readonly SummaryAnswer[]; readonly timer: Timer }>()
  #retry: Timer | undefined
  #paying: Promise<void> = Promise.resolve()
  #closed = false

  constructor(parts: BreakGlassParts) {
    this.#parts = parts
    const nowMs = parts.clock.now()
    for (const glass of parts.store.list()) {
      const { b, phase, untilMs } = glass
      if (phase !== 'ended' && untilMs <= nowMs) parts.store.setPhase(b, 'ended')
      else if (phase === 'open') this.#hold(glass, [])
    }
    if (parts.store.owed().length > 0) this.#payLater()
  }

  /** Throws AppError `FORBIDDEN` without a credential, `EMERGENCY`, `TX_REJECTED`. */
  async open(staff: GlassStaff, input: GlassInput): Promise<GlassView> {
    const { keys, store, clock, random } = this.#parts
    const { practitioner, credential } = staff
    if (credential === undefined)
      throw new AppError('FORBIDDEN', 'staff: only somebody with a credential may break the glass')
    const time = clock.now()
    const lastsMs = Math.min(input.lastsMs ?? 4 * HOUR_MS, EMERGENCY_MAX_MS)
    const statement = encodeEmergencyStatement({
      v: 1,
      org: keys.org,
      practitioner,
      credential,
      reason: input.reason,
      ...(input.note === undefined ? {} : { note: input.note }),
      time,
      // A little short of the limit: block time may be behind this clock.
      until: time + Math.min(lastsMs, EMERGENCY_MAX_MS - 60_000),
    })
    const salt = random(32)
    const { b, na } = emergencyArgs(statement, salt)
    const glass: BrokenGlass = {
      b,
      phase: 'waiting',
      untilMs: na,
      ledgerDueMs: undefined,
      statement,
      salt,
      practitioner,
      credential,
      reason: input.reason,
      openedMs: time,
      patient: input.patient,
      ...(input.owner === undefined ? {} : { owner: input.owner }),
    }
    store.put(glass)
    try {
      await this.#toLedger(glass)
    } catch (error) {
      if (error instanceof AppError && STANDS_STILL.has(error.code)) return this.#view(glass, [])
      store.setPhase(b, 'ended')
      throw error
    }
    return this.#ask(glass, [])
  }

  /** The second person signs, where the ledger stands still. Throws AppError `FORBIDDEN`, `NO_STAFF_KEY`, `CONFLICT`. */
  async second(staff: GlassStaff, b: Uint8Array): Promise<GlassView> {
    const { store, signerOf, clock } = this.#parts
    const glass = this.#live(b)
    if (glass.phase !== 'waiting') throw new AppError('CONFLICT', 'b: needs no second signature')
    if (staff.credential === undefined || staff.practitioner === glass.practitioner)
      throw new AppError('FORBIDDEN', 'staff: a second person with a credential of her own must sign')
    try {
      await this.#toLedger(glass)
    } catch (error) {
      if (!(error instanceof AppError) || !STANDS_STILL.has(error.code)) throw error
      const signers = [signerOf(glass.practitioner), signerOf(staff.practitioner)]
      if (!signers.every((signer) => signer !== undefined))
        throw new AppError(
          'NO_STAFF_KEY',
          'staff: the house does not keep the key of one of the two; choose another colleague',
        )
      const { practitioner, credential } = staff
      const ledgerDueMs = clock.now() + DEGRADED_DUE_MS
      const owing = { ...glass, ledgerDueMs, second: { practitioner, credential } }
      store.put(owing)
      this.#payLater()
      return this.#ask(owing, signers)
    }
    return this.#ask(glass, [])
  }

  /**
   * What is held open, for those who broke the glass; asked for again where nothing is held: after a restart, or when
   * the ledger moves again. Throws AppError `FORBIDDEN`, `GONE`.
   */
  async show(staff: GlassStaff, b: Uint8Array): Promise<GlassView> {
    const glass = this.#live(b)
    if (staff.practitioner !== glass.practitioner && staff.practitioner !== glass.second?.practitioner)
      throw new AppError('FORBIDDEN', 'b: was opened by somebody else')
    const answers = this.#held.get(toHex(b))?.answers ?? []
    if (answers.some(({ state }) => state === 'summary')) return this.#view(glass, answers)
    const final = this.#parts.ledger.query('consent', 'emergency', { b }) !== undefined
    if (glass.phase === 'waiting' && !final) return this.#view(glass, [])
    return this.#ask(glass, final ? [] : this.#signersOf(glass))
  }

  /** Closes a glass before its time. Throws AppError `NOT_FOUND`, `FORBIDDEN`. */
  async end(staff: GlassStaff, b: Uint8Array): Promise<void> {
    const glass = this.#live(b)
    if (staff.practitioner !== glass.practitioner && staff.practitioner !== glass.second?.practitioner)
      throw new AppError('FORBIDDEN', 'b: was opened by somebody else')
    await this.#end(glass, staff.practitioner)
  }

  /** Every glass of this house, with what is due. */
  list(): GlassLine[] {
    const { store, ledger, clock } = this.#parts
    return store.list().map((glass) => {
      const { b, phase, practitioner, reason, openedMs, untilMs, ledgerDueMs } = glass
      const row = ledger.query('consent', 'emergency', { b, atMs: clock.now() }) as
        | { readonly state: string }
        | undefined
      const review =
        row?.state === 'reviewed'
          ? 'done'
          : row?.state === 'overdue' || (ledgerDueMs !== undefined && ledgerDueMs < clock.now())
            ? 'overdue'
            : untilMs <= clock.now() || phase === 'ended'
              ? 'due'
              : 'not due'
      const second = glass.second?.practitioner
      return { b, phase, practitioner, second, reason, openedMs, untilMs, ledgerDueMs, review }
    })
  }

  /**
   * Records what a review found, by somebody who did not break the glass.
   * Throws AppError `NOT_FOUND`, `FORBIDDEN`, `CONFLICT` while the ledger lacks the event, `TX_REJECTED`.
   */
  async review(
    staff: GlassStaff,
    b: Uint8Array,
    outcome: 'justified' | 'unjustified' | 'mistaken',
  ): Promise<void> {
    const { ledger, submit, access, store } = this.#parts
    const glass = store.get(b)
    if (glass === undefined) throw notFound()
    if (staff.practitioner === glass.practitioner || staff.practitioner === glass.second?.practitioner)
      throw new AppError('FORBIDDEN', 'review: must be by somebody who did not break this glass')
    if (ledger.query('consent', 'emergency', { b }) === undefined)
      throw new AppError('CONFLICT', 'b: the ledger does not have its event yet; review it when it has')
    await submit(this.#body('consent/reviewEmergency', { b, outcome }))
    await access.record({ ...this.#event(glass, staff.practitioner), note: `reviewed:${outcome}` })
  }

  /** Gives the ledger what it is owed, now. */
  async payLedger(): Promise<void> {
    const { store } = this.#parts
    for (const glass of store.owed()) {
      try {
        await this.#toLedger(glass)
        store.setLedgerDue(glass.b, undefined)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
      }
    }
  }

  /** A block came: what the ledger is owed need not wait any longer. */
  ledgerMoved(): void {
    if (this.#retry === undefined) return
    this.#retry.cancel()
    this.#pay()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#retry?.cancel()
    for (const { timer } of this.#held.values()) timer.cancel()
    this.#held.clear()
    await this.#paying
  }

  async #ask(glass: BrokenGlass, signers: readonly StaffSigner[]): Promise<GlassView> {
    const { store, clock } = this.#parts
    store.setPhase(glass.b, 'open')
    const answers = await askSummaries(this.#parts, glass, signers)
    const open = { ...glass, phase: 'open' as const }
    if (glass.untilMs <= clock.now() || this.#closed || store.get(glass.b)?.phase === 'ended')
      return this.#view({ ...open, phase: 'ended' }, [])
    this.#hold(open, answers)
    return this.#view(open, answers)
  }

  /** Keeps answers until the glass ends by itself. */
  #hold(glass: BrokenGlass, answers: readonly SummaryAnswer[]): void {
    const { clock } = this.#parts
    this.#held.get(toHex(glass.b))?.timer.cancel()
    const timer = clock.schedule(
      Math.max(0, glass.untilMs - clock.now()),
      () => void this.#end(glass, glass.practitioner).catch(() => undefined),
    )
    this.#held.set(toHex(glass.b), { answers, timer })
  }

  async #end(glass: BrokenGlass, practitioner: string): Promise<void> {
    const { store, access } = this.#parts
    const held = this.#held.get(toHex(glass.b))
    held?.timer.cancel()
    this.#held.delete(toHex(glass.b))
    store.setPhase(glass.b, 'ended')
    await access.record({ ...this.#event(glass, practitioner), note: 'ended' })
  }

  async #toLedger(glass: BrokenGlass): Promise<void> {
    const { clock, submit, ledger } = this.#parts
    const args = emergencyArgs(glass.statement, glass.salt)
    // One that was given in before the ledger stood still may have become final by itself.
    if (ledger.query('consent', 'emergency', { b: glass.b }) !== undefined) return
    // An event that comes late may end before its block: it then ends an hour after, and opens nothing any more.
    const na = Math.max(args.na, clock.now() + (glass.ledgerDueMs === undefined ? 0 : HOUR_MS))
    await submit(this.#body('consent/emergency', { ...args, na }))
  }

  #body(call: string, args: Parameters<typeof signBody>[0]['args']): Item {
    const { keys, ledger, clock, random } = this.#parts
    const untilMs = Math.max(clock.now(), ledger.head().timeMs) + BODY_LIFE_MS
    return signBody({ chainId: ledger.chainId, call, args, untilMs, keys: [keys.sign], random })
  }

  #payLater(): void {
    if (this.#closed) return
    this.#retry ??= this.#parts.clock.schedule(RETRY_MS, () => this.#pay())
  }

  #pay(): void {
    this.#retry = undefined
    this.#paying = this.payLedger()
      .catch(() => undefined)
      .then(() => {
        if (this.#parts.store.owed().length > 0) this.#payLater()
      })
  }

  #signersOf(glass: BrokenGlass): StaffSigner[] {
    if (glass.second === undefined) return []
    const signers = [glass.practitioner, glass.second.practitioner].map(this.#parts.signerOf)
    return signers.filter((signer) => signer !== undefined)
  }

  #live(b: Uint8Array): BrokenGlass {
    const glass = this.#parts.store.get(b)
    if (glass === undefined) throw notFound()
    if (glass.phase === 'ended' || glass.untilMs <= this.#parts.clock.now())
      throw new AppError('GONE', 'b: has ended; break the glass again if it must be')
    return glass
  }

  #view({ b, phase, untilMs, second }: BrokenGlass, answers: readonly SummaryAnswer[]): GlassView {
    return { b, phase, untilMs, degraded: second !== undefined, answers }
  }

  #event(glass: BrokenGlass, practitioner: string): Access {
    const { keys, clock, organisationOwner } = this.#parts
    return {
      owner: glass.owner ?? organisationOwner,
      timeMs: clock.now(),
      kind: 'review',
      outcome: 'permitted',
      actor: { org: keys.org, practitioner },
      custodian: keys.org,
      purpose: 'ETREAT',
      versions: [],
      head: headNow(this.#parts),
    }
  }
}

function notFound(): AppError {
  return new AppError('NOT_FOUND', 'b: no such glass was broken here')
}
