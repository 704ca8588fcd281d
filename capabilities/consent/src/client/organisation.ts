import { bool, bytes, type Infer, object, text } from '@salus/core'
import { type Connection, sendFor } from '@salus/sdk'

const organisationForm = object('A member with its public keys', {
  org: text('Id', { max: 64 }),
  name: text('Name', { max: 256 }),
  url: text('Address', { max: 1_024 }),
  active: bool('Whether it is an active member'),
  sign: bytes('Signs for it, Ed25519', { length: 32 }),
  seal: bytes('What is for it is sealed to this, X-Wing', { length: 1_216 }),
  log: bytes('Signs its log, Ed25519', { length: 32 }),
})
export type OrganisationCard = Infer<typeof organisationForm>

/** A member as the node's ledger has it. Throws AppError `NOT_FOUND`. */
export async function organisationOf(connection: Connection, org: string): Promise<OrganisationCard> {
  return sendFor(connection, 'GET', `/ledger/organisations/${encodeURIComponent(org)}`, organisationForm)
}
