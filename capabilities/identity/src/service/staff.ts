import {
  AppError,
  type CborValue,
  decode,
  encode,
  gcmOpen,
  gcmSeal,
  type Random,
  type SignedForm,
  type SigningKey,
  signingKey,
  toHex,
  utf8,
} from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import { signBody } from '@salus/ledger'
import type { Role, Sessions, Staff as StaffActor } from '@salus/server'
import { type Credential, credentialId, signCredential } from '../credential.ts'
import type { IdentityKeys, IdentityLedger } from './ports.ts'

export const STAFF_SESSION_MS = 12 * 3_600_000
const CREDENTIAL_LIFE_MS = 365 * 86_400_000
const BODY_LIFE_MS = 5 * 60_000

export type StaffStatus = 'active' | 'suspended' | 'ended'

export interface StaffMember {
  readonly practitioner: string
  readonly name: string
  readonly roles: readonly Role[]
  readonly status: StaffStatus
  /** `h` of the credential on the ledger; none for whom the ledger need not know. 32 B. */
  readonly credential?: Uint8Array
}

export interface NewStaff {
  readonly name: string
  /** Opaque id; drawn where none is given. */
  readonly practitioner?: string
  readonly roles: readonly Role[]
  readonly licence?: Credential['licence']
  /** Key that the person holds; the organisation keeps one for her until she has one. 32 or 33 B. */
  readonly cnf?: Uint8Array
}

/** A person who works here, able to sign as her credential confirms. */
export interface StaffSigner {
  readonly key: SigningKey
  readonly h: Uint8Array
  readonly salt: Uint8Array
  readonly signed: SignedForm
}

export interface StaffDeskParts {
  readonly sql: Sql
  /** Organisation secret that seals names and credentials. */
  readonly key: Uint8Array
  readonly keys: IdentityKeys
  readonly ledger: IdentityLedger
  readonly sessions: Sessions
  readonly clock: Clock
  readonly random: Random
}

interface StaffSecrets {
  readonly name: string
  readonly roles: readonly Role[]
  readonly credential?: { readonly salt: Uint8Array; readonly signed: SignedForm; readonly h: Uint8Array }
  /** Seed of the `cnf` key where the organisation keeps it. */
  readonly seed?: Uint8Array
}

/**
 * People who work here: accounts, sessions, and the credential whose status every other organisation reads on the
 * ledger (protocol §11). What the ledger shows of a person is one random-looking handle.
 */
export class StaffDesk {
  readonly #parts: StaffDeskParts

