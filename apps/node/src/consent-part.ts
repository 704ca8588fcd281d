import { readEvent } from '@salus/audit'
import { decodeTerms } from '@salus/consent'
import {
  type Acting,
  Custodian,
  consentRoutes,
  Delegations,
  Grantee,
  GrantStore,
  Leases,
  orgWire,
  type ReleaseEvent,
} from '@salus/consent/service'
import { AppError, verifierKey } from '@salus/core'
import { factLogOrigin } from '@salus/log'
import type { ResourceCompartment } from '@salus/records/fhir'
import { parseJson, serialise } from '@salus/records/fhir'
import type { Holder, OrgMessages, Route } from '@salus/server'
import type { NodeAccessLog } from './access-log.ts'
import { type EmergencyPart, openEmergencyPart } from './emergency-part.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import type { IdentityPart } from './identity-part.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { Organisation } from './organisation.ts'
import type { RecordsPart } from './records-part.ts'
import { isRequiredElement } from './required-elements.ts'
import { chartRoutes } from './routes/chart.ts'
import type { Stores } from './stores.ts'

/** Grants at work on one node. */
export interface ConsentPart {
  readonly custodian: Custodian
  readonly grantee: Grantee
  readonly leases: Leases
  readonly delegations: Delegations
  readonly emergency: EmergencyPart
  /** Which events a holder may see: a delegate sees none that tells of a category her mandate leaves out. */
  maySee(holder: Holder, event: Uint8Array): boolean
  /** The categories of records that whoever acts may be told of. */
  compartmentsOf(holder: Acting): readonly ResourceCompartment[]
  /** Ends what others may still open of an owner's record, and forgets the terms. */
  endGrants(owner: Uint8Array): Promise<void>
  readonly routes: readonly Route[]
  close(): Promise<void>
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
  const wire = orgWire({ keys, ledger: access, network, clock, random })
  const logOf = (org: string) => {
    const origin = factLogOrigin(access.chainId, org)
    const member = access.organisation(org)
    if (member === undefined) throw new AppError('REPLY', 'custodian: is no member of this network')
    return { origin, key: verifierKey(origin, member.log) }
  }
  const grantee = new Grantee({
    keys,
    ledger: access,
    grants,
    links,
    leases,
    access: accessLog,
    transport: wire,
    logOf,
    readEvent: readRelease,
    clock,
    random,
  })
  const emergency = openEmergencyPart({ ...parts, links, wire, logOf })
  const routes = [
    ...consentRoutes({
      custodian,
      grantee,
      delegations,
      messages,
      pushRecall: wire.pushRecall,
    }),
    ...chartRoutes({ config, records, grantee, leases, grants, accessLog, ledger, clock }),
    ...emergency.routes,
  ]
  return {
    custodian,
    grantee,
    leases,
    delegations,
    emergency,
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
        await wire.pushRecall(decodeTerms(carried.terms).grantee.org, g)
      }
      for (const { g } of grants.ofOwner(owner, 'grantee')) leases.recall(g)
      grants.removeOwner(owner)
      emergency.removeOwner(owner)
    },
    routes,
    async close() {
      leases.close()
      await emergency.close()
    },
  }
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
