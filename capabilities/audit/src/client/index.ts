export { type Counted, compareSides, type GrantAlert } from './compare-sides.ts'
export { type Access, accessLines, listAccesses, receiptFor } from './list-accesses.ts'
export { verifyAccess } from './verify-access.ts'
