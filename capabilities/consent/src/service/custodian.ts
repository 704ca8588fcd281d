import { AppError, equal, fromUtf8, type Random, type SignedForm, sha256, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import { type ConditionKinds, noConditions } from '../conditions.ts'
import { type Admission, admit, decideVersion } from '../decide.ts'
import type { DecisionState, LogState, Obligations, SearchParameter } from '../decision.ts'
import type { LedgerDelegation } from '../delegation.ts'
import { decodeMandate } from '../delegation.ts'
import { type Preview, type PreviewStatement, preview, shownHashOf, signPreview } from '../preview.ts'
import type { CustodyVersion, RecordSource } from '../record-source.ts'
import { refusalOf } from '../refusal.ts'
import { type ReleaseItem, sealReply, signRefusal } from '../release-reply.ts'
import { openRequest, type ReleaseRequest, requestHashOf } from '../release-request.ts'
import { decodeTerms, type Terms } from '../terms.ts'
import { type LedgerGrant, matchesGrant, openForCustodian, verifyTermsLink } from '../terms-link.ts'
import { type JsonText, type ViewRules, viewHashOf, viewOf } from '../view.ts'
import type { GrantStore, StoredGrant } from './grant-store.ts'
import type { AccessLog, ConsentKeys, ConsentLedger, LinkRegistry } from './ports.ts'

export interface CustodianParts {
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly records: RecordSource
  readonly grants: GrantStore
  readonly links: LinkRegistry
  readonly access: AccessLog
  readonly clock: Clock
  readonly random: Random
  readonly json: JsonText
  readonly isRequired: ViewRules['isRequired']
  readonly kinds?: ConditionKinds
}

/** One version that goes out, as key or as view. */
interface Opening {
  readonly held: CustodyVersion
  readonly item: ReleaseItem
  readonly viewHash: Uint8Array | undefined
}

/**
 * The custodian's end of grants (protocol §4): takes terms in, previews, decides, logs and releases. It logs first:
 * no key and no view leaves before the leaf of its opening is durable.
 */
export class Custodian {
  readonly #parts: CustodianParts
  readonly #kinds: ConditionKinds
  /** One request of a grant at a time, so that two cannot take the same place in its sequence. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(parts: CustodianParts) {
    this.#parts = parts
    this.#kinds = parts.kinds ?? noConditions
  }

  /**
   * Takes a sealed grant package in, after comparing it with the final state. Idempotent.
   * Throws AppError `OPEN_FAILED`, `TERMS_REFUSED`, `TEXT_MISMATCH`.
   */
  receive(g: Uint8Array, sealed: Uint8Array): { readonly owner: Uint8Array } {
    const { keys, ledger, links, grants } = this.#parts
    const pack = openForCustodian({ key: keys.seal, chainId: ledger.chainId, g, sealed })
    const terms = decodeTerms(pack.terms)
    const refuse = (field: string, rule: string): never => {
      throw new AppError('TERMS_REFUSED', `${field}: ${rule}`, { path: field })
    }
    if (!equal(terms.g, g) || terms.custodian !== keys.org)
      refuse('terms', 'are not of this grant or this custodian')
    const grant = this.#grant(g)
    if (grant === undefined) return refuse('g', 'is not final on the ledger here; send it again when it is')
    if (!matchesGrant(grant, pack.terms, pack.salt))
      refuse('terms', 'are not what the ledger holds the commitment of')
    const link = links.ownerOf(pack.link.key)
    if (link === undefined || !verifyTermsLink(pack.link.key, ledger.chainId, pack.terms, pack.link.sig))
      return refuse('link', 'is not a key registered here, or did not sign these terms')
    grants.add({ g, role: 'custodian', owner: link.owner, carried: pack })
    return { owner: link.owner }
  }

  /**
   * Answers a release request with a signed reply or a signed refusal. Throws only for what cannot be answered to
   * anybody: a bad signature, an unreadable form.
   */
  async release(from: string, signed: SignedForm): Promise<SignedForm> {
    const { ledger, grants } = this.#parts
    const sender = ledger.organisation(from)
    if (sender === undefined || !sender.active)
      throw new AppError('UNAUTHENTICATED', 'sender: is no active member of this network')
    const request = openRequest(signed, { org: from, orgKey: sender.sign, chainId: ledger.chainId })
    const grant = grants.get(request.g)
    if (grant === undefined || grant.role !== 'custodian') return this.#refuseUnknown(request, signed)
    const key = toHex(request.g)
    const before = this.#turns.get(key) ?? Promise.resolve()
    const work = before.then(() => this.#releaseUnder(grant.g, request, signed))
    const settled = work.catch(() => undefined)
    this.#turns.set(key, settled)
    try {
      return await work
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key)
    }
  }

  /** What draft terms would show of an owner's record, with the same decision; logged as her own access. */
  async preview(
    owner: Uint8Array,
    encodedTerms: Uint8Array,
  ): Promise<{ readonly preview: Preview; readonly statement: SignedForm }> {
    const { keys, ledger, records, access, clock } = this.#parts
    const terms = decodeTerms(encodedTerms)
    if (terms.custodian !== keys.org)
      throw new AppError('TERMS_REFUSED', 'custodian: ask the organisation that holds the records', {
        path: 'custodian',
      })
    const shown = preview(
      { terms, owner: toHex(owner), state: this.#state(terms), versions: records.current(owner) },
      this.#kinds,
    )
    const statement = signPreview(keys.sign, ledger.chainId, {
      v: 1,
      custodian: keys.org,
      terms: sha256(encodedTerms),
      n: shown.n,
      m: shown.m,
      shown: shownHashOf(shown.shown),
      byCompartment: shown.byCompartment as PreviewStatement['byCompartment'],
      headHeight: ledger.head().height,
      time: clock.now(),
    })
    await access.record({
      owner,
      timeMs: clock.now(),
      kind: 'preview',
      outcome: 'permitted',
      actor: { org: keys.org, holder: 'owner' },
      custodian: keys.org,
      purpose: 'PATRQT',
      versions: [],
      head: this.#head(),
    })
    return { preview: shown, statement }
  }

  /** Honours a validly signed `revoke` on sight, final or not. Returns the grants' other party, for the recall. */
  async revokeOnSight(
    g: Uint8Array,
    signedBy: readonly Uint8Array[],
  ): Promise<{ readonly grantee: string } | undefined> {
    const { grants, access, clock, keys } = this.#parts
    const grant = grants.get(g)
    if (grant === undefined || grant.role !== 'custodian') return undefined
    const terms = decodeTerms(grant.carried.terms)
    const controller = this.#grant(g)?.k ?? terms.controller
    if (!signedBy.some((key) => equal(key, controller)))
      throw new AppError('FORBIDDEN', 'revoke: is not signed by the key that controls this grant')
    grants.revokeOnSight(g)
    await access.record({
      owner: grant.owner,
      timeMs: clock.now(),
      kind: 'revocation',
      outcome: 'permitted',
      actor: { org: keys.org, holder: 'owner' },
      custodian: keys.org,
      purpose: 'PATRQT',
      g,
      versions: [],
      head: this.#head(),
    })
    return { grantee: terms.grantee.org }
  }

  async #releaseUnder(g: Uint8Array, request: ReleaseRequest, signed: SignedForm): Promise<SignedForm> {
    // Read again inside the turn: the request before may have moved the sequence.
    const grant = this.#parts.grants.get(g) as StoredGrant
    const { carried } = grant
    const terms = decodeTerms(carried.terms)
    const found =
      request.action === 'search' && request.query !== undefined
        ? await this.#searchFor(grant, request.query)
        : { versions: this.#parts.records.byOids(grant.owner, request.oids ?? []), parameters: undefined }
    const state = this.#state(terms, { grant, request, parameters: found.parameters })
    const admission = admit(request, carried, state, this.#kinds)
    if (admission.reasons.length > 0) return this.#refuse(grant, request, signed, admission.reasons, state)
    const permitted: { held: CustodyVersion; obligations: Obligations }[] = []
    for (const held of found.versions) {
      const decision = decideVersion(admission, request, state, held.labels, this.#kinds)
      if (decision.permit && decision.obligations !== undefined)
        permitted.push({ held, obligations: decision.obligations })
    }
    const limit = Math.min(permitted[0]?.obligations.maxVersions ?? 0, 1_000)
    const openings: Opening[] = []
    const isReleased = this.#releasedBy(grant, admission, request, state)
    for (const { held, obligations } of permitted.slice(0, limit))
      openings.push(await this.#open(held, obligations, isReleased))
    return this.#reply(grant, {
      request,
      signed,
      admission,
      openings,
      withheld: found.versions.length - openings.length,
    })
  }

  async #searchFor(grant: StoredGrant, query: string) {
    try {
      return await this.#parts.records.search(grant.owner, query)
    } catch (error) {
      // A query that cannot be parsed is refused like one that may not be asked: no parameter list, no permit.
      if (error instanceof AppError && error.code === 'SEARCH')
        return { versions: [], parameters: [{ name: 'unreadable', paths: ['Unknown.unreadable'] }] }
      throw error
    }
  }

  async #reply(
    grant: StoredGrant,
    input: {
      request: ReleaseRequest
      signed: SignedForm
      admission: Admission
      openings: readonly Opening[]
      withheld: number
    },
  ): Promise<SignedForm> {
    const { keys, ledger, access, grants, clock, random } = this.#parts
    const { request, signed, admission, openings } = input
    const requestHash = requestHashOf(signed)
    const { obligations } = admission
    if (obligations === undefined) throw new AppError('DENIED', 'request: denied')
    const logged = await access.record({
      owner: grant.owner,
      timeMs: clock.now(),
      kind: 'release',
      outcome: 'permitted',
      actor: request.actor,
      custodian: keys.org,
      purpose: request.purpose,
      action: request.action,
      g: grant.g,
      requestHash,
      seq: request.seq,
      prev: request.prev,
      versions: openings.map(({ held, viewHash }) => ({
        oid: held.oid,
        recordId: held.labels.recordId,
        version: held.version,
        ...(viewHash === undefined ? {} : { viewHash }),
      })),
      ...(request.query === undefined ? {} : { query: request.query }),
      head: this.#head(),
      ...(obligations.marked === undefined ? {} : { note: obligations.marked }),
    })
    grants.noteRequest(grant.g, {
      seq: request.seq,
      requestHash,
      timeMs: clock.now(),
      versions: openings.length,
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
        ...(obligations.showWithheld && input.withheld > 0 ? { withheld: input.withheld } : {}),
        ...(obligations.marked === undefined ? {} : { marked: obligations.marked }),
      },
      key: keys.sign,
      chainId: ledger.chainId,
      random,
    })
  }

  async #open(
    held: CustodyVersion,
    obligations: Obligations,
    isReleased: ViewRules['isReleased'],
  ): Promise<Opening> {
    const { records, json, isRequired } = this.#parts
    const { dek, json: stored } = await records.open(held.oid)
    const view = viewOf(fromUtf8(stored), { masks: obligations.masks, isReleased, isRequired }, json)
    // Which of the two comes would tell whether a masked element is there, so masks always make a view.
    if (obligations.masks.length === 0 && !view.changed)
      return { held, item: { kind: 'dek', oid: held.oid, dek }, viewHash: undefined }
    return { held, item: { kind: 'view', oid: held.oid, view: view.text }, viewHash: viewHashOf(view.text) }
  }

  /** Whether the same decision releases what a reference leads to; asked once per target of a request. */
  #releasedBy(
    grant: StoredGrant,
    admission: Admission,
    request: ReleaseRequest,
    state: DecisionState,
  ): ViewRules['isReleased'] {
    const known = new Map<string, boolean>()
    return (reference) => {
      const cached = known.get(reference)
      if (cached !== undefined) return cached
      const target = this.#parts.records.byRecordId(reference)
      const released =
        target !== undefined &&
        (target.directory ||
          (target.held.labels.owner === toHex(grant.owner) &&
            decideVersion(admission, request, state, target.held.labels, this.#kinds).permit))
      known.set(reference, released)
      return released
    }
  }

  async #refuse(
    grant: StoredGrant,
    request: ReleaseRequest,
    signed: SignedForm,
    reasons: Admission['reasons'],
    state: DecisionState,
  ): Promise<SignedForm> {
    const { keys, ledger, access, grants, clock } = this.#parts
    const requestHash = requestHashOf(signed)
    const logged = await access.record({
      owner: grant.owner,
      timeMs: clock.now(),
      kind: 'refusal',
      outcome: 'denied',
      actor: request.actor,
      custodian: keys.org,
      purpose: request.purpose,
      action: request.action,
      g: grant.g,
      requestHash,
      seq: request.seq,
      prev: request.prev,
      versions: [],
      reasons,
      head: { height: state.head.height, ageMs: Math.max(0, state.clockMs - state.head.timeMs) },
    })
    // A refused request keeps its place in the sequence, or a denied attempt could be left out of the chain.
    if (!reasons.includes('SEQUENCE'))
      grants.noteRequest(grant.g, { seq: request.seq, requestHash, timeMs: clock.now(), versions: 0 })
    return signRefusal(keys.sign, ledger.chainId, {
      v: 1,
      request: requestHash,
      code: refusalOf(reasons),
      leafIndex: logged.leafIndex,
    })
  }

  async #refuseUnknown(request: ReleaseRequest, signed: SignedForm): Promise<SignedForm> {
    const { keys, ledger, access, links, clock } = this.#parts
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
      head: this.#head(),
    })
    return signRefusal(keys.sign, ledger.chainId, { v: 1, request: requestHash, code: 'DENIED', leafIndex })
  }

  #state(
    terms: Terms,
    use?: {
      readonly grant: StoredGrant
      readonly request: ReleaseRequest
      readonly parameters: readonly SearchParameter[] | undefined
    },
  ): DecisionState {
    const { keys, ledger, links, grants, clock } = this.#parts
    const nowMs = clock.now()
    const stored = use?.grant
    const credential = use?.request.credential
    const mandate = terms.mandate
    const link = stored === undefined ? undefined : links.ownerOf(stored.carried.link.key)
    const usage =
      stored === undefined ? { requestsLastHour: 0, versionsLastHour: 0 } : grants.usage(stored.g, nowMs)
    return {
      chainId: ledger.chainId,
      custodian: keys.org,
      clockMs: nowMs,
      head: ledger.head(),
      grant: stored === undefined ? undefined : this.#grant(stored.g),
      revokedOnSight: stored?.revokedOnSight ?? false,
      links:
        stored === undefined || link === undefined
          ? []
          : [
              {
                key: stored.carried.link.key,
                owner: toHex(link.owner),
                ...(link.delegation === undefined ? {} : { d: link.delegation }),
              },
            ],
      credential:
        credential === undefined
          ? undefined
          : (ledger.query('identity', 'credential', { h: credential }) as DecisionState['credential']),
      delegation:
        mandate === undefined
          ? undefined
          : (ledger.query('consent', 'delegation', { d: decodeMandate(mandate.mandate).d }) as
              | LedgerDelegation
              | undefined),
      log: worse(ledger.logState(keys.org), ledger.logState(terms.grantee.org)),
      params: {
        readFloor: ledger.param('readFloor'),
        freshnessTreatmentMs: ledger.param('freshnessTreatmentMs'),
        freshnessOtherMs: ledger.param('freshnessOtherMs'),
      },
      usage: {
        ...usage,
        lastSeq: stored?.lastSeq ?? 0,
        lastRequest: stored?.lastRequest ?? new Uint8Array(32),
      },
      ...(use?.parameters === undefined ? {} : { search: use.parameters }),
    }
  }

  #grant(g: Uint8Array): LedgerGrant | undefined {
    return this.#parts.ledger.query('consent', 'grant', { g }) as LedgerGrant | undefined
  }

  #head(): { height: number; ageMs: number } {
    const head = this.#parts.ledger.head()
    return { height: head.height, ageMs: Math.max(0, this.#parts.clock.now() - head.timeMs) }
  }
}

const GRAVITY: readonly LogState[] = ['open', 'succeeded', 'suspect', 'forked']

function worse(a: LogState, b: LogState): LogState {
  return GRAVITY.indexOf(a) > GRAVITY.indexOf(b) ? a : b
}
