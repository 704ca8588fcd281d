import { AppError } from '@salus/core'
import type { Network } from '@salus/host'
import { type Connection, connect } from '@salus/sdk'
import type { LedgerAccess } from './ledger-access.ts'

/** The way to another member's node, at the address that the ledger names. Throws AppError `NOT_FOUND`. */
export function connectionTo(access: LedgerAccess, network: Network, org: string): Connection {
  const member = access.organisation(org)
  if (member === undefined) throw new AppError('NOT_FOUND', 'org: no member of this network has that id')
  return connect({ url: member.url, network })
}
