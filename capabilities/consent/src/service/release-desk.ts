import { AppError, fromUtf8, type Random, type SignedForm, sha256, toHex } from '@salus/core'
import type { ConditionKinds } from '../conditions.ts'
import { type Admission, admit, decideVersion } from '../decide.ts'
import type { DecisionState, Obligations, Reason, SearchParameter } from '../decision.ts'
import type { CustodyVersion, RecordSource } from '../record-source.ts'
import { refusalOf } from '../refusal.ts'
import { type Refusal, type ReleaseItem, sealReply, signRefusal } from '../release-reply.ts'
import { openRequest, type ReleaseRequest, requestHashOf } from '../release-request.ts'
import { decodeTerms } from '../terms.ts'
import { type JsonText, type ViewRules, viewHashOf, viewOf } from '../view.ts'
import { type DecisionParts, decisionState, headNow } from './decision-inputs.ts'
import type { StoredGrant } from './grant-store.ts'
import { MemberRate } from './member-rate.ts'
import type { Access, AccessLog } from './ports.ts'
import { Turns } from './turns.ts'

/** A search that finds more is answered with the first of them; the asker narrows it. Architecture §10. */
const MAX_VERSIONS = 1_000
/** Refusals of requests by a member that is not the grant's grantee: each costs a leaf. */
const STRANGERS_PER_HOUR = 600
/** How many versions are opened side by side: enough to keep the disk busy, few enough to bound memory. */
const OPEN_AT_ONCE = 32

export interface ReleaseDeskParts extends DecisionParts {
  readonly records: RecordSource
  readonly access: AccessLog
  readonly random: Random
  readonly json: JsonText
  readonly isRequired: ViewRules['isRequired']
  readonly kinds: ConditionKinds
}

/** A query that cannot be read is refused like one that may not be asked. */
const UNREADABLE = { versions: [], parameters: undefined }

/** One version that goes out, as key or as view. */
interface Opening {
  readonly held: CustodyVersion
  readonly item: ReleaseItem
  readonly viewHash: Uint8Array | undefined
}

/** A request with what was found out about it. */
interface Asked {
  readonly grant: StoredGrant
  readonly request: ReleaseRequest
  readonly signed: SignedForm
  readonly requestHash: Uint8Array
  readonly state: DecisionState
}

/**
 * Answers release requests (protocol §4, Release): check, log, then release. It logs first: no key and no view leaves
 * before the leaf of its opening is durable.
 */
export class ReleaseDesk {
  readonly #parts: ReleaseDeskParts
  readonly #strangers: MemberRate
  /** One request of a grant at a time, so that two cannot take the same place in its sequence. */
  readonly #turns = new Turns()

  constructor(parts: ReleaseDeskParts) {
    this.#parts = parts
    this.#strangers = new MemberRate({ clock: parts.clock, perHour: STRANGERS_PER_HOUR })
  }

  /** A signed reply or a signed refusal. Throws only for what cannot be answered to anybody. */
  async answer(from: string, signed: SignedForm): Promise<SignedForm> {
    const { ledger, grants } = this.#parts
    const sender = ledger.organisation(from)
    if (sender === undefined || !sender.active)
      throw new AppError('UNAUTHENTICATED', 'sender: is no active member of this network')
    const request = openRequest(signed, { org: from, orgKey: sender.sign, chainId: ledger.chainId })
    const grant = grants.get(request.g)
    if (grant === undefined || grant.role !== 'custodian') return this.#refuseUnknown(request, signed)
    return this.#turns.take(toHex(request.g), () => this.#release(grant.g, request, signed))
  }

