import type { SealKeyPair, SignedForm, SigningKey } from '@salus/core'

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
    readonly owner: Uint8Array
    readonly act: 'enrol' | 'host' | 'claim' | 'card' | 'recovery' | 'delegate' | 'keyring' | 'link'
    readonly staff?: string
    readonly count?: number
  }): Promise<void>
}
