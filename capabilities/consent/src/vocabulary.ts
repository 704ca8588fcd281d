// A scope names compartments by their category; the categories are the keyring's sections, in the same order.
export { CATEGORIES as COMPARTMENTS, type Category as Compartment } from '@salus/keys'

/** Purposes a grant can be for: HL7 v3 PurposeOfUse. None implies another. Protocol §4. */
export const PURPOSES = [
  'TREAT',
  'ETREAT',
  'CAREMGT',
  'HPAYMT',
  'HOPERAT',
  'HRESCH',
  'CLINTRCH',
  'PUBHLTH',
  'PATRQT',
  'FAMRQT',
] as const
export type Purpose = (typeof PURPOSES)[number]

/** Purposes that may go on when the ledger's head is minutes old or a log is in doubt. Protocol §§4, 12. */
export const TREATMENT: readonly Purpose[] = ['TREAT']

export const ACTIONS = ['read', 'search', 'write', 'copy'] as const
export type Action = (typeof ACTIONS)[number]

/** Sealing suites this program knows, by id. Suite 1: X-Wing, HKDF-SHA256, AES-256-GCM. */
export const SUITES: readonly number[] = [1]
