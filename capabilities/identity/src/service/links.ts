import {
  AppError,
  type CborValue,
  decode,
  encode,
  equal,
  gcmSeal,
  type Random,
  type SignedForm,
} from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import { openWriteCard } from '@salus/keys'
import { type LinkRegistration, type LinkStatement, openLinkStatement } from '../enrolment.ts'
import type { EnrolmentCodes } from './enrolment-codes.ts'
import type { Notices } from './notices.ts'
import type { IdentityAudit, IdentityKeys, OwnerDirectory, RegisteredOwner } from './ports.ts'
import { onceKnown } from './settle.ts'

/** A person's device, or her delegate's, as this organisation knows it. */
export interface RegisteredLink {
  readonly owner: Uint8Array
  /** Set for a delegate's key. */
  readonly delegation?: Uint8Array
  /** Organisation that keeps the keyring. */
  readonly home: string
}

export interface LinksParts {
  readonly sql: Sql
  readonly key: Uint8Array
  readonly keys: IdentityKeys
  readonly owners: OwnerDirectory
  readonly codes: EnrolmentCodes
  readonly audit: IdentityAudit
  readonly notices: Notices
  readonly clock: Clock
  readonly random: Random
  /** Whether the ledger shows this delegation active now. */
  readonly delegationIsActive: (d: Uint8Array) => boolean
}

/**
 * Link keys: one per person and organisation, known to that organisation only (protocol §§2, 9). A first one needs a
 * code from the desk; a new one replaces the old with its signature; a delegate's needs the patient's.
 */
export class Links {
  readonly #parts: LinksParts

