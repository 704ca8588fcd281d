import { bool, bytes, list, object, oneOf, optional, text, uint } from '@salus/core'
import { defineContract } from '@salus/ledger'
import { HOUR_MS } from './ids.ts'

/** A broken glass may stand open for at most this long. Protocol §6. */
export const EMERGENCY_MAX_MS = 24 * HOUR_MS
/** A broken glass that nobody reviewed within this time after its end is overdue. */
export const EMERGENCY_REVIEW_MS = 72 * HOUR_MS

const g = bytes('Grant: first 16 B of H(k)', { length: 16 })
const d = bytes('Delegation: first 16 B of H(k)', { length: 16 })
const b = bytes('Emergency: first 16 B of H(c)', { length: 16 })
const c = bytes('Salted commitment', { length: 32 })
const k = bytes('Controller key, Ed25519', { length: 32 })
const na = uint('Ends, ms UTC, a whole hour')
const atMs = optional(uint('Evaluate at this time, ms UTC; the time of the head if left out'))

const controlled = {
  c,
  k,
  na,
  madeMs: uint('Made, block time, ms UTC'),
  revokedMs: optional(uint('Withdrawn, block time of the first withdrawal, ms UTC')),
}
const grantRow = object('A grant: nothing on it says whose, to whom, or what', controlled)
const delegationRow = object('A delegation: nothing on it says whose or to whom', controlled)
const glass = {
  org: text('Organisation that opened it', { min: 1, max: 63 }),
  c,
  na: uint('Ends, ms UTC'),
  openedMs: uint('Opened, block time, ms UTC'),
  outcome: optional(oneOf('What the review found', ['justified', 'unjustified', 'mistaken'])),
  reviewedMs: optional(uint('Reviewed, block time, ms UTC')),
}
const emergencyRow = object('A broken glass', glass)

const controlledState = oneOf('State at the asked time', ['active', 'revoked', 'expired'])
const grantAt = object('A grant at a time', { ...controlled, state: controlledState })
const delegationAt = object('A delegation at a time', { ...controlled, state: controlledState })
const glassState = oneOf('State at the asked time', ['open', 'ended', 'overdue', 'reviewed'])
const emergencyAt = object('A broken glass at a time', { ...glass, state: glassState })

/**
 * Who may see what is not here: terms travel off the ledger. Here are commitments, one-time keys and ends.
 * Protocol §§4, 6, 11.
 */
export const consentSchema = defineContract({
  name: 'consent',
  version: 1,
  doc: 'Grants, delegations and emergencies: commitments, controller keys, ends and withdrawals.',
  rejects: {
    exists: 100,
    notFound: 101,
    notSigner: 102,
    wrongId: 103,
    endsInPast: 104,
    notWholeHour: 105,
    revoked: 106,
    tooLong: 107,
    notMember: 108,
    alreadyReviewed: 109,
    sameKey: 110,
  },
  tables: {
    grants: { doc: 'Grants by id', key: [g], row: grantRow },
    delegations: { doc: 'Delegations by id', key: [d], row: delegationRow },
    emergencies: { doc: 'Emergencies by id', key: [b], row: emergencyRow },
    unreviewed: {
      doc: 'Emergencies without a review, by end',
      key: [uint('Ends, ms UTC'), b],
      row: object('', { open: bool('Always true') }),
    },
  },
  events: {
    granted: { doc: 'A grant was made', data: object('', { g }) },
    rotated: { doc: 'A grant has a new controller key', data: object('', { g }) },
    revoked: { doc: 'A grant was withdrawn', data: object('', { g }) },
    delegated: { doc: 'A delegation was made', data: object('', { d }) },
    delegationEnded: { doc: 'A delegation was ended', data: object('', { d }) },
    glassBroken: {
      doc: 'An organisation opened an emergency',
      data: object('', { b, org: text('Organisation', { min: 1, max: 63 }) }),
    },
    emergencyReviewed: { doc: 'An emergency was reviewed', data: object('', { b }) },
  },
  calls: {
    grant: { doc: 'Make a grant. Signed by k.', input: object('', { g, c, k, na }) },
    rotate: {
      doc: 'Give a grant a new controller key. Signed by the current key and by k2.',
      input: object('', { g, k2: bytes('New controller key, Ed25519', { length: 32 }) }),
    },
    revoke: {
      doc: 'Withdraw a grant. Signed by its current key. Doing it twice keeps the first time.',
      input: object('', { g }),
    },
    delegate: { doc: 'Make a delegation. Signed by k.', input: object('', { d, c, k, na }) },
    endDelegation: {
      doc: 'End a delegation. Signed by its key. Doing it twice keeps the first time.',
      input: object('', { d }),
    },
    emergency: {
      doc: 'Break the glass: at most 24 hours. Signed by the organisation.',
      input: object('', {
        b,
        org: text('The organisation itself', { min: 1, max: 63 }),
        c,
        na: uint('Ends, ms UTC'),
      }),
    },
    reviewEmergency: {
      doc: 'Record what the review found. Signed by the organisation that broke the glass.',
      input: object('', { b, outcome: oneOf('What was found', ['justified', 'unjustified', 'mistaken']) }),
    },
  },
  queries: {
    grant: { doc: 'A grant, evaluated.', input: object('', { g, atMs }), output: optional(grantAt) },
    delegation: {
      doc: 'A delegation, evaluated.',
      input: object('', { d, atMs }),
      output: optional(delegationAt),
    },
    emergency: {
      doc: 'An emergency, evaluated.',
      input: object('', { b, atMs }),
      output: optional(emergencyAt),
    },
    overdue: {
      doc: 'Emergencies whose review is overdue, the oldest first.',
      input: object('', { atMs }),
      output: list(object('', { b, ...glass, state: glassState }), { max: 1_000 }),
    },
  },
})
