import { bytes, type Infer, object, uint } from '@salus/core'

const id16 = (doc: string) => bytes(doc, { length: 16 })
const part = {
  v: uint('Form version'),
  suite: uint('Suite', { max: 255 }),
  id: id16('Id of the unlocker'),
  keyringId: id16('Keyring id'),
  krkGeneration: uint('Which KRK it leads to'),
}

/** What home keeps: `KRK` under `HKDF(S_guardians ‖ S_home)`. */
export const guardianEnvelopeForm = object('A KRK that guardians and home open together', {
  ...part,
  threshold: uint('How many guardians are needed', { max: 10 }),
  check: bytes('Check value of S_guardians', { length: 16 }),
  wrapped: bytes('KRK under the key of both halves', { length: 60 }),
})
export type GuardianEnvelope = Infer<typeof guardianEnvelopeForm>

/** A guardian's share (index from 1) or the home half (index 0), sealed to one key. */
export const guardianPartForm = object('A part of a recovery', {
  ...part,
  index: uint('Guardian from 1; 0 is the home half', { max: 10 }),
  sealed: bytes('enc ‖ sealed part', { min: 1_120 + 48, max: 1_120 + 64 }),
})
export type GuardianPart = Infer<typeof guardianPartForm>