  async #release(g: Uint8Array, request: ReleaseRequest, signed: SignedForm): Promise<SignedForm> {
    const { records, kinds } = this.#parts
    // Read again inside the turn: the request before may have moved the sequence.
    const grant = this.#parts.grants.get(g)
    if (grant === undefined) return this.#refuseUnknown(request, signed)
    const terms = decodeTerms(grant.carried.terms)
    const isGrantee = request.actor.org === terms.grantee.org
    const found =
      request.query === undefined
        ? { versions: records.byOids(grant.owner, request.oids ?? []), parameters: undefined }
        : isGrantee
          ? await this.#search(grant, request.query)
          : UNREADABLE
    const state = decisionState(this.#parts, terms, { grant, request, parameters: found.parameters })
    const asked: Asked = { grant, request, signed, requestHash: requestHashOf(signed), state }
    const admission = admit(request, grant.carried, state, kinds)
    // To add records is not to see them: a grant for writing releases nothing.
    const reasons: Reason[] = [
      ...admission.reasons,
      ...(request.action === 'write' ? ['ACTION' as const] : []),
    ]
    if (reasons.length > 0) return this.#refuse(asked, reasons, terms.grantee.org)

    const permitted: { held: CustodyVersion; obligations: Obligations }[] = []
    for (const held of found.versions) {
      const { permit, obligations } = decideVersion(admission, request, state, held.labels, kinds)
      if (permit && obligations !== undefined) permitted.push({ held, obligations })
    }
    const limit = Math.min(admission.obligations?.maxVersions ?? 0, MAX_VERSIONS)
    const openings = await this.#openAll(asked, admission, permitted.slice(0, limit))
    return this.#reply(asked, admission, openings, found.versions.length - permitted.length)
  }

