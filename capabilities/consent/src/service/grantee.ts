import {
  AppError,
  equal,
  type Random,
  type SealKeyPair,
  type SignedForm,
  SUITE,
  sealKeyPair,
  sha256,
  toHex,
  type VerifierKey,
} from '@salus/core'
import type { Clock } from '@salus/host'
import { type ConditionKinds, noConditions } from '../conditions.ts'
import { openRefusal, openReply, type Refusal, type ReleaseContent } from '../release-reply.ts'
import { type ReleaseRequest, requestHashOf, signRequest } from '../release-request.ts'
import { decodeTerms, type Terms } from '../terms.ts'
import { type Acceptance, checkAsGrantee, openForGrantee, signAcceptance } from '../terms-link.ts'
import type { Action } from '../vocabulary.ts'
import { headNow, ledgerGrant } from './decision-inputs.ts'
import type { GrantStore, StoredGrant } from './grant-store.ts'
import { type LeasedVersion, type Leases, wipe } from './leases.ts'
import { checkOpened, type OpenedRecord, openItems } from './open-items.ts'
import type { Access, AccessLog, ConsentKeys, ConsentLedger, LinkRegistry } from './ports.ts'
import { signRecalled } from './recall.ts'
import { Turns } from './turns.ts'

/** How requests and objects travel to a custodian. Errors of the network are AppError `UNREACHABLE`. */
export interface CustodianTransport {
  release(custodian: string, signed: SignedForm): Promise<SignedForm>
  /** Ciphertext by address, in the order asked; undefined where the custodian has none. */
  objects(custodian: string, addresses: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>
}

/** What a custodian's AuditEvent of a release says. */
export interface ReleaseEvent {
  readonly requestHash: Uint8Array
  readonly versions: readonly OpenedRecord[]
}

export interface GranteeParts {
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly grants: GrantStore
  readonly links: LinkRegistry
  readonly leases: Leases
  readonly access: AccessLog
  readonly transport: CustodianTransport
  /** Origin and verifier of a custodian's fact log. */
  readonly logOf: (custodian: string) => { readonly origin: string; readonly key: VerifierKey }
  /** Reads a release's AuditEvent; undefined for anything else. */
  readonly readEvent: (event: Uint8Array) => ReleaseEvent | undefined
  readonly clock: Clock
  readonly random: Random
  readonly kinds?: ConditionKinds
}

/** Who asks, inside this organisation. */
export interface Asker {
  readonly practitioner?: string
  readonly unit?: string
  readonly credential?: Uint8Array
}

/** What is asked: versions by id, or a FHIR search. */
export interface Question {
  readonly action: Action
  readonly oids?: readonly Uint8Array[]
  readonly query?: string
}

export interface Answered {
  readonly versions: readonly LeasedVersion[]
  /** Only where the terms let the grantee know. */
  readonly withheld: number | undefined
}

/** Thrown as AppError `RELEASE_REFUSED` with the code that the custodian told. */
export function refused(code: Refusal['code']): AppError {
  return new AppError(
    'RELEASE_REFUSED',
    'release: the custodian refused; ask the patient for a grant that covers it',
    { refusal: code },
  )
}

interface Sent {
  readonly grant: StoredGrant
  readonly terms: Terms
  readonly request: ReleaseRequest
  readonly requestHash: Uint8Array
  readonly replyKey: SealKeyPair
  readonly reply: SignedForm
  readonly custodianKey: Uint8Array
}

/**
 * The grantee's end of grants (protocol §4): accepts terms, asks, checks the proof before use, logs its own leaf, and
 * keeps what was opened in memory only.
 */
export class Grantee {
  readonly #parts: GranteeParts
  readonly #turns = new Turns()

  constructor(parts: GranteeParts) {
    this.#parts = parts
  }

  /** Accepts a sealed grant package. Throws AppError `TERMS_REFUSED`, `TEXT_MISMATCH`, `OPEN_FAILED`. */
  accept(g: Uint8Array, sealed: Uint8Array): { readonly acceptance: SignedForm; readonly terms: Terms } {
    const { keys, ledger, grants, links, clock } = this.#parts
    const pack = openForGrantee({ key: keys.seal, chainId: ledger.chainId, g, sealed })
    const grant = ledgerGrant(ledger, g)
    if (grant === undefined)
      throw new AppError('TERMS_REFUSED', 'g: is not final on the ledger here; send it again when it is', {
        path: 'g',
      })
    const terms = checkAsGrantee({
      pack,
      grant,
      org: keys.org,
      knowsSub: (sub) => links.ownerOfSub(sub) !== undefined,
      kinds: this.#parts.kinds ?? noConditions,
    })
    if (!equal(terms.g, g))
      throw new AppError('TERMS_REFUSED', 'terms: are of another grant', { path: 'terms' })
    const owner = links.ownerOfSub(terms.sub) as Uint8Array
    // The grantee's package names no link; its place is kept so that both ends store one form.
    const carried = { ...pack, link: { key: new Uint8Array(32), sig: new Uint8Array(64) } }
    grants.add({ g, role: 'grantee', owner, carried })
    const acceptance: Acceptance = { v: 1, g, terms: sha256(pack.terms), org: keys.org, time: clock.now() }
    return { acceptance: signAcceptance(keys.sign, ledger.chainId, acceptance), terms }
  }