  constructor(parts: LinksParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_link (
         linkKey BLOB PRIMARY KEY, owner BLOB NOT NULL, d BLOB, home TEXT NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID`,
    )
    parts.sql.exec('CREATE INDEX IF NOT EXISTS identity_link_owner ON identity_link (owner)')
  }

  /** The owner that a key acts for; a delegate's key counts only while its delegation is active. */
  find(linkKey: Uint8Array): RegisteredLink | undefined {
    const row = this.#parts.sql.prepare('SELECT * FROM identity_link WHERE linkKey = ?').get(linkKey)
    if (row === undefined) return undefined
    const link = { owner: row['owner'] as Uint8Array, home: row['home'] as string }
    const d = row['d'] as Uint8Array | null
    return d === null ? link : { ...link, delegation: d }
  }

  /**
   * Registers the first link key of a person whom staff identified. Her write card comes with it, so that everything
   * this organisation holds of her is hers to open from now on.
   * Throws AppError `CODE_REFUSED`, `LINK_KEY`, `BAD_SIGNATURE`, `CARD_…`, `CONFLICT`.
   */
  async enrol(input: {
    readonly code: string
    readonly statement: SignedForm
    readonly card: SignedForm
  }): Promise<{ readonly owner: Uint8Array; readonly wrapped: number }> {
    const { owners, codes, audit } = this.#parts
    const linkKey = linkKeyIn(input.statement)
    const statement = this.#open(input.statement, linkKey)
    if (statement.d !== undefined || statement.replaces !== undefined)
      throw new AppError('LINK_KEY', 'statement: a first link key names no delegation and replaces nothing')
    // All that can be wrong with what the device sent is found before the code is used up.
    this.#checkCard(input.card, linkKey)
    this.#checkNew(linkKey)
    const content = codes.redeem(input.code, 'enrol')
    const owner = owners.byOwner(content.owner)
    if (owner === undefined)
      throw new AppError('NOT_FOUND', 'code: its patient is no longer here; ask the desk')
    if (owner.linkKey !== undefined)
      throw new AppError(
        'CONFLICT',
        'link: this patient is enrolled already; replace the key with the old one’s signature',
      )
    this.#store(linkKey, content.owner, statement, {
      v: 1,
      statement: input.statement.bytes,
      sig: input.statement.sig,
      proofing: content.proofing,
    })
    owners.setLink(content.owner, { linkKey, sub: statement.sub })
    if (owner.status === 'unclaimed') owners.setStatus(content.owner, 'self')
    const wrapped = await owners.setCard(content.owner, input.card, { rewrapEverything: false })
    await audit.record({
      owner: content.owner,
      act: 'enrol',
      count: wrapped,
      ...(content.proofing.staff === undefined ? {} : { staff: content.proofing.staff }),
    })
    return { owner: content.owner, wrapped }
  }

  /**
   * Registers a link key in place of every key of a person who lost all ways into her account, and whom staff
   * identified anew. Her old key has no say, so everything that it vouched for ends: delegates' keys and the grants
   * whose terms it signed. `endAccount` puts her old account out of the way, in the same transaction.
   * Throws AppError `CODE_REFUSED`, `LINK_KEY`, `BAD_SIGNATURE`, `CARD_…`, `CONFLICT`.
   */
  async enrolAgain(input: {
    readonly code: string
    readonly statement: SignedForm
    readonly card: SignedForm
    readonly endAccount: (owner: Uint8Array) => void
  }): Promise<{ readonly owner: Uint8Array; readonly linkKey: Uint8Array; readonly wrapped: number }> {
    const { owners, codes, audit, notices, sql } = this.#parts
    const linkKey = linkKeyIn(input.statement)
    const statement = this.#open(input.statement, linkKey)
    if (statement.d !== undefined || statement.replaces !== undefined)
      throw new AppError(
        'LINK_KEY',
        'statement: names no delegation and no key to replace; the old one cannot sign',
      )
    this.#checkCard(input.card, linkKey)
    this.#checkNew(linkKey)
    const { owner, proofing } = codes.redeem(input.code, 're-enrol')
    checkEnrolled(owners.byOwner(owner))
    sql.transaction(() => {
      this.removeOwner(owner)
      input.endAccount(owner)
      this.#store(linkKey, owner, statement, {
        v: 1,
        statement: input.statement.bytes,
        sig: input.statement.sig,
        proofing,
      })
    })
    owners.setLink(owner, { linkKey, sub: statement.sub })
    notices.add(owner, { kind: 'enrolled-again' })
    const wrapped = await owners.setCard(owner, input.card, { rewrapEverything: true })
    const staff = proofing.staff === undefined ? {} : { staff: proofing.staff }
    await audit.record({ owner, act: 'enrol', count: wrapped, ...staff })
    return { owner, linkKey, wrapped }
  }

  /**
   * Replaces a link key: signed by the new one and endorsed by the old one; her new card comes with it, and everything
   * held of her is wrapped again. The same request again, after its answer was lost, is not an error.
   * Throws AppError `LINK_KEY`, `BAD_SIGNATURE`, `CARD_…`, `CONFLICT`.
   */
  async replace(input: {
    readonly statement: SignedForm
    readonly endorsement: Uint8Array
    readonly card: SignedForm
  }): Promise<{ readonly owner: Uint8Array; readonly linkKey: Uint8Array; readonly wrapped: number }> {
    const { owners, audit, notices, sql } = this.#parts
    const { linkKey, replaces: oldKey } = keysIn(input.statement)
    if (oldKey === undefined) throw new AppError('LINK_KEY', 'replaces: name the key that ends')
    const statement = this.#open(input.statement, linkKey, { key: oldKey, sig: input.endorsement })
    if (statement.d !== undefined)
      throw new AppError('LINK_KEY', 'd: a delegate registers a key of her own; it replaces none')
    this.#checkCard(input.card, linkKey)
    const registeredOld = this.find(oldKey)
    if (registeredOld !== undefined) this.#checkNew(linkKey)
    const old = registeredOld ?? this.#replacedBy(linkKey)
    if (old === undefined || old.delegation !== undefined)
      throw new AppError('LINK_KEY', 'replaces: is not registered here')
    if (registeredOld !== undefined) {
      sql.transaction(() => {
        sql.prepare('DELETE FROM identity_link WHERE linkKey = ?').run(oldKey)
        this.#store(linkKey, old.owner, statement, {
          v: 1,
          statement: input.statement.bytes,
          sig: input.statement.sig,
          endorsement: input.endorsement,
          proofing: { level: 'IAL2', kind: 'existing-account', time: statement.time },
        })
      })
      const registered = owners.byOwner(old.owner)
      owners.setLink(old.owner, { linkKey, sub: statement.sub })
      // Whose key the host knew now has one that the host does not.
      if (registered?.status === 'hosted') owners.setStatus(old.owner, 'self')
      notices.add(old.owner, { kind: 'link-replaced' })
      await audit.record({ owner: old.owner, act: 'link' })
    }
    const wrapped = await owners.setCard(old.owner, input.card, { rewrapEverything: true })
    return { owner: old.owner, linkKey, wrapped }
  }

  /** Registers a delegate's own key, endorsed by the patient's. It acts while its delegation is active. */
  async addDelegate(input: {
    readonly statement: SignedForm
    readonly patientKey: Uint8Array
    readonly endorsement: Uint8Array
  }): Promise<void> {
    const { audit, notices, clock, delegationIsActive } = this.#parts
    const linkKey = linkKeyIn(input.statement)
    const patient = this.find(input.patientKey)
    if (patient === undefined || patient.delegation !== undefined)
      throw new AppError('LINK_KEY', 'endorsement: must be by the patient’s own link key, registered here')
    const statement = this.#open(input.statement, linkKey, {
      key: input.patientKey,
      sig: input.endorsement,
    })
    const { d } = statement
    const active = d && (await onceKnown(clock, () => delegationIsActive(d) || undefined))
    if (d === undefined || active !== true)
      throw new AppError('LINK_KEY', 'd: must be a delegation that is active on the ledger')
    if (statement.replaces !== undefined)
      throw new AppError('LINK_KEY', 'replaces: a delegate’s key replaces none')
    this.#checkNew(linkKey)
    this.#store(linkKey, patient.owner, statement, {
      v: 1,
      statement: input.statement.bytes,
      sig: input.statement.sig,
      endorsement: input.endorsement,
      proofing: { level: 'IAL2', kind: 'existing-account', time: statement.time },
    })
    notices.add(patient.owner, { kind: 'delegate-added', about: { d } })
    await audit.record({ owner: patient.owner, act: 'delegate' })
  }

  /** Forgets every key of an owner. */
  removeOwner(owner: Uint8Array): void {
    this.#parts.sql.prepare('DELETE FROM identity_link WHERE owner = ?').run(owner)
  }

  /** A request that was answered before: its new key is registered and its old one is gone. */
  #replacedBy(linkKey: Uint8Array): RegisteredLink | undefined {
    const link = this.find(linkKey)
    const current = link && this.#parts.owners.byOwner(link.owner)?.linkKey
    return current !== undefined && equal(current, linkKey) ? link : undefined
  }

  #checkNew(linkKey: Uint8Array): void {
    if (this.find(linkKey) !== undefined)
      throw new AppError('CONFLICT', 'linkKey: is registered here already; draw a new one')
  }

  #checkCard(card: SignedForm, linkKey: Uint8Array): void {
    const { keys, clock } = this.#parts
    openWriteCard(card, { linkKey, chainId: keys.chainId, org: keys.org, nowMs: clock.now() })
  }

  #open(
    signed: SignedForm,
    linkKey: Uint8Array,
    endorsedBy?: { readonly key: Uint8Array; readonly sig: Uint8Array },
  ): LinkStatement {
    const { org, chainId } = this.#parts.keys
    return openLinkStatement({
      signed,
      linkKey,
      org,
      chainId,
      ...(endorsedBy === undefined ? {} : { endorsedBy }),
    })
  }

  #store(
    linkKey: Uint8Array,
    owner: Uint8Array,
    statement: LinkStatement,
    registration: LinkRegistration,
  ): void {
    const { sql, key, random } = this.#parts
    const sealed = gcmSeal({
      key,
      aad: linkKey,
      plaintext: encode(registration as unknown as CborValue),
      random,
    })
    sql
      .prepare('INSERT INTO identity_link VALUES (?, ?, ?, ?, ?)')
      .run(linkKey, owner, statement.d ?? null, statement.home, sealed)
  }
}

/** Throws AppError `CONFLICT` for whoever has no account of her own to lose. */
export function checkEnrolled(owner: RegisteredOwner | undefined): void {
  if (owner?.linkKey === undefined)
    throw new AppError('CONFLICT', 'patient: is not enrolled here; give her an enrolment code')
  if (owner.status !== 'self')
    throw new AppError(
      'CONFLICT',
      'patient: her account is hosted, or none can be made for her; a claim code hands a hosted one over',
    )
}

/** The keys that a statement names, before any signature is checked. */
function keysIn(statement: SignedForm): { linkKey: Uint8Array; replaces: Uint8Array | undefined } {
  const value = decode(statement.bytes, { maxBytes: 1_024 }) as Readonly<Record<string, CborValue>> | null
  const { linkKey, replaces } = value ?? {}
  if (!(linkKey instanceof Uint8Array)) throw new AppError('LINK_KEY', 'statement: names no link key')
  return { linkKey, replaces: replaces instanceof Uint8Array ? replaces : undefined }
}

const linkKeyIn = (statement: SignedForm): Uint8Array => keysIn(statement).linkKey
