import { AppError, equal, type Random, type SignedForm, sha256, toHex, verifyAs } from '@salus/core'
import { decodeBody } from '@salus/ledger'
import { type ConditionKinds, noConditions } from '../conditions.ts'
import { mandateHolds } from '../decide.ts'
import { decodeMandate } from '../delegation.ts'
import { type Preview, type PreviewStatement, preview, shownHashOf, signPreview } from '../preview.ts'
import type { RecordSource } from '../record-source.ts'
import { checkText } from '../template.ts'
import { decodeTerms } from '../terms.ts'
import { matchesGrant, openForCustodian, verifyTermsLink } from '../terms-link.ts'
import type { JsonText, ViewRules } from '../view.ts'
import { type DecisionParts, decisionState, headNow, ledgerGrant } from './decision-inputs.ts'
import type { Acting, Delegations } from './delegations.ts'
import type { AccessLog } from './ports.ts'
import { ReleaseDesk } from './release-desk.ts'

export interface CustodianParts extends DecisionParts {
  readonly records: RecordSource
  readonly access: AccessLog
  readonly delegations: Delegations
  readonly random: Random
  readonly json: JsonText
  readonly isRequired: ViewRules['isRequired']
  readonly kinds?: ConditionKinds
}

/** The custodian's end of grants (protocol §4): takes terms in, previews, releases, honours revocations on sight. */
export class Custodian {
  readonly #parts: CustodianParts
  readonly #kinds: ConditionKinds
  readonly #desk: ReleaseDesk

  constructor(parts: CustodianParts) {
    this.#parts = parts
    this.#kinds = parts.kinds ?? noConditions
    this.#desk = new ReleaseDesk({ ...parts, kinds: this.#kinds })
  }

  /**
   * Takes a sealed grant package in, after comparing it with the final state and rendering its text again. Idempotent.
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
    const grant = ledgerGrant(ledger, g)
    if (grant === undefined) return refuse('g', 'is not final on the ledger here; send it again when it is')
    if (!matchesGrant(grant, pack.terms, pack.salt))
      refuse('terms', 'are not what the ledger holds the commitment of')
    if (grant.state !== 'active') refuse('state', 'the grant has ended or was withdrawn')
    const link = links.ownerOf(pack.link.key)
    if (link === undefined || !verifyTermsLink(pack.link.key, ledger.chainId, pack.terms, pack.link.sig))
      return refuse('link', 'is not a key registered here, or did not sign these terms')
    const state = decisionState(this.#parts, terms)
    if (!mandateHolds(terms, state, link.delegation, Math.max(state.head.timeMs, state.clockMs)))
      return refuse('mandate', 'must be of the delegate whose key signed, active, and cover these terms')
    checkText(terms, this.#kinds)
    grants.add({ g, role: 'custodian', owner: link.owner, carried: pack })
    return { owner: link.owner }
  }

  /**
   * A person's link key was replaced, and her newer one signs the terms of a grant that is kept here: it goes on.
   * `linkKey` is the one of her session. Throws AppError `NOT_FOUND`, `FORBIDDEN`, `BAD_SIGNATURE`.
   */
  relink(
    { owner, delegation, linkKey }: Acting & { readonly linkKey: Uint8Array },
    { g, sig }: { readonly g: Uint8Array; readonly sig: Uint8Array },
  ): void {
    const { grants, ledger } = this.#parts
    if (delegation !== undefined)
      throw new AppError('FORBIDDEN', 'session: is a delegate’s; her key stays with her delegation')
    const grant = grants.get(g)
    if (grant === undefined || grant.role !== 'custodian' || !equal(grant.owner, owner))
      throw new AppError('NOT_FOUND', 'g: is no grant over your record here')
    if (decodeTerms(grant.carried.terms).mandate !== undefined)
      throw new AppError('FORBIDDEN', 'g: was made by a delegate, whose own key signs its terms')
    if (!verifyTermsLink(linkKey, ledger.chainId, grant.carried.terms, sig))
      throw new AppError(
        'BAD_SIGNATURE',
        'sig: is not over the terms of this grant by the key of this session',
      )
    grants.setLink(grant, { key: linkKey, sig })
  }

  /** Answers a release request with a signed reply or a signed refusal. */
  release(from: string, signed: SignedForm): Promise<SignedForm> {
    return this.#desk.answer(from, signed)
  }

