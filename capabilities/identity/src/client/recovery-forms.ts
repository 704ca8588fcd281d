import { bytes, list, object, oneOf, optional, uint } from '@salus/core'
import { codeText, id16, key32, orgText, signedForm } from './forms.ts'

const part = bytes('A part of the recovery, sealed to its keeper', { max: 4 * 1024 })
const plan = bytes('Recovery plan', { max: 4 * 1024 })
const envelope = bytes('KRK under guardians and home', { max: 4 * 1024 })
const salt = key32('Salt of the plan’s commitment')

export const armForm = object('A recovery that the ledger has armed', {
  plan,
  salt,
  cancelKey: key32('Key that can cancel'),
  envelope,
  homeHalf: part,
  copyHalf: optional(part),
})

export const recoveryStateForm = object('My recovery, as the ledger has it', {
  r: id16('Recovery'),
  state: oneOf('State', ['armed', 'started', 'complete']),
  /** Lower than the keyring's: it was armed for an earlier KRK and opens nothing; arm again. */
  krkGeneration: uint('KRK that it leads to'),
  newKey: optional(key32('Key of the device that recovers')),
  startedMs: optional(uint('ms UTC')),
  readyMs: optional(uint('ms UTC')),
})

export const openRecoveryForm = object('A person identified anew', {
  code: codeText,
  newKey: key32('One-time key of the new device, for the ledger'),
})
export const openedRecoveryForm = object('What the new device needs to begin', {
  r: id16('Recovery'),
  keyringId: id16('Keyring'),
  home: orgText,
  homeKey: key32('Home’s sign key, which signs the start too'),
  plan,
  salt,
  envelope,
})
export const startRecoveryForm = object('identity/startRecovery, signed by the new key', {
  body: bytes('Body', { max: 32 * 1024 }),
  sig: bytes('By the new key', { length: 64 }),
})
export const startedRecoveryForm = object('Started', { readyMs: uint('May be completed from, ms UTC') })

export const shareRequestSigned = signedForm('Share request, signed by the ledger’s newKey', 4_096)
export const shareReplySigned = signedForm('Share reply', 8_192)
export const askedForm = object('Taken', { reply: optional(shareReplySigned) })
export const waitingRequestForm = object('What waits for a guardian', {
  request: optional(shareRequestSigned),
})
export const guardianReplyForm = object('A guardian’s answer', {
  index: uint('Guardian, from 1', { max: 16 }),
  reply: shareReplySigned,
})
export const repliesForm = object('Answers so far', {
  replies: list(guardianReplyForm, { max: 16 }),
})
