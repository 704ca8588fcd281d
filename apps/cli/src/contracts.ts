import { consent } from '@salus/consent/contract'
import { identity } from '@salus/identity/contract'
import type { Contract } from '@salus/ledger'
import { records } from '@salus/records/contract'

/** The contracts that capabilities bring; the built-in ones come with the ledger. */
export const CONTRACTS: readonly Contract[] = [consent, identity, records]
