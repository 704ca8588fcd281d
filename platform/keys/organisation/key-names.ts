import { AppError, toHex } from '@salus/core'

/** Seeds of the organisation itself, 32 B each (protocol §2). */
export const ORGANISATION_KEYS = [
  'sign',
  'seal',
  'log',
  'tls',
  'validator',
  'directory',
  'session',
  'link',
] as const
export type OrganisationKey = (typeof ORGANISATION_KEYS)[number]

/** Name of one of the organisation's own keys; `directory` is `DK`. A rotated key has a higher `number`. */
export const organisationKey = (key: OrganisationKey, number = 1): string => `org/${key}/${number}`

/** Per-patient keys: `ck` custody, `ik` index. `number` rises when an erasure rotates them (protocol §7). */
export const patientKey = (patientId: string, key: 'ck' | 'ik', number = 1): string =>
  checkName(`patient/${patientId}/${key}/${number}`)

/** Audit key of a patient and a calendar year (UTC), so that it ends on a date. */
export const auditKey = (patientId: string, year: number): string =>
  checkName(`patient/${patientId}/ak/${year}`)

/** `KRK` of a hosted patient's keyring. `keyringId` is 16 B; `generation` that of the `KRK`. */
export const hostedKrk = (keyringId: Uint8Array, generation: number): string =>
  `hosted/${toHex(keyringId)}/${generation}`

/** Prefix of everything that is kept for a patient. */
export const patientPrefix = (patientId: string): string => checkName(`patient/${patientId}/`)

/** Errors: KEY_NAME. */
export function checkName(name: string): string {
  if (/^[A-Za-z0-9._:/-]{1,200}$/.test(name)) return name
  throw new AppError('KEY_NAME', 'name: 1 to 200 of A–Z a–z 0–9 . _ : / - ; use an opaque id', {
    chars: name.length,
  })
}
