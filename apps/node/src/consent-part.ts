import { readEvent } from '@salus/audit'
import { decodeTerms } from '@salus/consent'
import {
  type Acting,
  Custodian,
  type CustodianTransport,
  consentRoutes,
  Delegations,
  Grantee,
  GrantStore,
  Leases,
  openRecalled,
  type ReleaseEvent,
} from '@salus/consent/service'
import { AppError, type CborValue, decode, type SignedForm, tuple, verifierKey } from '@salus/core'
import { factLogOrigin } from '@salus/log'
import type { ResourceCompartment } from '@salus/records/fhir'
import { parseJson, serialise } from '@salus/records/fhir'
import { send, sendForCbor } from '@salus/sdk'
import { type Holder, type OrgMessages, type Route, signOrgMessage } from '@salus/server'
import type { NodeAccessLog } from './access-log.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import type { IdentityPart } from './identity-part.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { Organisation } from './organisation.ts'
import { connectionTo } from './peers.ts'
import type { RecordsPart } from './records-part.ts'
import { isRequiredElement } from './required-elements.ts'
import { chartRoutes } from './routes/chart.ts'
import type { Stores } from './stores.ts'

const CBOR = 'application/cbor'

/** Grants at work on one node. */
export interface ConsentPart {
  readonly custodian: Custodian
  readonly grantee: Grantee
  readonly leases: Leases
  readonly delegations: Delegations
  /** Which events a holder may see: a delegate sees none that tells of a category her mandate leaves out. */
  maySee(holder: Holder, event: Uint8Array): boolean
  /** The categories of records that whoever acts may be told of. */
  compartmentsOf(holder: Acting): readonly ResourceCompartment[]
  /** Ends what others may still open of an owner's record, and forgets the terms. */
  endGrants(owner: Uint8Array): Promise<void>
  readonly routes: readonly Route[]
  close(): void
}

export interface ConsentPartParts {
  readonly config: NodeConfig
  readonly host: NodeHost
  readonly stores: Stores
  readonly organisation: Organisation
  readonly ledger: LedgerPart
  readonly records: RecordsPart
  readonly identity: IdentityPart
  readonly accessLog: NodeAccessLog
  readonly messages: OrgMessages
}

export function openConsentPart(parts: ConsentPartParts): ConsentPart {
  const { config, host, stores, organisation, ledger, records, identity, accessLog, messages } = parts
  const { clock, random, network } = host
  const { access } = ledger
  const keys = { org: config.org, sign: organisation.sign, seal: organisation.seal }
  const grants = new GrantStore({ sql: stores.custody, key: organisation.storeKey, random })
  const leases = new Leases(clock)
  const delegations = new Delegations({
    sql: stores.custody,
    key: organisation.storeKey,
    ledger: access,
    clock,
    random,
  })
  const links = {
    ownerOf: identity.ownerOfLink,
    ownerOfSub: (sub: Uint8Array) => records.owners.bySub(sub)?.owner,
    organisationOwner: records.organisationOwner,
  }
  const custodian = new Custodian({
    keys,
    ledger: access,
    records: records.source,
    grants,
    links,
    access: accessLog,
    delegations,
    clock,
    random,
    json: { parse: (text) => parseJson(text).exact, serialise },
    isRequired: isRequiredElement,
  })
  const peer = (org: string) => connectionTo(access, network, org)
  const transport: CustodianTransport = {
    async release(org, signed) {
      const body = tuple(config.org, signed.bytes, signed.sig)
      const answer = await sendForCbor(peer(org), 'POST', '/org/release', { raw: { type: CBOR, body } })
      return signedForm(answer)
    },
    async objects(org, addresses) {
      const { body } = await send(peer(org), 'POST', '/objects', {
        json: { addresses: addresses.map((address) => Buffer.from(address).toString('base64url')) },
      })
      const objects = decode(body, { maxBytes: 512 * 1024 * 1024 })
      if (!Array.isArray(objects)) throw new AppError('REPLY', 'custodian: its answer is no list of objects')
      return objects.map((object) => (object instanceof Uint8Array ? object : undefined))
    },
  }
  const grantee = new Grantee({
    keys,
    ledger: access,
    grants,
    links,
    leases,
    access: accessLog,
    transport,
    logOf: (org) => {
      const origin = factLogOrigin(access.chainId, org)
      const member = access.organisation(org)
      if (member === undefined) throw new AppError('REPLY', 'custodian: is no member of this network')
      return { origin, key: verifierKey(origin, member.log) }
    },
    readEvent: readRelease,
    clock,
    random,
  })
  const pushRecall = async (org: string, g: Uint8Array) => {
    const body = signOrgMessage(
      { from: config.org, to: org, kind: 'recall', payload: { g } },
      { key: organisation.sign, chainId: access.chainId, clock, random },
    )
    try {
      const answer = await sendForCbor(peer(org), 'POST', '/org/recalls', { raw: { type: CBOR, body } })
      const key = access.organisation(org)?.sign
      return key === undefined ? undefined : openRecalled(key, access.chainId, signedForm(answer))
    } catch {
      // An unreachable grantee ends with its lease (protocol §4, Revoke).
      return undefined
    }
  }
  const routes = [
    ...consentRoutes({
      custodian,
      grantee,
      delegations,
      messages,
      pushRecall,
    }),
    ...chartRoutes({ config, records, grantee, leases, grants, accessLog, ledger, clock }),
  ]
  return {
    custodian,
    grantee,
    leases,
    delegations,
    maySee(holder, event) {
      if (holder.delegation === undefined) return true
      const allowed = delegations.compartmentsOf(holder)
      return readEvent(event).versions.every(({ recordId }) => {
        const held = records.source.byRecordId(recordId)?.held
        return held !== undefined && allowed.includes(held.labels.compartment)
      })
    },
    compartmentsOf: (acting) =>
      delegations
        .compartmentsOf(acting)
        .filter((name): name is ResourceCompartment => name !== 'audit' && name !== 'emergency'),
    async endGrants(owner) {
      for (const { g, carried } of grants.ofOwner(owner, 'custodian')) {
        grants.revokeOnSight(g)
        await pushRecall(decodeTerms(carried.terms).grantee.org, g)
      }
      for (const { g } of grants.ofOwner(owner, 'grantee')) leases.recall(g)
      grants.removeOwner(owner)
    },
    routes,
    close: () => leases.close(),
  }
}

function signedForm(answer: CborValue): SignedForm {
  const [bytes, sig] = Array.isArray(answer) ? answer : []
  if (!(bytes instanceof Uint8Array) || !(sig instanceof Uint8Array))
    throw new AppError('REPLY', 'peer: its answer is no signed form')
  return { bytes, sig }
}

/** What a custodian's event says it released; undefined for anything that is no event of a release under a grant. */
function readRelease(event: Uint8Array): ReleaseEvent | undefined {
  try {
    const { grant, versions } = readEvent(event)
    if (grant === undefined) return undefined
    return {
      requestHash: grant.requestHash,
      versions: versions.map(({ oid, recordId, version, view }) => ({
        oid,
        recordId,
        version,
        ...(view === undefined ? {} : { viewHash: view }),
      })),
    }
  } catch {
    return undefined
  }
}
