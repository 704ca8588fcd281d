import {
  AppError,
  decodeVersion,
  equal,
  openObject,
  type Random,
  type SignedForm,
  SUITE,
  sealKeyPair,
  sha256,
  toHex,
  utf8,
  type VerifierKey,
} from '@salus/core'
import type { Clock } from '@salus/host'
import { type ConditionKinds, noConditions } from '../conditions.ts'
import { openRefusal, openReply, type Refusal, type ReleaseContent } from '../release-reply.ts'
import { type ReleaseRequest, requestHashOf, signRequest } from '../release-request.ts'
import { decodeTerms, type Terms } from '../terms.ts'
import {
  type Acceptance,
  checkAsGrantee,
  type LedgerGrant,
  openForGrantee,
  signAcceptance,
} from '../terms-link.ts'
import type { Action } from '../vocabulary.ts'
import type { GrantStore, StoredGrant } from './grant-store.ts'
import type { LeasedVersion, Leases } from './leases.ts'
import type { AccessLog, ConsentKeys, ConsentLedger, LinkRegistry } from './ports.ts'

/** How requests and objects travel to a custodian. Errors of the network are AppError `UNREACHABLE`. */
export interface CustodianTransport {
  release(custodian: string, signed: SignedForm): Promise<SignedForm>
  /** Ciphertext by address, in the order asked; undefined where the custodian has none. */
  objects(custodian: string, addresses: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>
  /** Addresses of released objects, as the custodian names them. */
  locate(
    custodian: string,
    g: Uint8Array,
    oids: readonly Uint8Array[],
  ): Promise<readonly (Uint8Array | undefined)[]>
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
  readonly requestHashIn: (event: Uint8Array) => Uint8Array | undefined
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

/** Thrown as AppError `RELEASE_REFUSED` with the code that the custodian told. */
export function refused(code: Refusal['code']): AppError {
  return new AppError(
    'RELEASE_REFUSED',
    'release: the custodian refused; ask the patient for a grant that covers it',
    {
      refusal: code,
    },
  )
}

/**
 * The grantee's end of grants (protocol §4): accepts terms, asks, checks the proof before use, logs its own leaf, and
 * keeps what was opened in memory only.
 */
export class Grantee {
  readonly #parts: GranteeParts
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(parts: GranteeParts) {
    this.#parts = parts
  }

  /** Accepts a sealed grant package. Throws AppError `TERMS_REFUSED`, `TEXT_MISMATCH`, `OPEN_FAILED`. */
  accept(g: Uint8Array, sealed: Uint8Array): { readonly acceptance: SignedForm; readonly terms: Terms } {
    const { keys, ledger, grants, links, clock } = this.#parts
    const pack = openForGrantee({ key: keys.seal, chainId: ledger.chainId, g, sealed })
    const grant = ledger.query('consent', 'grant', { g }) as LedgerGrant | undefined
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
    const nowMs = clock.now()
    return grants.ofOwner(owner, 'grantee').flatMap((grant) => {
      const terms = decodeTerms(grant.carried.terms)
      const row = ledger.query('consent', 'grant', { g: grant.g }) as LedgerGrant | undefined
      const { practitioner } = terms.grantee
      const fits = practitioner === undefined || practitioner === asker.practitioner
      return fits && !grant.revokedOnSight && row?.state === 'active' && nowMs < terms.notAfter
        ? [{ grant, terms }]
        : []
    })
  }

  /**
   * Asks a custodian under a grant and opens what it releases. Keys and plaintext go into the lease memory.
   * Throws AppError `RELEASE_REFUSED`, `UNREACHABLE`, `REPLY`, `OPEN_FAILED`, `OBJECT_…`.
   */
  async ask(
    g: Uint8Array,
    asked: { readonly action: Action; readonly oids?: readonly Uint8Array[]; readonly query?: string },
    asker: Asker,
  ): Promise<{ readonly versions: readonly LeasedVersion[]; readonly withheld: number | undefined }> {
    const key = toHex(g)
    const before = this.#turns.get(key) ?? Promise.resolve()
    const work = before.then(() => this.#ask(g, asked, asker))
    const settled = work.catch(() => undefined)
    this.#turns.set(key, settled)
    try {
      return await work
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key)
    }
  }

  /** A custodian's recall, or the patient's revocation: drops what is held and asks no more under this grant. */
  recall(g: Uint8Array): number {
    this.#parts.grants.revokeOnSight(g)
    return this.#parts.leases.recall(g)
  }

  async #ask(
    g: Uint8Array,
    asked: { readonly action: Action; readonly oids?: readonly Uint8Array[]; readonly query?: string },
    asker: Asker,
  ) {
    const { keys, ledger, grants, transport, random, clock } = this.#parts
    const grant = grants.get(g)
    if (grant === undefined || grant.role !== 'grantee')
      throw new AppError('NO_GRANT', 'grant: this organisation has none of that id; ask the patient')
    const terms = decodeTerms(grant.carried.terms)
    const { custodian } = terms
    const replyKey = sealKeyPair(random(32))
    const request: ReleaseRequest = {
      v: 1,
      g,
      seq: grant.lastSeq + 1,
      prev: grant.lastRequest,
      requestId: random(16),
      time: clock.now(),
      actor: {
        org: keys.org,
        ...(asker.unit === undefined ? {} : { unit: asker.unit }),
        ...(asker.practitioner === undefined ? {} : { practitioner: asker.practitioner }),
      },
      ...(asker.credential === undefined ? {} : { credential: asker.credential }),
      purpose: terms.purpose,
      action: asked.action,
      ...(asked.oids === undefined ? {} : { oids: [...asked.oids] }),
      ...(asked.query === undefined ? {} : { query: asked.query }),
      replyKey: replyKey.publicKey,
      suite: SUITE,
    }
    const signed = signRequest(keys.sign, ledger.chainId, request)
    const requestHash = requestHashOf(signed)
    const reply = await transport.release(custodian, signed)
    const peer = ledger.organisation(custodian)
    if (peer === undefined) throw new AppError('REPLY', 'custodian: is no member of this network')
    const refusal = refusalIn(reply, peer.sign, ledger.chainId)
    if (refusal !== undefined) {
      if (refusal.code !== 'SEQUENCE')
        grants.noteRequest(g, { seq: request.seq, requestHash, timeMs: clock.now(), versions: 0 })
      throw refused(refusal.code)
    }
    const content = openReply(reply, {
      request,
      requestHash,
      termsHash: sha256(grant.carried.terms),
      replyKey,
      custodianKey: peer.sign,
      log: this.#parts.logOf(custodian),
      chainId: ledger.chainId,
      requestHashIn: this.#parts.requestHashIn,
    })
    grants.noteRequest(g, {
      seq: request.seq,
      requestHash,
      timeMs: clock.now(),
      versions: content.items.length,
    })
    const versions = await this.#openItems(g, custodian, content)
    await this.#logOpening({ grant, request, requestHash, custodian, versions })
    this.#parts.leases.hold(versions)
    return { versions, withheld: content.withheld }
  }

  async #openItems(g: Uint8Array, custodian: string, content: ReleaseContent): Promise<LeasedVersion[]> {
    const { transport } = this.#parts
    const keyed = content.items.flatMap((item) => (item.kind === 'dek' ? [item] : []))
    const addresses =
      keyed.length === 0
        ? []
        : await transport.locate(
            custodian,
            g,
            keyed.map(({ oid }) => oid),
          )
    const known = addresses.flatMap((address) => (address === undefined ? [] : [address]))
    const objects = known.length === 0 ? [] : await transport.objects(custodian, known)
    const byAddress = new Map(known.map((address, at) => [toHex(address), objects[at]]))
    const versions: LeasedVersion[] = []
    for (const item of content.items) {
      const common = { g, oid: item.oid, custodian, leaseUntilMs: content.leaseUntil }
      if (item.kind === 'view') {
        versions.push({ ...common, ...identityOf(item.view), json: utf8(item.view), dek: undefined })
      } else if (item.kind === 'dek') {
        const at = keyed.indexOf(item)
        const address = addresses[at]
        const object = address === undefined ? undefined : byAddress.get(toHex(address))
        if (address === undefined || object === undefined || !equal(sha256(object), address))
          throw new AppError(
            'OBJECT_MISSING',
            'release: the ciphertext of a released version is missing or altered',
          )
        const { recordId, version, json } = decodeVersion(openObject(object, item.dek))
        versions.push({ ...common, recordId, version, json: Uint8Array.from(json), dek: item.dek })
      }
    }
    return versions
  }

