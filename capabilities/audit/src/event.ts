import { AppError, hmac, instantOf, toBase64, toBase64url, utf8 } from '@salus/core'
import { type CanonicalJson, canonicalBytes } from './canonical-json.ts'
import { BALP, type EventKind, KINDS, OUTCOMES, type Outcome, SYSTEMS } from './codes.ts'

/** One event lists at most this many versions; a larger answer is several events. Architecture §10. */
export const EVENT_MAX_VERSIONS = 1_000

/** A version concerned. `view`: `H(view)`, where a view and not the data key was released. */
export interface ConcernedVersion {
  readonly oid: Uint8Array
  /** `Type/id`. */
  readonly recordId: string
  readonly version: number
  readonly view?: Uint8Array
}

/** Everything an event says. One per request and patient. Organisation and people by their opaque ids. */
export interface AccessFacts {
  /** 16 B, random. */
  readonly eventId: Uint8Array
  readonly kind: EventKind
  readonly timeMs: number
  readonly outcome: Outcome
  /** Reasons of a refusal or the code of a failure; seen by the patient and the log's keeper, not by the asker. */
  readonly reasons: readonly string[]
  /** Who recorded this event. */
  readonly recorder: { readonly org: string; readonly node: string }
  /** Whose records: the organisation that holds them. */
  readonly custodian: { readonly org: string; readonly node: string }
  readonly requester: {
    readonly org: string
    readonly node: string
    readonly unit?: string
    readonly practitioner?: string
    readonly name?: string
    readonly roles?: readonly string[]
    /** Set for the patient herself, a delegate or the system. */
    readonly as: 'practitioner' | 'patient' | 'delegate' | 'system'
  }
  /** HL7 v3 PurposeOfUse. */
  readonly purpose: string
  /** Reference at the custodian, `Patient/id`. */
  readonly patient: string
  readonly versions: readonly ConcernedVersion[]
  /** As asked, for a search. */
  readonly query?: string
  readonly requestId: Uint8Array
  readonly grant?: {
    readonly g: Uint8Array
    readonly seq: number
    readonly prev: Uint8Array
    readonly requestHash: Uint8Array
  }
  readonly emergency?: { readonly b: Uint8Array; readonly reason: string; readonly requestHash: Uint8Array }
  /** The ledger's head that the decision rested on. */
  readonly head?: { readonly height: number; readonly ageMs: number }
  /** Went ahead although the ledger stood still. */
  readonly degraded: boolean
  readonly marked?: 'log-suspect' | 'log-forked'
}

/** A FHIR R4 AuditEvent in the shape of BALP. Throws AppError `AUDIT` for more than 1,000 versions. */
export function auditEvent(facts: AccessFacts): { readonly [member: string]: CanonicalJson } {
  if (facts.versions.length > EVENT_MAX_VERSIONS) {
    throw new AppError('AUDIT', `versions: an event lists at most ${EVENT_MAX_VERSIONS}; make several`)
  }
  const kind = KINDS[facts.kind]
  const permitted = facts.outcome === 'permitted'
  return {
    resourceType: 'AuditEvent',
    id: uuidOf(facts.eventId),
    // The profiles describe what succeeded; a refusal follows their shape without claiming them.
    ...(kind.profile !== undefined && permitted ? { meta: { profile: [`${BALP}.${kind.profile}`] } } : {}),
    type: coding(kind.type),
    subtype: kind.subtypes.map(coding),
    action: kind.action,
    recorded: instantOf(facts.timeMs),
    outcome: OUTCOMES[facts.outcome],
    ...(facts.reasons.length > 0 ? { outcomeDesc: facts.reasons.join(' ') } : {}),
    purposeOfEvent: [{ coding: [{ system: SYSTEMS.reason, code: facts.purpose }] }],
    agent: agents(facts),
    source: {
      site: facts.recorder.org,
      observer: { identifier: { value: facts.recorder.node } },
      type: [{ system: 'http://terminology.hl7.org/CodeSystem/security-source-type', code: '4' }],
    },
    entity: entities(facts),
  }
}