  /** Grants under which an owner's foreign records can be asked for now, by this asker. */
  usable(owner: Uint8Array, asker: Asker): { readonly grant: StoredGrant; readonly terms: Terms }[] {
    const { grants, ledger, clock } = this.#parts
    const nowMs = Math.max(clock.now(), ledger.head().timeMs)
    return grants.ofOwner(owner, 'grantee').flatMap((grant) => {
      const terms = decodeTerms(grant.carried.terms)
      const { practitioner, unit } = terms.grantee
      const fits =
        (practitioner === undefined || practitioner === asker.practitioner) &&
        (unit === undefined || unit === asker.unit)
      const active = ledgerGrant(ledger, grant.g)?.state === 'active'
      return fits && active && !grant.revokedOnSight && nowMs < terms.notAfter ? [{ grant, terms }] : []
    })
  }

  /**
   * Asks a custodian under a grant and opens what it releases. Keys and plaintext go into the lease memory.
   * Throws AppError `NO_GRANT`, `RELEASE_REFUSED`, `SEQUENCE_DISPUTED`, `RECALLED`, `UNREACHABLE`, `REPLY`,
   * `OPEN_FAILED`, `OBJECT_MISSING`, `OBJECT_ALTERED`.
   */
  ask(g: Uint8Array, question: Question, asker: Asker): Promise<Answered> {
    return this.#turns.take(toHex(g), () => this.#ask(g, question, asker))
  }

  /**
   * Drops what is held and asks no more under this grant. Returns the signed statement of it.
   * Throws AppError `FORBIDDEN` for anybody but the grant's custodian.
   */
  recall(from: string, g: Uint8Array): SignedForm {
    const { keys, ledger, grants, leases, clock } = this.#parts
    const grant = grants.get(g)
    if (grant?.role !== 'grantee' || decodeTerms(grant.carried.terms).custodian !== from)
      throw new AppError('FORBIDDEN', 'g: is no grant of yours here')
    grants.revokeOnSight(g)
    const dropped = leases.recall(g)
    const recalled = { v: 1, g, org: keys.org, dropped, time: clock.now() }
    return signRecalled(keys.sign, ledger.chainId, recalled)
  }

  async #ask(g: Uint8Array, question: Question, asker: Asker): Promise<Answered> {
    const first = await this.#send(g, question, asker)
    const refusal = await this.#refusalIn(first)
    if (refusal === undefined) return this.#take(first)
    if (refusal.code !== 'SEQUENCE') throw refused(refusal.code)
    // An earlier answer was lost on its way; the place where the custodian stands is taken up now.
    const second = await this.#send(g, question, asker)
    const again = await this.#refusalIn(second)
    if (again === undefined) return this.#take(second)
    throw refused(again.code)
  }

