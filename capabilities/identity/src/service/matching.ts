import {
  AppError,
  type CborValue,
  decode,
  encode,
  equal,
  gcmOpen,
  gcmSeal,
  openSealed,
  type Random,
  type SignedForm,
  sealTo,
  sha256,
  tuple,
} from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import {
  CODE_LIFE_MS,
  drawCode,
  type MatchRequest,
  openMatchAnswer,
  openMatchConfirmation,
  openMatchRequest,
  type PendingCode,
  pendingCode,
  signMatchAnswer,
  signMatchConfirmation,
  signMatchRequest,
  tryCode,
} from '../matching.ts'
import type {
  CodeSender,
  IdentityAudit,
  IdentityKeys,
  IdentityLedger,
  OrgTransport,
  PatientFinder,
} from './ports.ts'
import { sendToOrg } from './relay.ts'

const HOUR_MS = 3_600_000
/** Questions that one organisation may ask in an hour. */
const ASKS_PER_HOUR = 60
/** Codes that one patient may be sent in a day, whoever asks. */
const CODES_PER_DAY = 5
const WINDOW_MS = 5 * 60_000
const MAX_BYTES = 16 * 1024

export interface MatchingParts {
  readonly sql: Sql
  /** Organisation secret that seals what waits for a code. */
  readonly key: Uint8Array
  readonly keys: IdentityKeys
  readonly ledger: IdentityLedger
  readonly patients: PatientFinder
  readonly codeSender: CodeSender
  readonly audit: IdentityAudit
  readonly transport: OrgTransport
  /** Where questions about nobody known are logged. */
  readonly organisationOwner: Uint8Array
  readonly clock: Clock
  readonly random: Random
}

interface Pending {
  readonly owner: Uint8Array
  readonly from: string
  readonly code: PendingCode
}

/**
 * Whether another organisation knows a patient (protocol §9): it sends a code to the contact it has on file, and says
 * yes to who brings that code back. It says nothing else: nobody, several, no contact and too often look the same.
 */
export class Matching {
  readonly #parts: MatchingParts

