import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  equal,
  hmacBytes,
  type Infer,
  object,
  oneOf,
  openForm,
  optional,
  type SignedForm,
  type SigningKey,
  sha256,
  signAs,
  signForm,
  text,
  uint,
  variant,
  verifyAs,
} from '@salus/core'
import { ledgerIdOf } from '../contract/ids.ts'
import { EMERGENCY_MAX_MS } from '../contract/schema.ts'
import type { Labels } from './decision.ts'
import { actorSchema } from './release-request.ts'

/** A degraded opening owes the ledger its event within this time. Protocol §6. */
export const DEGRADED_DUE_MS = 24 * 3_600_000

const id = (doc: string) => text(doc, { min: 1, max: 64 })

/** What `c` on the ledger commits to: who broke the glass, why, for how long. Protocol §6. */
export const emergencyStatementSchema = object('Breaking the glass', {
  v: uint('Form version'),
  org: id('Organisation'),
  practitioner: id('Practitioner, opaque'),
  credential: bytes('h of the practitioner’s credential', { length: 32 }),
  reason: oneOf('Why', ['unconscious', 'life-threat', 'cannot-communicate', 'court-order', 'other']),
  note: optional(text('In her words; sealed with the event, never on the ledger', { max: 512 })),
  time: uint('ms UTC'),
  until: uint('Ends, ms UTC'),
})
export type EmergencyStatement = Infer<typeof emergencyStatementSchema>

export function encodeEmergencyStatement(statement: EmergencyStatement): Uint8Array {
  if (statement.until <= statement.time || statement.until > statement.time + EMERGENCY_MAX_MS) {
    throw new AppError('EMERGENCY', 'until: must be later than time, by at most 24 hours')
  }
  return encodeForm(emergencyStatementSchema, statement)
}

/** Arguments of `consent/emergency`: `c = HMAC(salt, H(statement))`, `b` = first 16 B of `H(c)`. */
export function emergencyArgs(
  encoded: Uint8Array,
  salt: Uint8Array,
): { b: Uint8Array; org: string; c: Uint8Array; na: number } {
  const { org, until } = decodeForm(emergencyStatementSchema, encoded, { maxBytes: 8_192, version: 1 })
  const c = hmacBytes(salt, sha256(encoded))
  return { b: ledgerIdOf(c), org, c, na: until }
}

/** How the patient is found: the locator she carries, or a match request to all members. Protocol §6. */
export const patientHintSchema = variant('Which patient', 'kind', {
  locator: { locator: bytes('From the code she carries', { length: 32 }) },
  match: {
    family: text('Family name', { min: 1, max: 128 }),
    given: text('Given name', { min: 1, max: 128 }),
    birthDate: text('YYYY-MM-DD', { min: 10, max: 10 }),
    gender: optional(oneOf('Administrative gender', ['male', 'female', 'other', 'unknown'])),
  },
})

/** To each custodian asked, type `request`. Sent sealed or over TLS only: a match names a person. */
export const emergencyRequestSchema = object('Request for an emergency summary', {
  v: uint('Form version'),
  b: bytes('Emergency: first 16 B of H(c)', { length: 16 }),
  requestId: bytes('Random', { length: 16 }),
  time: uint('ms UTC'),
  actor: actorSchema,
  credential: bytes('h of the practitioner’s credential', { length: 32 }),
  statement: bytes('Statement that c commits to', { max: 8_192 }),
  salt: bytes('Salt of c', { length: 32 }),
  patient: patientHintSchema,
  replyKey: bytes('Fresh X-Wing public key', { length: 1_216 }),
  suite: uint('Sealing suite of the reply', { max: 65_535 }),
})
export type EmergencyRequest = Infer<typeof emergencyRequestSchema>

export function signEmergencyRequest(
  key: SigningKey,
  chainId: Uint8Array,
  request: EmergencyRequest,
): SignedForm {
  return signForm(emergencyRequestSchema, request, { key, type: 'request', chainId })
}

/** Throws AppError `BAD_SIGNATURE`, `CBOR`, `UNKNOWN_VERSION`, `SCHEMA`, `EMERGENCY`. */
export function openEmergencyRequest(
  signed: SignedForm,
  {
    org,
    orgKey,
    chainId,
  }: { readonly org: string; readonly orgKey: Uint8Array; readonly chainId: Uint8Array },
): EmergencyRequest {
  const limits = { maxBytes: 32_768, version: 1 }
  const request = openForm(emergencyRequestSchema, signed, {
    publicKey: orgKey,
    type: 'request',
    chainId,
    ...limits,
  })
  if (request.actor.org !== org)
    throw new AppError('EMERGENCY', 'actor.org: is not the organisation that signed')
  return request
}

/** A staff member's signature over the very request, by the key her credential confirms. Type `statement`. */
export const staffSignatureSchema = object('One of two staff signatures', {
  credential: bytes('h of the credential', { length: 32 }),
  cnf: bytes('Confirmed key, Ed25519', { length: 32 }),
  sig: bytes('Type statement, over H(request)', { length: 64 }),
})
export type StaffSignature = Infer<typeof staffSignatureSchema>

