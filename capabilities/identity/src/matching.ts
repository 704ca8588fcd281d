import {
  bytes,
  equal,
  hmac,
  type Infer,
  object,
  oneOf,
  openForm,
  optional,
  type Random,
  type SignedForm,
  type SigningKey,
  signForm,
  text,
  uint,
} from '@salus/core'

/** A one-time code: eight digits, ten minutes, five tries. Protocol §9. */
export const CODE_DIGITS = 8
export const CODE_LIFE_MS = 10 * 60_000
export const CODE_TRIES = 5

const org = text('Organisation', { min: 1, max: 63 })
const v = uint('Form version')
const requestId = bytes('Random', { length: 16 })

/** B asks A whether it knows a person; A sends a code to the contact it has on file. Sent sealed, type `request`. */
export const matchRequestSchema = object('Match request', {
  v,
  requestId,
  from: org,
  to: org,
  time: uint('ms UTC'),
  person: object('Demographics', {
    family: text('Family name', { min: 1, max: 128 }),
    given: text('Given name', { min: 1, max: 128 }),
    birthDate: text('YYYY-MM-DD', { min: 10, max: 10 }),
    gender: optional(oneOf('Administrative gender', ['male', 'female', 'other', 'unknown'])),
    postalCode: optional(text('Postal code', { min: 1, max: 16 })),
  }),
})
export type MatchRequest = Infer<typeof matchRequestSchema>

/** B returns the code that the person received, type `request`. */
export const matchConfirmationSchema = object('Match confirmation', {
  v,
  requestId,
  code: text('Digits', { min: CODE_DIGITS, max: CODE_DIGITS }),
})
export type MatchConfirmation = Infer<typeof matchConfirmationSchema>

/** A's whole answer, type `reply`: yes or no. The same `no` for nobody, several, wrong code and too late. */
export const matchAnswerSchema = object('Match answer', {
  v,
  requestId,
  answer: oneOf('Answer', ['yes', 'no']),
  time: uint('ms UTC'),
})
export type MatchAnswer = Infer<typeof matchAnswerSchema>

export function signMatchRequest(key: SigningKey, chainId: Uint8Array, request: MatchRequest): SignedForm {
  return signForm(matchRequestSchema, request, { key, type: 'request', chainId })
}
export function openMatchRequest(
  publicKey: Uint8Array,
  chainId: Uint8Array,
  signed: SignedForm,
): MatchRequest {
  return openForm(matchRequestSchema, signed, {
    publicKey,
    type: 'request',
    chainId,
    maxBytes: 4_096,
    version: 1,
  })
}
export function signMatchConfirmation(
  key: SigningKey,
  chainId: Uint8Array,
  form: MatchConfirmation,
): SignedForm {
  return signForm(matchConfirmationSchema, form, { key, type: 'request', chainId })
}
export function openMatchConfirmation(
  publicKey: Uint8Array,
  chainId: Uint8Array,
  signed: SignedForm,
): MatchConfirmation {
  return openForm(matchConfirmationSchema, signed, {
    publicKey,
    type: 'request',
    chainId,
    maxBytes: 256,
    version: 1,
  })
}
export function signMatchAnswer(key: SigningKey, chainId: Uint8Array, answer: MatchAnswer): SignedForm {
  return signForm(matchAnswerSchema, answer, { key, type: 'reply', chainId })
}
export function openMatchAnswer(publicKey: Uint8Array, chainId: Uint8Array, signed: SignedForm): MatchAnswer {
  return openForm(matchAnswerSchema, signed, { publicKey, type: 'reply', chainId, maxBytes: 256, version: 1 })
}

/** Eight uniform digits. Draws again where a byte would favour some digits. */
export function drawCode(random: Random): string {
  let code = ''
  while (code.length < CODE_DIGITS) {
    for (const byte of random(16)) if (byte < 250 && code.length < CODE_DIGITS) code += String(byte % 10)
  }
  return code
}

/** What A keeps of a code it sent: never the code. */
export interface PendingCode {
  readonly requestId: Uint8Array
  readonly salt: Uint8Array
  readonly commitment: Uint8Array
  readonly sentMs: number
  readonly tries: number
}

export function pendingCode(
  requestIdBytes: Uint8Array,
  code: string,
  sentMs: number,
  random: Random,
): PendingCode {
  const salt = random(32)
  return { requestId: requestIdBytes, salt, commitment: hmac(salt, requestIdBytes, code), sentMs, tries: 0 }
}

/** Checks a returned code and counts the try. The caller keeps `pending` as it comes back, or drops it on a yes. */
export function tryCode(
  pending: PendingCode,
  code: string,
  nowMs: number,
): { readonly answer: 'yes' | 'no'; readonly pending: PendingCode } {
  const counted = { ...pending, tries: pending.tries + 1 }
  const inTime = nowMs >= pending.sentMs && nowMs < pending.sentMs + CODE_LIFE_MS
  const right = equal(pending.commitment, hmac(pending.salt, pending.requestId, code))
  return { answer: inTime && right && counted.tries <= CODE_TRIES ? 'yes' : 'no', pending: counted }
}
