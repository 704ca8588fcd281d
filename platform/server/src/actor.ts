/**
 * Who makes a request, as the server established it. Routes and services take authority from here and
 * never from parameters (protocol §14, confused deputy).
 *
 * - `holder`: a person with a registered link key at this organisation, the owner herself or an active
 *   delegate; `delegation` is set for a delegate.
 * - `staff`: somebody who works here, with the roles that the organisation gave and the status handle
 *   `credential` of the credential it issued (32 bytes, on the ledger).
 */
export type Actor = Holder | Staff

export interface Holder {
  readonly kind: 'holder'
  readonly owner: Uint8Array
  readonly linkKey: Uint8Array
  readonly delegation?: Uint8Array
}

export type Role = 'admin' | 'clinician' | 'steward' | 'auditor'

export interface Staff {
  readonly kind: 'staff'
  readonly practitioner: string
  readonly name: string
  readonly roles: readonly Role[]
  readonly credential?: Uint8Array
}

export function hasRole(actor: Actor | undefined, role: Role): actor is Staff {
  return actor?.kind === 'staff' && actor.roles.includes(role)
}