export function signAsStaff(
  key: SigningKey,
  chainId: Uint8Array,
  credential: Uint8Array,
  requestHash: Uint8Array,
): StaffSignature {
  return { credential, cnf: key.publicKey, sig: signAs(key, 'statement', chainId, requestHash) }
}

export interface EmergencyState {
  readonly chainId: Uint8Array
  readonly clockMs: number
  readonly head: { readonly timeMs: number }
  /** The emergency as final at the head; absent where the ledger does not have it. */
  readonly glass?: { readonly org: string; readonly c: Uint8Array; readonly na: number } | undefined
  /** Set only where the ledger stands still: the two signatures, and what the last known head says of each credential. */
  readonly degraded?:
    | {
        readonly requestHash: Uint8Array
        readonly signatures: readonly StaffSignature[]
        readonly credentials: readonly {
          readonly h: Uint8Array
          readonly issuer: string
          readonly status: string
          readonly practitioner: string
          readonly cnf: Uint8Array
        }[]
      }
    | undefined
  readonly credential?: { readonly issuer: string; readonly status: string } | undefined
  readonly optedOut: boolean
  /** The law of the place overrides the patient's opt-out. */
  readonly overridesOptOut: boolean
}

export type EmergencyReason =
  | 'NOT_SUMMARY'
  | 'OPTED_OUT'
  | 'CREDENTIAL'
  | 'COMMITMENT'
  | 'NOT_FINAL'
  | 'WRONG_ORG'
  | 'ENDED'
  | 'TWO_SIGNATURES'

export interface EmergencyDecision {
  readonly permit: boolean
  readonly reasons: readonly EmergencyReason[]
  /** With a permit on the degraded path: mark the event, and the ledger is owed its own until this time. */
  readonly degraded?: { readonly ledgerDueMs: number }
}

/**
 * Whether a broken glass releases this version: the generated summary and nothing else, and only once the ledger's
 * event is final, or, while the ledger stands still, on two staff signatures. Pure. Protocol §6.
 */
export function decideEmergency(
  request: EmergencyRequest,
  state: EmergencyState,
  labels: Pick<Labels, 'compartment' | 'restricted'>,
): EmergencyDecision {
  const reasons: EmergencyReason[] = []
  const deny = (reason: EmergencyReason, when: boolean): void => {
    if (when) reasons.push(reason)
  }
  const statement = readStatement(request)
  const latestMs = Math.max(state.clockMs, state.head.timeMs)
  deny('NOT_SUMMARY', labels.compartment !== 'emergency' || labels.restricted)
  deny('OPTED_OUT', state.optedOut && !state.overridesOptOut)
  deny('CREDENTIAL', state.credential?.status !== 'active' || state.credential.issuer !== request.actor.org)
  deny('COMMITMENT', statement === undefined)
  deny('WRONG_ORG', statement !== undefined && statement.org !== request.actor.org)
  deny('ENDED', statement !== undefined && latestMs >= statement.until)
  if (state.glass !== undefined) {
    const { glass } = state
    deny(
      'COMMITMENT',
      statement !== undefined && !equal(glass.c, emergencyArgs(request.statement, request.salt).c),
    )
    deny('WRONG_ORG', glass.org !== request.actor.org)
    deny('ENDED', latestMs >= glass.na)
  } else if (state.degraded !== undefined) {
    deny('TWO_SIGNATURES', !twoStaffSigned(request, state.chainId, state.degraded))
  } else {
    deny('NOT_FINAL', true)
  }
  const unique = [...new Set(reasons)]
  if (unique.length > 0) return { permit: false, reasons: unique }
  if (state.glass !== undefined) return { permit: true, reasons: [] }
  return { permit: true, reasons: [], degraded: { ledgerDueMs: state.clockMs + DEGRADED_DUE_MS } }
}

/** The statement, if `b` is the one it commits to and it names the asker. */
function readStatement(request: EmergencyRequest): EmergencyStatement | undefined {
  try {
    const statement = decodeForm(emergencyStatementSchema, request.statement, { maxBytes: 8_192, version: 1 })
    const args = emergencyArgs(request.statement, request.salt)
    const named =
      statement.practitioner === request.actor.practitioner && equal(statement.credential, request.credential)
    const inTime = statement.until > statement.time && statement.until <= statement.time + EMERGENCY_MAX_MS
    return named && inTime && equal(args.b, request.b) ? statement : undefined
  } catch {
    return undefined
  }
}

/** Two different people of the asking organisation, each with an active credential and its confirmed key. */
function twoStaffSigned(
  request: EmergencyRequest,
  chainId: Uint8Array,
  { requestHash, signatures, credentials }: NonNullable<EmergencyState['degraded']>,
): boolean {
  const people = new Set<string>()
  for (const { credential, cnf, sig } of signatures) {
    const known = credentials.find(({ h }) => equal(h, credential))
    if (known?.status !== 'active' || known.issuer !== request.actor.org || !equal(known.cnf, cnf)) continue
    if (verifyAs(cnf, 'statement', chainId, requestHash, sig)) people.add(known.practitioner)
  }
  return people.size >= 2
}