  async #logOpening(input: {
    grant: StoredGrant
    request: ReleaseRequest
    requestHash: Uint8Array
    custodian: string
    versions: readonly LeasedVersion[]
  }): Promise<void> {
    const { access, ledger, clock } = this.#parts
    const { grant, request, requestHash, custodian, versions } = input
    const head = ledger.head()
    await access.record({
      owner: grant.owner,
      timeMs: clock.now(),
      kind: 'open',
      outcome: 'permitted',
      actor: request.actor,
      custodian,
      purpose: request.purpose,
      action: request.action,
      g: grant.g,
      requestHash,
      seq: request.seq,
      prev: request.prev,
      versions: versions.map(({ oid, recordId, version }) => ({ oid, recordId, version })),
      ...(request.query === undefined ? {} : { query: request.query }),
      head: { height: head.height, ageMs: Math.max(0, clock.now() - head.timeMs) },
    })
  }
}

function refusalIn(reply: SignedForm, key: Uint8Array, chainId: Uint8Array): Refusal | undefined {
  try {
    return openRefusal(key, chainId, reply)
  } catch (error) {
    // A reply that releases has another form; anything wrong with it shows when it is opened as one.
    if (error instanceof AppError && error.code !== 'BAD_SIGNATURE') return undefined
    throw error
  }
}

/** Which record and version a view is of: the server sets both at write, and no mask covers them. */
function identityOf(view: string): { recordId: string; version: number } {
  const { resourceType, id, meta } = JSON.parse(view) as {
    resourceType: string
    id: string
    meta?: { versionId?: string }
  }
  return { recordId: `${resourceType}/${id}`, version: Number(meta?.versionId ?? 1) }
}