function agents({ kind, custodian, requester, purpose }: AccessFacts): CanonicalJson[] {
  // In a query the client is the source of the parameters; in everything else the custodian is the source of data.
  const asksAsSource = kind === 'search' || kind === 'create' || kind === 'update' || kind === 'delete'
  const machine = (node: string, role: string): CanonicalJson => ({
    type: { coding: [{ system: SYSTEMS.dcm, code: role }] },
    who: { identifier: { value: node } },
    requestor: false,
    network: { address: node, type: '5' },
  })
  const who = requester.practitioner ?? requester.as
  const user = {
    type: { coding: [{ system: SYSTEMS.participation, code: 'IRCP' }] },
    ...(requester.roles ? { role: requester.roles.map((text) => ({ text })) } : {}),
    who: { identifier: { system: `${SYSTEMS.salus}:person:${requester.org}`, value: who } },
    altId: requester.as,
    ...(requester.name === undefined ? {} : { name: requester.name }),
    requestor: true,
    ...(requester.unit === undefined ? {} : { policy: [`${SYSTEMS.salus}:unit:${requester.unit}`] }),
    purposeOfUse: [{ coding: [{ system: SYSTEMS.reason, code: purpose }] }],
  }
  const organisation = (org: string, role: string): CanonicalJson => ({
    type: { coding: [{ system: SYSTEMS.salus, code: role }] },
    who: { identifier: { system: `${SYSTEMS.salus}:organisation`, value: org } },
    requestor: false,
  })
  return [
    machine(custodian.node, asksAsSource ? '110152' : '110153'),
    machine(requester.node, asksAsSource ? '110153' : '110152'),
    user,
    organisation(requester.org, 'requester'),
    organisation(custodian.org, 'custodian'),
  ]
}

function entities(facts: AccessFacts): CanonicalJson[] {
  const out: CanonicalJson[] = [
    { what: { reference: facts.patient }, type: entityType('1'), role: objectRole('1') },
    {
      what: { identifier: { value: toBase64url(facts.requestId) } },
      type: { system: SYSTEMS.balpEntity, code: 'XrequestId' },
    },
  ]
  if (facts.query !== undefined) {
    out.push({ type: entityType('2'), role: objectRole('24'), query: toBase64(utf8(facts.query)) })
  }
  const details = ledgerDetails(facts)
  if (details.length > 0) {
    out.push({ type: { system: SYSTEMS.salus, code: 'basis' }, detail: details })
  }
  for (const { oid, recordId, version, view } of facts.versions) {
    out.push({
      what: { reference: `${recordId}/_history/${version}` },
      type: entityType('2'),
      role: objectRole('4'),
      detail: [
        { type: 'oid', valueBase64Binary: toBase64(oid) },
        ...(view === undefined ? [] : [{ type: 'view', valueBase64Binary: toBase64(view) }]),
      ],
    })
  }
  return out
}

function ledgerDetails({ grant, emergency, head, degraded, marked }: AccessFacts): CanonicalJson[] {
  const text = (type: string, value: string): CanonicalJson => ({ type, valueString: value })
  const binary = (type: string, value: Uint8Array): CanonicalJson => ({
    type,
    valueBase64Binary: toBase64(value),
  })
  return [
    ...(grant === undefined
      ? []
      : [
          binary('grant', grant.g),
          text('seq', String(grant.seq)),
          binary('prev', grant.prev),
          binary('request', grant.requestHash),
        ]),
    ...(emergency === undefined
      ? []
      : [
          binary('emergency', emergency.b),
          text('reason', emergency.reason),
          binary('request', emergency.requestHash),
        ]),
    ...(head === undefined
      ? []
      : [text('head-height', String(head.height)), text('head-age-ms', String(head.ageMs))]),
    ...(degraded ? [text('degraded', 'true')] : []),
    ...(marked === undefined ? [] : [text('marked', marked)]),
  ]
}

function coding([system, code]: readonly [keyof typeof SYSTEMS, string]): CanonicalJson {
  return { system: SYSTEMS[system], code }
}

function entityType(code: string): CanonicalJson {
  return { system: SYSTEMS.entityType, code }
}

function objectRole(code: string): CanonicalJson {
  return { system: SYSTEMS.objectRole, code }
}

/** Event ids as FHIR ids: the 16 bytes in the form of a UUID. */
export function uuidOf(id: Uint8Array): string {
  const hex = [...id].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** An event ready to seal under `AK_p` and to log. */
export interface SealableEvent {
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
}

export function encodeEvent(facts: AccessFacts): SealableEvent {
  return canonicalBytes(auditEvent(facts))
}

/** Leaf of kind 2: `HMAC(salt, (2, eventId, digest))`; 32 bytes. Protocol, Forms. */
export function eventLeaf(salt: Uint8Array, eventId: Uint8Array, digest: Uint8Array): Uint8Array {
  return hmac(salt, 2, eventId, digest)
}