  constructor(parts: MatchingParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_match (
         requestId BLOB PRIMARY KEY, sealed BLOB NOT NULL, untilMs INTEGER NOT NULL) WITHOUT ROWID`,
    )
    parts.sql.exec(
      'CREATE TABLE IF NOT EXISTS identity_match_use (subject BLOB NOT NULL, timeMs INTEGER NOT NULL)',
    )
    parts.sql.exec('CREATE INDEX IF NOT EXISTS identity_match_use_s ON identity_match_use (subject, timeMs)')
  }

  /** Asks another organisation. Resolves when it took the question; the patient then has a code, or has none. */
  async ask(
    to: string,
    person: MatchRequest['person'],
    staff: string,
  ): Promise<{ readonly requestId: Uint8Array }> {
    const { keys, audit, organisationOwner, clock, random } = this.#parts
    const requestId = random(16)
    await audit.record({ owner: organisationOwner, act: 'match', staff, org: to })
    const request = { v: 1, requestId, from: keys.org, to, time: clock.now(), person }
    await this.#send(to, '/org/matches', 'match', signMatchRequest(keys.sign, keys.chainId, request))
    return { requestId }
  }

  /** Brings the code back. */
  async confirm(to: string, requestId: Uint8Array, code: string, staff: string): Promise<'yes' | 'no'> {
    const { keys, ledger, audit, organisationOwner } = this.#parts
    await audit.record({ owner: organisationOwner, act: 'match', staff, org: to })
    const form = signMatchConfirmation(keys.sign, keys.chainId, { v: 1, requestId, code })
    const answer = decode(await this.#send(to, '/org/match-codes', 'match-code', form), {
      maxBytes: MAX_BYTES,
    })
    const [bytes, sig] = Array.isArray(answer) ? answer : []
    const key = ledger.organisation(to)?.sign
    if (!(bytes instanceof Uint8Array) || !(sig instanceof Uint8Array) || key === undefined)
      throw new AppError('BAD_REPLY', 'match: the other organisation’s answer cannot be read', { org: to })
    const opened = openMatchAnswer(key, keys.chainId, { bytes, sig })
    if (!equal(opened.requestId, requestId))
      throw new AppError('BAD_REPLY', 'match: the answer is to another question', { org: to })
    return opened.answer
  }

  /** Another organisation asks. Always logged; says nothing. */
  async receive(from: string, payload: CborValue): Promise<void> {
    const { keys, ledger, patients, audit, organisationOwner, clock } = this.#parts
    const signed = this.#opened(from, payload)
    const key = ledger.organisation(from)?.sign as Uint8Array
    const request = openMatchRequest(key, keys.chainId, signed)
    const nowMs = clock.now()
    if (request.from !== from || request.to !== keys.org || Math.abs(nowMs - request.time) > WINDOW_MS)
      throw new AppError('BAD_REQUEST', 'match: is for somebody else, or its time is off')
    const asker = sha256(tuple('asker', from))
    const tooOften = this.#uses(asker, nowMs - HOUR_MS) >= ASKS_PER_HOUR
    this.#use(asker, nowMs)
    const found = tooOften ? [] : patients.find(request.person)
    const owner = found.length === 1 ? found[0] : undefined
    await audit.record({ owner: owner ?? organisationOwner, act: 'match', org: from })
    if (tooOften)
      throw new AppError('TOO_MANY', 'match: this organisation has asked too often in this hour; ask later')
    if (owner !== undefined) await this.#sendCode(owner, from, request.requestId, nowMs)
  }

  /** Another organisation brings a code back: a signed yes or no. */
  async receiveCode(from: string, payload: CborValue): Promise<SignedForm> {
    const { sql, keys, ledger, audit, organisationOwner, clock } = this.#parts
    const key = ledger.organisation(from)?.sign as Uint8Array
    const { requestId, code } = openMatchConfirmation(key, keys.chainId, this.#opened(from, payload))
    const nowMs = clock.now()
    sql.prepare('DELETE FROM identity_match WHERE untilMs <= ?').run(nowMs)
    const row = sql.prepare('SELECT sealed FROM identity_match WHERE requestId = ?').get(requestId)
    const pending = row && this.#pending(requestId, row['sealed'] as Uint8Array)
    let answer: 'yes' | 'no' = 'no'
    if (pending !== undefined && pending.from === from) {
      const tried = tryCode(pending.code, code, nowMs)
      answer = tried.answer
      if (answer === 'yes') sql.prepare('DELETE FROM identity_match WHERE requestId = ?').run(requestId)
      else this.#keep({ ...pending, code: tried.pending })
    }
    await audit.record({ owner: pending?.owner ?? organisationOwner, act: 'match', org: from })
    return signMatchAnswer(keys.sign, keys.chainId, { v: 1, requestId, answer, time: nowMs })
  }

  async #sendCode(owner: Uint8Array, from: string, requestId: Uint8Array, nowMs: number): Promise<void> {
    const subject = sha256(tuple('patient', owner))
    if (this.#uses(subject, nowMs - 24 * HOUR_MS) >= CODES_PER_DAY) return
    this.#use(subject, nowMs)
    const { codeSender, random } = this.#parts
    const code = drawCode(random)
    if (!(await codeSender.send(owner, code))) return
    this.#keep({ owner, from, code: pendingCode(requestId, code, nowMs, random) })
  }

  #keep(pending: Pending): void {
    const { sql, key, random } = this.#parts
    const { requestId, sentMs } = pending.code
    const plaintext = encode(pending as unknown as CborValue)
    const sealed = gcmSeal({ key, aad: requestId, plaintext, random })
    sql
      .prepare('INSERT OR REPLACE INTO identity_match VALUES (?, ?, ?)')
      .run(requestId, sealed, sentMs + CODE_LIFE_MS)
  }

  #pending(requestId: Uint8Array, sealed: Uint8Array): Pending {
    return decode(gcmOpen({ key: this.#parts.key, aad: requestId, sealed })) as unknown as Pending
  }

  #uses(subject: Uint8Array, sinceMs: number): number {
    const row = this.#parts.sql
      .prepare('SELECT COUNT(*) AS n FROM identity_match_use WHERE subject = ? AND timeMs > ?')
      .get<{ n: number }>(subject, sinceMs)
    return row?.n ?? 0
  }

  #use(subject: Uint8Array, timeMs: number): void {
    const { sql } = this.#parts
    sql.prepare('DELETE FROM identity_match_use WHERE timeMs < ?').run(timeMs - 24 * HOUR_MS)
    sql.prepare('INSERT INTO identity_match_use VALUES (?, ?)').run(subject, timeMs)
  }

  /** Demographics and codes travel sealed to the organisation, whatever carries them. */
  async #send(to: string, path: string, kind: string, { bytes, sig }: SignedForm): Promise<Uint8Array> {
    const { keys, ledger, random } = this.#parts
    const member = ledger.organisation(to)
    if (member === undefined || !member.active)
      throw new AppError('NOT_FOUND', 'org: is no active member of this network', { org: to })
    const info = infoOf(keys.chainId, keys.org, to)
    const sealed = sealTo({ to: member.seal, info, plaintext: tuple(bytes, sig), random })
    return sendToOrg(this.#parts, { to, path, kind, payload: { sealed } })
  }

  #opened(from: string, payload: CborValue): SignedForm {
    const { keys } = this.#parts
    const sealed = (payload as { readonly sealed?: CborValue } | null)?.sealed
    if (!(sealed instanceof Uint8Array)) throw new AppError('BAD_REQUEST', 'payload.sealed: is missing')
    const info = infoOf(keys.chainId, from, keys.org)
    const pair = decode(openSealed({ key: keys.seal, info, sealed }), { maxBytes: MAX_BYTES })
    const [bytes, sig] = Array.isArray(pair) ? pair : []
    if (!(bytes instanceof Uint8Array) || !(sig instanceof Uint8Array))
      throw new AppError('BAD_REQUEST', 'payload: must hold a signed form')
    return { bytes, sig }
  }
}

const infoOf = (chainId: Uint8Array, from: string, to: string): Uint8Array =>
  tuple('salus/match/v1', chainId, from, to)