  /**
   * What draft terms would show of an owner's record, with the same decision; logged as her own access. A delegate is
   * told of the categories of her mandate only. Throws AppError `TERMS_REFUSED`, `FORBIDDEN`.
   */
  async preview(
    acting: Acting,
    encodedTerms: Uint8Array,
  ): Promise<{ readonly preview: Preview; readonly statement: SignedForm }> {
    const { keys, ledger, records, access, delegations, clock } = this.#parts
    const { owner } = acting
    const terms = decodeTerms(encodedTerms)
    if (terms.custodian !== keys.org)
      throw new AppError('TERMS_REFUSED', 'custodian: ask the organisation that holds the records', {
        path: 'custodian',
      })
    const may = delegations.compartmentsOf(acting)
    const versions = records.current(owner).filter(({ labels }) => may.includes(labels.compartment))
    const shown = preview(
      { terms, owner: toHex(owner), state: decisionState(this.#parts, terms), versions },
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
      actor: { org: keys.org, holder: acting.delegation === undefined ? 'owner' : 'delegate' },
      custodian: keys.org,
      purpose: 'PATRQT',
      versions: [],
      head: headNow(this.#parts),
    })
    return { preview: shown, statement }
  }

  /** The grants over an owner's record here; a delegate is told of those under her own mandate. */
  grantsOf({ owner, delegation }: Acting): {
    readonly g: Uint8Array
    readonly terms: Uint8Array
    readonly withdrawn: boolean
    readonly requests: number
    readonly last: Uint8Array
  }[] {
    return this.#parts.grants.ofOwner(owner, 'custodian').flatMap((grant) => {
      const { terms } = grant.carried
      const { mandate } = decodeTerms(terms)
      const d = mandate === undefined ? undefined : decodeMandate(mandate.mandate).d
      const hers = delegation === undefined || (d !== undefined && equal(d, delegation))
      const { g, revokedOnSight: withdrawn, lastSeq: requests, lastRequest: last } = grant
      return hers ? [{ g, terms, withdrawn, requests, last }] : []
    })
  }

  /**
   * Honours a validly signed `consent/revoke` on sight, final or not, expired or not, and also where the terms have
   * not come yet. Returns the grant and its other party, for the recall; undefined where nothing of it is here.
   * Throws AppError `BODY`, `BAD_REQUEST`, `BAD_SIGNATURE`, `FORBIDDEN`.
   */
  async revoke(item: {
    readonly body: Uint8Array
    readonly auth: readonly Uint8Array[]
  }): Promise<{ readonly g: Uint8Array; readonly grantee: string } | undefined> {
    const { grants, access, clock, keys, ledger } = this.#parts
    const { g, signedBy } = openRevoke(item, ledger.chainId)
    const grant = grants.get(g)
    const terms = grant === undefined ? undefined : decodeTerms(grant.carried.terms)
    const controller = ledgerGrant(ledger, g)?.k ?? terms?.controller
    // A grant that neither the ledger nor this house knows has nobody who could withdraw it here.
    if (controller === undefined) return undefined
    if (!signedBy.some((key) => equal(key, controller)))
      throw new AppError('FORBIDDEN', 'revoke: is not signed by the key that controls this grant')
    grants.revokeOnSight(g)
    if (grant === undefined || terms === undefined || grant.role !== 'custodian') return undefined
    if (!grant.revokedOnSight)
      await access.record({
        owner: grant.owner,
        timeMs: clock.now(),
        kind: 'revocation',
        outcome: 'permitted',
        actor: { org: keys.org, holder: terms.mandate === undefined ? 'owner' : 'delegate' },
        custodian: keys.org,
        purpose: 'PATRQT',
        g,
        versions: [],
        head: headNow(this.#parts),
      })
    return { g, grantee: terms.grantee.org }
  }
}

/** Whose signatures a `consent/revoke` of this chain truly carries. */
function openRevoke(
  { body, auth }: { readonly body: Uint8Array; readonly auth: readonly Uint8Array[] },
  chainId: Uint8Array,
): { g: Uint8Array; signedBy: readonly Uint8Array[] } {
  const { call, args, chain, keys } = decodeBody(body)
  const { g } = args
  if (call !== 'consent/revoke' || !(g instanceof Uint8Array) || g.length !== 16)
    throw new AppError('BAD_REQUEST', 'body: must be a consent/revoke')
  if (!equal(chain, chainId)) throw new AppError('BAD_REQUEST', 'chain: is of another network')
  const signed =
    keys.length === auth.length &&
    keys.every((key, at) => verifyAs(key, 'tx', chainId, body, auth[at] as Uint8Array))
  if (!signed) throw new AppError('BAD_SIGNATURE', 'auth: is not what the keys of the body signed')
  return { g, signedBy: keys }
}
