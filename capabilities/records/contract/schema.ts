import { bytes, object, optional, text, uint } from '@salus/core'
import { defineContract } from '@salus/ledger'

const e = bytes('Erasure: first 16 B of H(c)', { length: 16 })
const c = bytes('Commitment HMAC(salt, H(receipt)) to the signed erasure receipt', { length: 32 })
const row = object('An erasure that its maker can prove', {
  org: text('Organisation that erased', { min: 1, max: 63 }),
  c,
  atMs: uint('Recorded, block time, ms UTC'),
})

/** Erasures leave a commitment to their signed receipt; whose data it was is not here. Protocol §§7, 11. */
export const recordsSchema = defineContract({
  name: 'records',
  version: 1,
  doc: 'Commitments to signed erasure receipts.',
  rejects: { exists: 100, notMember: 101, wrongId: 102 },
  tables: { erasures: { doc: 'Erasures by id', key: [e], row } },
  events: { erased: { doc: 'An erasure was recorded', data: object('', { e }) } },
  calls: {
    erased: {
      doc: 'Record an erasure. Signed by the organisation.',
      input: object('', { e, c }),
    },
  },
  queries: { erasure: { doc: 'One erasure.', input: object('', { e }), output: optional(row) } },
})
