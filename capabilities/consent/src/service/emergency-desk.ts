import {
  AppError,
  decodeForm,
  equal,
  fromUtf8,
  type Random,
  type SignedForm,
  sha256,
  toHex,
} from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import {
  decideEmergency,
  type EmergencyDecision,
  type EmergencyRequest,
  type EmergencyState,
  emergencyStatementSchema,
  openEmergencyRequest,
} from '../emergency.ts'
import {
  type EmergencyEnvelope,
  openEnvelope,
  type ShownCredential,
  sealEmergencyReply,
} from '../emergency-reply.ts'
import type { RecordSource } from '../record-source.ts'
import { headNow } from './decision-inputs.ts'
import type { EmergencySummaries } from './emergency-summaries.ts'
import { MemberRate } from './member-rate.ts'
import type { NoticeBoard, PatientDesk } from './patient-ports.ts'
import type { Access, AccessLog, ConsentKeys, ConsentLedger, LinkRegistry } from './ports.ts'
import { Turns } from './turns.ts'

const ASKS_PER_HOUR = 240
/** How long a request waits for the block of its ledger event; below the time limit of whoever asks. */
const BLOCK_WAIT_MS = 2_000

/** What a credential says, once its issuer's signature and its handle are checked. */
export interface ReadCredential {
  readonly h: Uint8Array
  readonly issuer: string
  readonly practitioner: string
  readonly cnf: Uint8Array
}

export interface EmergencyDeskParts {
  readonly sql: Sql
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly records: Pick<RecordSource, 'open'>
  readonly summaries: Pick<EmergencySummaries, 'ready'>
  readonly patients: PatientDesk
  readonly links: LinkRegistry
  readonly notices: NoticeBoard
  readonly access: AccessLog
  /** Reads a credential of `issuer`; undefined where the signature or the salt is wrong. */
  readonly readCredential: (shown: ShownCredential, issuer: string) => ReadCredential | undefined
  /** Resolves when `isThere` holds after a block, or after `timeoutMs`: this node may be a block behind the asker. */
  readonly untilLedgerHas: (isThere: () => boolean, timeoutMs: number) => Promise<void>
  /** The law of the place overrides a patient's opt-out. */
  readonly overridesOptOut: boolean
  readonly clock: Clock
  readonly random: Random
}

interface Asked {
  readonly request: EmergencyRequest
  readonly requestHash: Uint8Array
  readonly reason: string
}

/**
 * The custodian's end of break-glass (protocol §6): the emergency summary and nothing else, once the ledger's event is
 * final, or on two staff signatures while the ledger stands still. Leaf first; the patient is told at once.
 */
export class EmergencyDesk {
  readonly #parts: EmergencyDeskParts
  readonly #rate: MemberRate
  readonly #turns = new Turns()

