import type { SealKeyPair, SignedForm, SigningKey } from '@salus/core'
import type { Item } from '@salus/ledger'
import type { Connection } from '@salus/sdk'
import type { MatchRequest } from '../matching.ts'

/** How an owner is registered at this organisation. */
export interface RegisteredOwner {
  readonly owner: Uint8Array
  readonly linkKey: Uint8Array | undefined
  readonly sub: Uint8Array | undefined
  readonly status: 'unclaimed' | 'self' | 'hosted' | 'restricted' | 'erased'
}

/** What identity needs of the records of this organisation. */
export interface OwnerDirectory {
  /** The owner whose Patient resource is `recordId`; undefined when none is here. */
  findPatient(recordId: string): RegisteredOwner | undefined
  byOwner(owner: Uint8Array): RegisteredOwner | undefined
  byLinkKey(linkKey: Uint8Array): RegisteredOwner | undefined
  bySub(sub: Uint8Array): RegisteredOwner | undefined
  /** Makes an owner with no records yet: somebody who only keeps her own data here. */
  addOwner(): Promise<RegisteredOwner>
  setLink(
    owner: Uint8Array,
    link: { readonly linkKey: Uint8Array; readonly sub: Uint8Array } | undefined,
  ): void
  setStatus(owner: Uint8Array, status: RegisteredOwner['status']): void
  /** Keeps her write card and gives her a wrap of every version. Returns how many were wrapped. */
  setCard(
    owner: Uint8Array,
    card: SignedForm,
    options: { readonly rewrapEverything: boolean },
  ): Promise<number>
}

/** The organisation's own keys, as far as identity uses them. */
export interface IdentityKeys {
  readonly org: string
  readonly chainId: Uint8Array
  readonly sign: SigningKey
  readonly seal: SealKeyPair
}

/** Administrative acts that concern a patient are logged like accesses. */
export interface IdentityAudit {
  record(event: {
    /** The organisation's own owner where no patient is known. */
    readonly owner: Uint8Array
    readonly act:
      | 'enrol'
      | 'host'
      | 'claim'
      | 'card'
      | 'recovery'
      | 'delegate'
      | 'keyring'
      | 'link'
      | 'match'
      | 'grant'
    readonly staff?: string
    /** The other organisation, where one asked. */
    readonly org?: string
    readonly count?: number
  }): Promise<void>
}

/** A member as the ledger knows it now. */
export interface MemberView {
  readonly org: string
  readonly name: string
  readonly url: string
  readonly sign: Uint8Array
  readonly seal: Uint8Array
  readonly active: boolean
}

/** The ledger as this node executed it. Queries answer for the head. */
export interface IdentityLedger {
  readonly chainId: Uint8Array
  head(): { readonly height: number; readonly timeMs: number }
  query(contract: string, name: string, input: Readonly<Record<string, unknown>>): unknown
  /** Registered keys of a member; undefined for anybody else. */
  organisation(org: string): MemberView | undefined
  /** Sponsors a signed body and waits until it is final here. Throws AppError `TX_REJECTED`, `TX_NOT_FINAL`. */
  submit(item: Item): Promise<{ readonly height: number; readonly index: number }>
}

/** The organisation's fact log; resolves when the leaves are durable and integrated. */
export interface LeafSink {
  appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }>
}

/** How to reach another organisation, or this one from outside. Throws AppError `NOT_FOUND` for no member. */
export interface OrgTransport {
  connection(org: string): Connection
}

/** KRKs of hosted patients, in the keystore; nothing else of hosted custody is secret from the database. */
export interface HostedKeys {
  /** Resolves when durable. */
  putHostedKey(owner: Uint8Array, krk: Uint8Array): Promise<void>
  hostedKey(owner: Uint8Array): Uint8Array | undefined
  /** Deletes and rotates the keystore: when it resolves, no copy is left in this keystore. Twice is not an error. */
  destroyHostedKey(owner: Uint8Array): Promise<{ readonly how: 'destroyed-in-KMS' | 'rewritten' }>
}

/** Finds patients by demographics; exact after normalisation, never by a score. */
export interface PatientFinder {
  find(person: MatchRequest['person']): readonly Uint8Array[]
}

/** Sends a one-time code to the contact on file. Resolves to false where none is on file. */
export interface CodeSender {
  send(owner: Uint8Array, code: string): Promise<boolean>
}