  async #send(g: Uint8Array, question: Question, asker: Asker): Promise<Sent> {
    const { keys, ledger, grants, transport, random, clock } = this.#parts
    const grant = grants.get(g)
    if (grant === undefined || grant.role !== 'grantee')
      throw new AppError('NO_GRANT', 'grant: this organisation has none of that id; ask the patient')
    const terms = decodeTerms(grant.carried.terms)
    const custodian = ledger.organisation(terms.custodian)
    if (custodian === undefined) throw new AppError('REPLY', 'custodian: is no member of this network')
    const replyKey = sealKeyPair(random(32))
    const { practitioner, unit, credential } = asker
    const request: ReleaseRequest = {
      v: 1,
      g,
      seq: grant.lastSeq + 1,
      prev: grant.lastRequest,
      requestId: random(16),
      time: clock.now(),
      actor: {
        org: keys.org,
        ...(unit === undefined ? {} : { unit }),
        ...(practitioner === undefined ? {} : { practitioner }),
      },
      ...(credential === undefined ? {} : { credential }),
      purpose: terms.purpose,
      action: question.action,
      ...(question.oids === undefined ? {} : { oids: [...question.oids] }),
      ...(question.query === undefined ? {} : { query: question.query }),
      replyKey: replyKey.publicKey,
      suite: SUITE,
    }
    const signed = signRequest(keys.sign, ledger.chainId, request)
    const requestHash = requestHashOf(signed)
    grants.noteAsked(g, { seq: request.seq, requestHash, prev: request.prev })
    const reply = await transport.release(terms.custodian, signed)
    return { grant, terms, request, requestHash, replyKey, reply, custodianKey: custodian.sign }
  }

  /** The refusal that a reply is, logged and with the sequence taken up; undefined where it releases. */
  async #refusalIn(sent: Sent): Promise<Refusal | undefined> {
    const { ledger, grants, access, clock } = this.#parts
    const { grant, request, requestHash, reply, custodianKey } = sent
    let refusal: Refusal
    try {
      refusal = openRefusal(custodianKey, ledger.chainId, reply)
    } catch (error) {
      // A reply that releases has another form; anything wrong with it shows when it is opened as one.
      if (error instanceof AppError && error.code !== 'BAD_SIGNATURE') return undefined
      throw error
    }
    if (!equal(refusal.request, requestHash))
      throw new AppError('REPLY', 'request: the refusal answers another request', { field: 'request' })
    grants.noteAnswered(grant.g, requestHash)
    const counted = refusal.last !== undefined && equal(refusal.last.request, requestHash)
    await access.record({
      ...this.#event(sent),
      outcome: 'denied',
      ...(counted ? { seq: request.seq, prev: request.prev } : {}),
      versions: [],
      reasons: [refusal.code],
    })
    if (counted)
      grants.noteRequest(grant.g, { seq: request.seq, requestHash, timeMs: clock.now(), versions: 0 })
    else if (refusal.last !== undefined) await this.#takeUp(sent, refusal.last)
    return refusal
  }

  /** Goes on from where the custodian stands, if that is a request which this organisation made. */
  async #takeUp(sent: Sent, last: NonNullable<Refusal['last']>): Promise<void> {
    const { grants, access } = this.#parts
    const { g } = sent.grant
    const none = last.seq === 0 && last.request.every((byte) => byte === 0)
    const ours = none ? undefined : grants.asked(g, last.request)
    if (!none && ours?.seq !== last.seq)
      throw new AppError(
        'SEQUENCE_DISPUTED',
        'sequence: the custodian counts a request that this organisation never made; tell the patient and the custodian',
      )
    if (ours !== undefined && !ours.answered) {
      await access.record({
        ...this.#event(sent),
        requestHash: ours.requestHash,
        outcome: 'denied',
        seq: ours.seq,
        prev: ours.prev,
        versions: [],
        reasons: ['NO_ANSWER'],
      })
      grants.noteAnswered(g, ours.requestHash)
    }
    grants.setSequence(g, last)
  }

  /** Step 5 of Release: verify, log, then open. */
  async #take(sent: Sent): Promise<Answered> {
    const { ledger, grants, leases, access, clock, transport } = this.#parts
    const { grant, terms, request, requestHash } = sent
    const content = this.#openReply(sent)
    const event = this.#parts.readEvent(content.opening.event)
    const records = checkOpened(content.items, event?.versions ?? [])
    await access.record({
      ...this.#event(sent),
      outcome: 'permitted',
      seq: request.seq,
      prev: request.prev,
      versions: records,
    })
    grants.noteAnswered(grant.g, requestHash)
    grants.noteRequest(grant.g, {
      seq: request.seq,
      requestHash,
      timeMs: clock.now(),
      versions: records.length,
    })
    const opened = await openItems(content.items, records, (addresses) =>
      transport.objects(terms.custodian, addresses),
    )
    const { practitioner } = request.actor
    // The custodian names the end; terms bind the grantee all the same.
    const leaseUntilMs = Math.min(content.leaseUntil, clock.now() + terms.lease, terms.notAfter)
    const versions = opened.map((each) => ({
      ...each,
      g: grant.g,
      custodian: terms.custodian,
      practitioner,
      leaseUntilMs,
    }))
    // A recall may have come while the ciphertext was on its way.
    const ended =
      (grants.get(grant.g)?.revokedOnSight ?? true) ||
      ledgerGrant(ledger, grant.g)?.state !== 'active' ||
      clock.now() >= leaseUntilMs
    if (ended) {
      for (const version of versions) wipe(version)
      throw new AppError('RECALLED', 'release: the grant ended while the records were on their way')
    }
    leases.hold(versions)
    return { versions, withheld: content.withheld }
  }

  #openReply({ grant, terms, request, requestHash, replyKey, reply, custodianKey }: Sent): ReleaseContent {
    const { ledger, logOf, readEvent } = this.#parts
    return openReply(reply, {
      request,
      requestHash,
      termsHash: sha256(grant.carried.terms),
      replyKey,
      custodianKey,
      log: logOf(terms.custodian),
      chainId: ledger.chainId,
      requestHashIn: (event) => readEvent(event)?.requestHash,
    })
  }

  #event({ grant, terms, request, requestHash }: Sent): Omit<Access, 'outcome' | 'versions'> {
    return {
      owner: grant.owner,
      timeMs: this.#parts.clock.now(),
      kind: 'open',
      actor: request.actor,
      custodian: terms.custodian,
      purpose: request.purpose,
      action: request.action,
      g: grant.g,
      requestHash,
      ...(request.query === undefined ? {} : { query: request.query }),
      head: headNow(this.#parts),
    }
  }
}