  constructor(parts: EmergencyDeskParts) {
    this.#parts = parts
    this.#rate = new MemberRate({ clock: parts.clock, perHour: ASKS_PER_HOUR })
    parts.sql.exec(
      'CREATE TABLE IF NOT EXISTS consent_glass_request (requestHash BLOB PRIMARY KEY, untilMs INTEGER NOT NULL) WITHOUT ROWID',
    )
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS consent_glass (
         b BLOB PRIMARY KEY, owner BLOB NOT NULL, org TEXT NOT NULL, atMs INTEGER NOT NULL, ledgerDueMs INTEGER) WITHOUT ROWID`,
    )
  }

  /** Answers a sealed request with a signed summary or a signed `none`. Throws only for what answers nobody. */
  async answer(from: string, sealed: Uint8Array): Promise<SignedForm> {
    const { keys, ledger } = this.#parts
    const sender = ledger.organisation(from)
    if (sender === undefined || !sender.active)
      throw new AppError('UNAUTHENTICATED', 'sender: is no active member of this network')
    const { chainId } = ledger
    const envelope = openEnvelope(sealed, { key: keys.seal, chainId, from, org: keys.org })
    const signed = { bytes: envelope.request, sig: envelope.sig }
    const request = openEmergencyRequest(signed, { org: from, orgKey: sender.sign, chainId })
    this.#rate.take(from)
    const requestHash = sha256(envelope.request)
    const reason = reasonIn(request)
    return this.#turns.take(toHex(request.b), () => this.#answer({ request, requestHash, reason }, envelope))
  }

  /** Glasses broken while the ledger stood still whose event did not come in time. */
  overdueLedgerEvents(): {
    readonly b: Uint8Array
    readonly org: string
    readonly ledgerDueMs: number
  }[] {
    const { sql, clock } = this.#parts
    return sql
      .prepare('SELECT b, org, ledgerDueMs FROM consent_glass WHERE ledgerDueMs < ?')
      .all(clock.now())
      .map((row) => ({
        b: row['b'] as Uint8Array,
        org: row['org'] as string,
        ledgerDueMs: row['ledgerDueMs'] as number,
      }))
      .filter(({ b }) => this.#glass(b) === undefined)
  }

  removeOwner(owner: Uint8Array): void {
    this.#parts.sql.prepare('DELETE FROM consent_glass WHERE owner = ?').run(owner)
  }

  async #answer(asked: Asked, envelope: EmergencyEnvelope): Promise<SignedForm> {
    const { records, summaries, patients, clock } = this.#parts
    const { request } = asked
    this.#countOnce(asked)
    const owner = this.#patient(request)
    if (owner === undefined) return this.#none(asked, undefined, ['NO_MATCH'])
    const isFinal = () => this.#glass(request.b) !== undefined
    if (!isFinal() && !this.#standsStill()) await this.#parts.untilLedgerHas(isFinal, BLOCK_WAIT_MS)
    const state = this.#state(asked, envelope, patients.optedOut(owner))
    const decision = decideEmergency(request, state, { compartment: 'emergency', restricted: false })
    // One broken glass is for one patient: under it nobody can go through a list of names.
    const bound = this.#bound(request.b)
    const reasons = [
      ...decision.reasons,
      ...(bound !== undefined && !equal(bound, owner) ? ['OTHER_PATIENT'] : []),
    ]
    if (reasons.length > 0) return this.#none(asked, owner, reasons)
    const summary = await summaries.ready(owner)
    const { labels } = summary ?? {}
    if (summary === undefined || labels?.compartment !== 'emergency' || labels.restricted)
      return this.#none(asked, owner, ['NO_SUMMARY'])
    const { dueMs, opening } = await this.#logOpening(asked, owner, summary, decision)
    this.#bind(request, owner, dueMs)
    this.#notify(owner, asked, 'emergency', dueMs !== undefined)
    const { json } = await records.open(summary.oid)
    const { eventId, event, salt, proof, checkpoint, leafIndex } = opening
    const { until } = decodeForm(emergencyStatementSchema, request.statement, { maxBytes: 8_192, version: 1 })
    return this.#seal(asked, leafIndex, {
      content: {
        v: 1,
        summary: fromUtf8(json),
        opening: { eventId, event, salt, proof: [...proof], checkpoint },
        until: Math.max(until, clock.now()),
      },
      replyKey: request.replyKey,
    })
  }

  async #logOpening(
    asked: Asked,
    owner: Uint8Array,
    summary: NonNullable<Awaited<ReturnType<EmergencySummaries['ready']>>>,
    decision: EmergencyDecision,
  ) {
    const dueMs = decision.degraded?.ledgerDueMs
    const opening = await this.#parts.access.record({
      ...this.#event(asked, owner),
      outcome: 'permitted',
      versions: [{ oid: summary.oid, recordId: summary.labels.recordId, version: summary.version }],
      ...(dueMs === undefined ? {} : { degraded: true }),
    })
    return { opening, dueMs }
  }

  async #none(asked: Asked, owner: Uint8Array | undefined, reasons: readonly string[]): Promise<SignedForm> {
    const { access, links } = this.#parts
    const { leafIndex } = await access.record({
      ...this.#event(asked, owner ?? links.organisationOwner),
      outcome: 'denied',
      versions: [],
      reasons,
    })
    if (owner !== undefined) this.#notify(owner, asked, 'refusal', false)
    return this.#seal(asked, leafIndex, undefined)
  }

  #seal(
    { request, requestHash }: Asked,
    leafIndex: number,
    answer: Parameters<typeof sealEmergencyReply>[0]['answer'],
  ): SignedForm {
    const { keys, ledger, random } = this.#parts
    return sealEmergencyReply({
      b: request.b,
      requestHash,
      custodian: keys.org,
      suite: request.suite,
      leafIndex,
      answer,
      key: keys.sign,
      chainId: ledger.chainId,
      random,
    })
  }

  #state(
    { request, requestHash }: Asked,
    { staff, credentials }: EmergencyEnvelope,
    optedOut: boolean,
  ): EmergencyState {
    const { ledger, readCredential, overridesOptOut, clock } = this.#parts
    const head = ledger.head()
    const status = (h: Uint8Array) =>
      ledger.query('identity', 'credential', { h }) as
        | { readonly issuer: string; readonly status: string }
        | undefined
    const shown = credentials.flatMap((each) => {
      const read = readCredential(each, request.actor.org)
      const row = read && status(read.h)
      return read === undefined || row === undefined ? [] : [{ ...read, ...row }]
    })
    return {
      chainId: ledger.chainId,
      clockMs: clock.now(),
      head,
      glass: this.#glass(request.b),
      degraded: this.#standsStill() ? { requestHash, signatures: staff, credentials: shown } : undefined,
      credential: status(request.credential),
      optedOut,
      overridesOptOut,
    }
  }

  #standsStill(): boolean {
    const { ledger, clock } = this.#parts
    return clock.now() - ledger.head().timeMs > ledger.param('freshnessOtherMs')
  }

  #glass(b: Uint8Array): EmergencyState['glass'] {
    return this.#parts.ledger.query('consent', 'emergency', { b }) as EmergencyState['glass']
  }

  /** The one patient who is meant: several of the same name and birthday are nobody. */
  #patient({ patient }: EmergencyRequest): Uint8Array | undefined {
    const { patients } = this.#parts
    if (patient.kind === 'locator') return patients.byLocator(patient.locator)
    const { family, given, birthDate, gender } = patient
    const found = patients.find({ family, given, birthDate, ...(gender === undefined ? {} : { gender }) })
    return found.length === 1 ? found[0] : undefined
  }

  #countOnce({ request, requestHash }: Asked): void {
    const { sql, clock } = this.#parts
    const nowMs = clock.now()
    sql.prepare('DELETE FROM consent_glass_request WHERE untilMs < ?').run(nowMs)
    if (Math.abs(request.time - nowMs) > 10 * 60_000)
      throw new AppError('EMERGENCY', 'time: is more than ten minutes off; check the clocks')
    const { changes } = sql
      .prepare('INSERT OR IGNORE INTO consent_glass_request VALUES (?, ?)')
      .run(requestHash, nowMs + 30 * 60_000)
    if (changes === 0) throw new AppError('CONFLICT', 'request: was received before')
  }

  #bound(b: Uint8Array): Uint8Array | undefined {
    const row = this.#parts.sql.prepare('SELECT owner FROM consent_glass WHERE b = ?').get(b)
    return row?.['owner'] as Uint8Array | undefined
  }

  #bind({ b, actor }: EmergencyRequest, owner: Uint8Array, ledgerDueMs: number | undefined): void {
    const { sql, clock } = this.#parts
    sql
      .prepare('INSERT OR IGNORE INTO consent_glass VALUES (?, ?, ?, ?, ?)')
      .run(b, owner, actor.org, clock.now(), ledgerDueMs ?? null)
  }

  #notify(
    owner: Uint8Array,
    { request, reason }: Asked,
    kind: 'emergency' | 'refusal',
    degraded: boolean,
  ): void {
    const { org, practitioner } = request.actor
    this.#parts.notices.add(owner, {
      kind,
      about: {
        b: request.b,
        org,
        reason,
        ...(practitioner === undefined ? {} : { practitioner }),
        ...(degraded ? { degraded: 1 } : {}),
      },
    })
  }

  #event({ request, requestHash, reason }: Asked, owner: Uint8Array): Omit<Access, 'outcome' | 'versions'> {
    return {
      owner,
      timeMs: this.#parts.clock.now(),
      kind: 'emergency',
      actor: request.actor,
      custodian: this.#parts.keys.org,
      purpose: 'ETREAT',
      action: 'read',
      emergency: { b: request.b, reason, requestHash },
      head: headNow(this.#parts),
    }
  }
}

/** The stated reason, for the list; what the statement is worth, the decision says. */
function reasonIn({ statement }: EmergencyRequest): string {
  try {
    return decodeForm(emergencyStatementSchema, statement, { maxBytes: 8_192, version: 1 }).reason
  } catch {
    return 'unreadable'
  }
}
