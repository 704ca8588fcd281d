import {
  AppError,
  type Random,
  type SignedForm,
  type SigningKey,
  SUITE,
  sealKeyPair,
  sha256,
  tuple,
  type VerifierKey,
} from '@salus/core'
import type { Clock } from '@salus/host'
import {
  type EmergencyRequest,
  type StaffSignature,
  signAsStaff,
  signEmergencyRequest,
} from '../emergency.ts'
import {
  type EmergencyContent,
  openEmergencyReply,
  type ShownCredential,
  sealEnvelope,
} from '../emergency-reply.ts'
import { headNow } from './decision-inputs.ts'
import type { BrokenGlass } from './emergency-store.ts'
import type { ReleaseEvent } from './grantee.ts'
import type { AccessLog, ConsentKeys, ConsentLedger } from './ports.ts'
import { type OrgWire, signedFrom } from './transport.ts'

/** Somebody who works here, with the key that her credential confirms. */
export interface StaffSigner {
  readonly key: SigningKey
  readonly h: Uint8Array
  readonly shown: ShownCredential
}

export interface AskSummariesParts {
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly access: AccessLog
  readonly wire: Pick<OrgWire, 'post'>
  /** Ids of the other active members. */
  readonly members: () => readonly string[]
  readonly logOf: (custodian: string) => { readonly origin: string; readonly key: VerifierKey }
  /** Reads the event of a break-glass release: `H(request)` and the version it names. */
  readonly readEvent: (event: Uint8Array) => ReleaseEvent | undefined
  /** The organisation's own owner, for patients who are unknown here. */
  readonly organisationOwner: Uint8Array
  readonly clock: Clock
  readonly random: Random
}

/** What a custodian answered. */
export interface SummaryAnswer {
  readonly org: string
  readonly state: 'summary' | 'none' | 'unreachable'
  /** FHIR JSON. */
  readonly summary?: string
}

/**
 * Asks every other member for the emergency summary of the patient, at the same time. Each opening is proved by its
 * custodian and logged here before it is used. `signers`: the two people, where the ledger stands still.
 */
export async function askSummaries(
  parts: AskSummariesParts,
  glass: BrokenGlass,
  signers: readonly StaffSigner[],
): Promise<SummaryAnswer[]> {
  const { keys, ledger, members, clock, random } = parts
  const replyKey = sealKeyPair(random(32))
  const request: EmergencyRequest = {
    v: 1,
    b: glass.b,
    requestId: random(16),
    time: clock.now(),
    actor: { org: keys.org, practitioner: glass.practitioner },
    credential: glass.credential,
    statement: glass.statement,
    salt: glass.salt,
    patient: glass.patient,
    replyKey: replyKey.publicKey,
    suite: SUITE,
  }
  const signed = signEmergencyRequest(keys.sign, ledger.chainId, request)
  const requestHash = sha256(signed.bytes)
  const staff = signers.map(({ key, h }) => signAsStaff(key, ledger.chainId, h, requestHash))
  const asked = {
    glass,
    signed,
    requestHash,
    replyKey,
    staff,
    credentials: signers.map(({ shown }) => shown),
  }
  const others = members().filter((org) => org !== keys.org)
  return Promise.all(others.map((org) => askOne(parts, asked, org)))
}

interface Asked {
  readonly glass: BrokenGlass
  readonly signed: SignedForm
  readonly requestHash: Uint8Array
  readonly replyKey: ReturnType<typeof sealKeyPair>
  readonly staff: readonly StaffSignature[]
  readonly credentials: readonly ShownCredential[]
}

async function askOne(parts: AskSummariesParts, asked: Asked, org: string): Promise<SummaryAnswer> {
  const { keys, ledger, access, wire, logOf, readEvent, organisationOwner, clock, random } = parts
  const { glass, signed, requestHash, replyKey, staff, credentials } = asked
  const member = ledger.organisation(org)
  if (member === undefined || !member.active) return { org, state: 'unreachable' }
  const { chainId } = ledger
  const sealed = sealEnvelope(
    { v: 1, request: signed.bytes, sig: signed.sig, staff: [...staff], credentials: [...credentials] },
    { seal: member.seal, chainId, from: keys.org, org, random },
  )
  let content: EmergencyContent | undefined
  try {
    const reply = signedFrom(await wire.post(org, '/org/emergency', tuple(keys.org, sealed)))
    content = openEmergencyReply(reply, {
      b: glass.b,
      requestHash,
      custodian: org,
      suite: SUITE,
      replyKey,
      custodianKey: member.sign,
      log: logOf(org),
      chainId,
      requestHashIn: (event) => readEvent(event)?.requestHash,
    })
  } catch (error) {
    // Whoever does not answer, or not properly, is named; in an emergency the others' answers count.
    if (error instanceof AppError) return { org, state: 'unreachable' }
    throw error
  }
  await access.record({
    owner: glass.owner ?? organisationOwner,
    timeMs: clock.now(),
    kind: 'open',
    outcome: content === undefined ? 'denied' : 'permitted',
    actor: { org: keys.org, practitioner: glass.practitioner },
    custodian: org,
    purpose: 'ETREAT',
    action: 'read',
    emergency: { b: glass.b, reason: glass.reason, requestHash },
    versions: content === undefined ? [] : [...(readEvent(content.opening.event)?.versions ?? [])],
    head: headNow(parts),
    ...(staff.length === 0 ? {} : { degraded: true }),
  })
  return content === undefined ? { org, state: 'none' } : { org, state: 'summary', summary: content.summary }
}