  constructor(parts: StaffDeskParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_staff (
         practitioner TEXT PRIMARY KEY, status TEXT NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID`,
    )
  }

  /** Makes the first admin, without a credential: nobody can be asked yet. Throws AppError `CONFLICT` later on. */
  addFirstAdmin(name: string, lifetimeMs: number): { readonly token: string; readonly untilMs: number } {
    if (this.list().length > 0)
      throw new AppError('CONFLICT', 'staff: there is an admin already; she adds others with POST /staff')
    const practitioner = this.#drawId()
    this.#insert(practitioner, { name, roles: ['admin'] })
    return this.openSession(practitioner, lifetimeMs)
  }

  /** Adds a person: credential signed, active on the ledger, session opened. Throws AppError `CONFLICT`, `TX_REJECTED`. */
  async add(
    input: NewStaff,
  ): Promise<{ readonly member: StaffMember; readonly token: string; readonly untilMs: number }> {
    const { keys, clock, random } = this.#parts
    const practitioner = input.practitioner ?? this.#drawId()
    if (this.find(practitioner) !== undefined)
      throw new AppError('CONFLICT', 'practitioner: is registered here already; choose another id')
    const seed = input.cnf === undefined ? random(32) : undefined
    const salt = random(32)
    const signed = signCredential(keys.sign, keys.chainId, {
      v: 1,
      issuer: keys.org,
      practitioner,
      cnf: input.cnf ?? signingKey(seed as Uint8Array).publicKey,
      roles: [...input.roles],
      ...(input.licence === undefined ? {} : { licence: input.licence }),
      until: clock.now() + CREDENTIAL_LIFE_MS,
    })
    const h = credentialId(salt, signed.bytes)
    await this.#setOnLedger(h, 'active')
    const { name, roles } = input
    this.#insert(practitioner, {
      name,
      roles,
      credential: { salt, signed, h },
      ...(seed === undefined ? {} : { seed }),
    })
    const member = this.find(practitioner) as StaffMember
    return { member, ...this.openSession(practitioner, STAFF_SESSION_MS) }
  }

  /** A new token. Throws AppError `NOT_FOUND`, `FORBIDDEN` for who is not active. */
  openSession(
    practitioner: string,
    lifetimeMs = STAFF_SESSION_MS,
  ): { readonly token: string; readonly untilMs: number } {
    const member = this.find(practitioner)
    if (member === undefined) throw notFound()
    if (member.status !== 'active')
      throw new AppError('FORBIDDEN', 'practitioner: is not active here; set the status first')
    const { name, roles, credential } = member
    const actor: StaffActor = {
      kind: 'staff',
      practitioner,
      name,
      roles,
      ...(credential === undefined ? {} : { credential }),
    }
    return this.#parts.sessions.open(actor, lifetimeMs)
  }

  /** Suspends, ends or reinstates: sessions are closed here first, then the ledger tells everybody. */
  async setStatus(practitioner: string, status: StaffStatus): Promise<void> {
    const member = this.find(practitioner)
    if (member === undefined) throw notFound()
    if (member.status === 'ended' && status !== 'ended')
      throw new AppError('CONFLICT', 'status: has ended for good; add the person anew')
    const { sql, sessions } = this.#parts
    const write = () =>
      sql.prepare('UPDATE identity_staff SET status = ? WHERE practitioner = ?').run(status, practitioner)
    if (status !== 'active') {
      write()
      sessions.closeWhere((actor) => actor.kind === 'staff' && actor.practitioner === practitioner)
    }
    if (member.credential !== undefined) await this.#setOnLedger(member.credential, status)
    if (status === 'active') write()
  }

  find(practitioner: string): StaffMember | undefined {
    const row = this.#parts.sql
      .prepare('SELECT * FROM identity_staff WHERE practitioner = ?')
      .get(practitioner)
    return row === undefined ? undefined : this.#member(row)
  }

  list(): StaffMember[] {
    return this.#parts.sql
      .prepare('SELECT * FROM identity_staff ORDER BY practitioner')
      .all()
      .map((row) => this.#member(row))
  }

  /** The signed credential with its salt, for who must show it; undefined where there is none. */
  credentialOf(practitioner: string): { readonly salt: Uint8Array; readonly signed: SignedForm } | undefined {
    const row = this.#parts.sql
      .prepare('SELECT * FROM identity_staff WHERE practitioner = ?')
      .get(practitioner)
    return row === undefined ? undefined : this.#open(row).credential
  }

  /**
   * The key that a person's credential confirms, with the credential to show; undefined where the organisation does not
   * keep her key, and for who is not active. Only for acts of hers at this moment.
   */
  signerFor(practitioner: string): StaffSigner | undefined {
    const row = this.#parts.sql
      .prepare('SELECT * FROM identity_staff WHERE practitioner = ?')
      .get(practitioner)
    if (row === undefined || row['status'] !== 'active') return undefined
    const { credential, seed } = this.#open(row)
    return credential === undefined || seed === undefined
      ? undefined
      : { key: signingKey(seed), ...credential }
  }

  async #setOnLedger(h: Uint8Array, status: StaffStatus): Promise<void> {
    const { ledger, keys, clock, random } = this.#parts
    await ledger.submit(
      signBody({
        chainId: keys.chainId,
        call: 'identity/setCredential',
        args: { h, status },
        untilMs: clock.now() + BODY_LIFE_MS,
        keys: [keys.sign],
        random,
      }),
    )
  }

  #insert(practitioner: string, secrets: StaffSecrets): void {
    const { sql, key, random } = this.#parts
    const plaintext = encode(secrets as unknown as CborValue)
    const sealed = gcmSeal({ key, aad: utf8(practitioner), plaintext, random })
    sql.prepare('INSERT INTO identity_staff VALUES (?, ?, ?)').run(practitioner, 'active', sealed)
  }

  #open(row: Readonly<Record<string, unknown>>): StaffSecrets {
    const aad = utf8(row['practitioner'] as string)
    return decode(
      gcmOpen({ key: this.#parts.key, aad, sealed: row['sealed'] as Uint8Array }),
    ) as unknown as StaffSecrets
  }

  #member(row: Readonly<Record<string, unknown>>): StaffMember {
    const { name, roles, credential } = this.#open(row)
    return {
      practitioner: row['practitioner'] as string,
      name,
      roles,
      status: row['status'] as StaffStatus,
      ...(credential === undefined ? {} : { credential: credential.h }),
    }
  }

  #drawId(): string {
    return `p-${toHex(this.#parts.random(8))}`
  }
}

function notFound(): AppError {
  return new AppError('NOT_FOUND', 'practitioner: is not registered here; add the person with POST /staff')
}
