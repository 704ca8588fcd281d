import {
  AppError,
  bytes,
  type CborValue,
  decodeForm,
  encodeForm,
  type Infer,
  object,
  oneOf,
  openSealed,
  optional,
  type Random,
  sealTo,
  sha256,
  text,
  tuple,
  uint,
} from '@salus/core'
import type { Clock } from '@salus/host'
import { actorSchema } from '../release-request.ts'
import { PURPOSES, type Purpose } from '../vocabulary.ts'
import { headNow } from './decision-inputs.ts'
import { MemberRate } from './member-rate.ts'
import type { NoticeBoard, PatientDesk } from './patient-ports.ts'
import type { AccessLog, ConsentKeys, ConsentLedger, LinkRegistry } from './ports.ts'
import type { OrgWire } from './transport.ts'

/** Every answer to a request without a grant, whoever asks for whomever. */
export const NO_GRANT_ANSWER = 'DENIED'
const ASKS_PER_HOUR = 60
const MAX_BYTES = 8_192

export const personSchema = object('Demographics', {
  family: text('Family name', { min: 1, max: 128 }),
  given: text('Given name', { min: 1, max: 128 }),
  birthDate: text('YYYY-MM-DD', { min: 10, max: 10 }),
  gender: optional(oneOf('Administrative gender', ['male', 'female', 'other', 'unknown'])),
})

/** Who asks for whom; sealed to the organisation asked, since it names a person. */
const accessRequestSchema = object('Request for records without a grant', {
  v: uint('Form version'),
  requestId: bytes('Random', { length: 16 }),
  actor: actorSchema,
  purpose: oneOf('Purpose', PURPOSES),
  person: personSchema,
})
type AccessRequest = Infer<typeof accessRequestSchema>

export interface AccessRequestsParts {
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly access: AccessLog
  readonly links: LinkRegistry
  readonly patients: PatientDesk
  readonly notices: NoticeBoard
  readonly wire: Pick<OrgWire, 'tell'>
  readonly clock: Clock
  readonly random: Random
}

/**
 * Asking for records without a grant. The answer is always no, and always the same, so that nobody learns whether a
 * patient is known somewhere; but the patient learns who asked, and can make a grant.
 */
export class AccessRequests {
  readonly #parts: AccessRequestsParts
  readonly #rate: MemberRate

  constructor(parts: AccessRequestsParts) {
    this.#parts = parts
    this.#rate = new MemberRate({ clock: parts.clock, perHour: ASKS_PER_HOUR })
  }

  /**
   * A clinician here asks another organisation for a patient's records. Logged here too.
   * Throws AppError `NOT_FOUND`, `UNREACHABLE`, `TOO_MANY`.
   */
  async ask(
    staff: { readonly practitioner: string; readonly unit?: string },
    input: { readonly custodian: string; readonly patient: string; readonly purpose: Purpose },
  ): Promise<typeof NO_GRANT_ANSWER> {
    const { keys, ledger, access, patients, wire, clock, random } = this.#parts
    const { custodian, purpose } = input
    const member = ledger.organisation(custodian)
    if (member === undefined || custodian === keys.org)
      throw new AppError('NOT_FOUND', 'custodian: is no other member of this network', { path: 'custodian' })
    const found = await patients.read(input.patient)
    if (found === undefined)
      throw new AppError('NOT_FOUND', 'patient: nobody of that id is treated here', { path: 'patient' })
    const { unit, practitioner } = staff
    const actor = { org: keys.org, practitioner, ...(unit === undefined ? {} : { unit }) }
    const request: AccessRequest = { v: 1, requestId: random(16), actor, purpose, person: found.person }
    const encoded = encodeForm(accessRequestSchema, request)
    await access.record({
      owner: found.owner,
      timeMs: clock.now(),
      kind: 'request',
      outcome: 'denied',
      actor,
      custodian,
      purpose,
      action: 'read',
      requestHash: sha256(encoded),
      versions: [],
      reasons: ['NO_GRANT'],
      head: headNow(this.#parts),
    })
    const sealed = sealTo({
      to: member.seal,
      info: infoOf(ledger.chainId, keys.org, custodian),
      plaintext: encoded,
      random,
    })
    await wire.tell({
      to: custodian,
      path: '/org/access-requests',
      kind: 'access-request',
      payload: { sealed },
    })
    return NO_GRANT_ANSWER
  }

  /** Another organisation asks. Throws AppError only for what is malformed, and `TOO_MANY`. */
  async receive(from: string, payload: CborValue): Promise<typeof NO_GRANT_ANSWER> {
    const { keys, ledger, access, links, patients, notices, clock } = this.#parts
    this.#rate.take(from)
    const sealed = (payload as { readonly sealed?: CborValue } | null)?.sealed
    if (!(sealed instanceof Uint8Array)) throw new AppError('BAD_REQUEST', 'payload.sealed: must be bytes')
    const info = infoOf(ledger.chainId, from, keys.org)
    const encoded = openSealed({ key: keys.seal, info, sealed })
    const request = decodeForm(accessRequestSchema, encoded, { maxBytes: MAX_BYTES, version: 1 })
    const { actor, purpose } = request
    if (actor.org !== from)
      throw new AppError('BAD_REQUEST', 'actor.org: is not the organisation that signed')
    const { gender, ...person } = request.person
    const found = patients.find({ ...person, ...(gender === undefined ? {} : { gender }) })
    const owner = found.length === 1 ? found[0] : undefined
    await access.record({
      owner: owner ?? links.organisationOwner,
      timeMs: clock.now(),
      kind: 'refusal',
      outcome: 'denied',
      actor,
      custodian: keys.org,
      purpose,
      action: 'read',
      requestHash: sha256(encoded),
      versions: [],
      reasons: [owner === undefined ? 'NO_MATCH' : 'NO_GRANT'],
      head: headNow(this.#parts),
    })
    if (owner !== undefined) {
      const practitioner = actor.practitioner === undefined ? {} : { practitioner: actor.practitioner }
      notices.add(owner, { kind: 'refusal', about: { org: from, purpose, ...practitioner } })
    }
    return NO_GRANT_ANSWER
  }
}

const infoOf = (chainId: Uint8Array, from: string, to: string): Uint8Array =>
  tuple('salus/access-request/v1', chainId, from, to)