  async #search(
    grant: StoredGrant,
    query: string,
  ): Promise<{ versions: readonly CustodyVersion[]; parameters: readonly SearchParameter[] | undefined }> {
    try {
      return await this.#parts.records.search(grant.owner, query)
    } catch (error) {
      if (error instanceof AppError) return UNREADABLE
      throw error
    }
  }

  async #openAll(
    asked: Asked,
    admission: Admission,
    permitted: readonly { readonly held: CustodyVersion; readonly obligations: Obligations }[],
  ): Promise<Opening[]> {
    const isReleased = this.#releasedBy(asked, admission)
    const openings: Opening[] = []
    for (let at = 0; at < permitted.length; at += OPEN_AT_ONCE) {
      const batch = permitted.slice(at, at + OPEN_AT_ONCE)
      openings.push(
        ...(await Promise.all(
          batch.map(({ held, obligations }) => this.#open(held, obligations, isReleased)),
        )),
      )
    }
    return openings
  }

  async #open(
    held: CustodyVersion,
    { masks }: Obligations,
    isReleased: ViewRules['isReleased'],
  ): Promise<Opening> {
    const { records, json, isRequired } = this.#parts
    const { oid, address } = held
    const { dek, json: stored } = await records.open(oid)
    const view = viewOf(fromUtf8(stored), { masks, isReleased, isRequired }, json)
    // Which of the two comes would tell whether a masked element is there, so masks always make a view.
    if (masks.length === 0 && !view.changed)
      return { held, item: { kind: 'dek', oid, dek, address }, viewHash: undefined }
    return { held, item: { kind: 'view', oid, view: view.text }, viewHash: viewHashOf(view.text) }
  }

  /** Whether the same decision releases what a reference leads to; asked once per target of a request. */
  #releasedBy({ grant, request, state }: Asked, admission: Admission): ViewRules['isReleased'] {
    const { records, kinds } = this.#parts
    const known = new Map<string, boolean>()
    return (reference) => {
      const cached = known.get(reference)
      if (cached !== undefined) return cached
      const target = records.byRecordId(reference)
      const released =
        target !== undefined &&
        (target.directory ||
          (target.held.labels.owner === toHex(grant.owner) &&
            decideVersion(admission, request, state, target.held.labels, kinds).permit))
      known.set(reference, released)
      return released
    }
  }

  async #reply(
    asked: Asked,
    { obligations }: Admission,
    openings: readonly Opening[],
    withheld: number,
  ): Promise<SignedForm> {
    const { keys, ledger, access, grants, clock, random } = this.#parts
    const { grant, request, requestHash } = asked
    if (obligations === undefined) throw new AppError('DENIED', 'request: denied')
    const logged = await access.record({
      ...this.#event(asked),
      kind: 'release',
      outcome: 'permitted',
      seq: request.seq,
      prev: request.prev,
      versions: openings.map(({ held, viewHash }) => ({
        oid: held.oid,
        recordId: held.labels.recordId,
        version: held.version,
        ...(viewHash === undefined ? {} : { viewHash }),
      })),
      ...(obligations.marked === undefined ? {} : { note: obligations.marked }),
    })
    // What was revoked while the leaf was written does not go out; the event stands and says more than happened.
    const revoked = grants.get(grant.g)?.revokedOnSight ?? true
    grants.noteRequest(grant.g, {
      seq: request.seq,
      requestHash,
      timeMs: clock.now(),
      versions: openings.length,
    })
    if (revoked)
      return this.#signRefusal(requestHash, 'DENIED', logged.leafIndex, {
        seq: request.seq,
        request: requestHash,
      })
    const { eventId, event, salt, proof, checkpoint, leafIndex } = logged
    return sealReply({
      request,
      requestHash,
      termsHash: sha256(grant.carried.terms),
      leafIndex,
      content: {
        v: 1,
        items: openings.map(({ item }) => item),
        opening: { eventId, event, salt, proof: [...proof], checkpoint },
        leaseUntil: obligations.leaseUntilMs,
        ...(obligations.showWithheld && withheld > 0 ? { withheld } : {}),
        ...(obligations.marked === undefined ? {} : { marked: obligations.marked }),
      },
      key: keys.sign,
      chainId: ledger.chainId,
      random,
    })
  }

  async #refuse(asked: Asked, reasons: readonly Reason[], grantee: string): Promise<SignedForm> {
    const { access, grants, clock } = this.#parts
    const { grant, request, requestHash } = asked
    const isGrantee = request.actor.org === grantee
    if (!isGrantee) this.#strangers.take(request.actor.org)
    // A refused request keeps its place, or a denied attempt could be left out of the chain. Only the grantee's own
    // requests have one: a stranger who knows a grant's id must not be able to move its sequence.
    const counts = isGrantee && !reasons.includes('SEQUENCE')
    const { leafIndex } = await access.record({
      ...this.#event(asked),
      kind: 'refusal',
      outcome: 'denied',
      ...(counts ? { seq: request.seq, prev: request.prev } : {}),
      versions: [],
      reasons,
    })
    if (counts)
      grants.noteRequest(grant.g, { seq: request.seq, requestHash, timeMs: clock.now(), versions: 0 })
    if (!isGrantee) return this.#signRefusal(requestHash, 'DENIED', leafIndex)
    const { lastSeq, lastRequest } = grants.get(grant.g) ?? grant
    const last = { seq: lastSeq, request: lastRequest }
    return this.#signRefusal(requestHash, refusalOf(reasons), leafIndex, last)
  }

  async #refuseUnknown(request: ReleaseRequest, signed: SignedForm): Promise<SignedForm> {
    const { keys, access, links, clock } = this.#parts
    this.#strangers.take(request.actor.org)
    const requestHash = requestHashOf(signed)
    const { leafIndex } = await access.record({
      owner: links.organisationOwner,
      timeMs: clock.now(),
      kind: 'refusal',
      outcome: 'denied',
      actor: request.actor,
      custodian: keys.org,
      purpose: request.purpose,
      action: request.action,
      requestHash,
      versions: [],
      reasons: ['NO_GRANT'],
      head: headNow(this.#parts),
    })
    return this.#signRefusal(requestHash, 'DENIED', leafIndex)
  }

  #signRefusal(
    request: Uint8Array,
    code: Refusal['code'],
    leafIndex: number,
    last?: Refusal['last'],
  ): SignedForm {
    const { keys, ledger } = this.#parts
    const refusal = { v: 1, request, code, leafIndex, ...(last === undefined ? {} : { last }) }
    return signRefusal(keys.sign, ledger.chainId, refusal)
  }

  #event({ grant, request, requestHash, state }: Asked): Omit<Access, 'kind' | 'outcome' | 'versions'> {
    return {
      owner: grant.owner,
      timeMs: state.clockMs,
      actor: request.actor,
      custodian: this.#parts.keys.org,
      purpose: request.purpose,
      action: request.action,
      g: grant.g,
      requestHash,
      ...(request.query === undefined ? {} : { query: request.query }),
      head: { height: state.head.height, ageMs: Math.max(0, state.clockMs - state.head.timeMs) },
    }
  }
}
