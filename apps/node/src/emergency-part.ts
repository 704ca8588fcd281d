import { readEvent } from '@salus/audit'
import {
  AccessRequests,
  accessRequestRoutes,
  BreakGlass,
  EmergencyChoiceStore,
  EmergencyDesk,
  EmergencyStore,
  EmergencySummaries,
  emergencyChoiceRoutes,
  emergencyRoutes,
  type LinkRegistry,
  type OrgWire,
  type PatientDesk,
  type ReadCredential,
  type ReleaseEvent,
} from '@salus/consent/service'
import type { VerifierKey } from '@salus/core'
import type { Clock, Timer } from '@salus/host'
import { credentialId, openCredential } from '@salus/identity'
import { ownerOnly } from '@salus/identity/service'
import { storeGenerated } from '@salus/records'
import { serialise } from '@salus/records/fhir'
import type { OrgMessages, Route } from '@salus/server'
import type { NodeAccessLog } from './access-log.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import type { IdentityPart } from './identity-part.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { Organisation } from './organisation.ts'
import { demographicsOf } from './patient-finder.ts'
import type { RecordsPart } from './records-part.ts'
import type { Stores } from './stores.ts'
import { summarySources } from './summary-sources.ts'

/** How long an event waits for a block while the ledger stands still: in an emergency nobody waits for nothing, ms. */
const STANDING_WAIT_MS = 500

/** Without a grant: asking, which is always refused, and breaking the glass. */
export interface EmergencyPart {
  readonly glass: BreakGlass
  readonly summaries: EmergencySummaries
  readonly routes: readonly Route[]
  /** Notes records that changed, so that summaries are made anew. */
  noteWrites(versions: readonly { readonly owner: Uint8Array; readonly recordId: string }[]): void
  /** Forgets choices, summary and who opened it; the record's own versions are not its to remove. */
  removeOwner(owner: Uint8Array): void
  close(): Promise<void>
}

export interface EmergencyPartParts {
  readonly config: NodeConfig
  readonly host: NodeHost
  readonly stores: Stores
  readonly organisation: Organisation
  readonly ledger: LedgerPart
  readonly records: RecordsPart
  readonly identity: IdentityPart
  readonly accessLog: NodeAccessLog
  readonly messages: OrgMessages
  readonly links: LinkRegistry
  readonly wire: OrgWire
  readonly logOf: (org: string) => { readonly origin: string; readonly key: VerifierKey }
}

export function openEmergencyPart(parts: EmergencyPartParts): EmergencyPart {
  const { config, host, stores, organisation, ledger, records, identity, messages, links, wire } = parts
  const { clock, random } = host
  const { access, engine } = ledger
  const sql = stores.custody
  const keys = { org: config.org, sign: organisation.sign, seal: organisation.seal }
  const sealed = { sql, key: organisation.storeKey, random }
  const choices = new EmergencyChoiceStore(sealed)
  const patients = patientDesk(parts, choices)
  const common = { keys, ledger: access, access: parts.accessLog, clock, random }
  const summaries = openSummaries(parts, choices)
  const requests = new AccessRequests({ ...common, links, patients, notices: identity.notices, wire })
  const desk = new EmergencyDesk({
    ...common,
    sql,
    records: records.source,
    summaries,
    patients,
    links,
    notices: identity.notices,
    readCredential: readCredentialWith(parts),
    untilLedgerHas: untilBlock(engine, clock),
    // Where a law says otherwise, its place will have to say so in the jurisdiction table.
    overridesOptOut: false,
  })
  const standsStill = (): boolean => clock.now() - access.head().timeMs > access.param('freshnessOtherMs')
  const glass = new BreakGlass({
    ...common,
    wire,
    members: () => activeMembers(parts),
    logOf: parts.logOf,
    readEvent: readOpening,
    organisationOwner: records.organisationOwner,
    store: new EmergencyStore(sealed),
    submit: (item) => access.execute(item, standsStill() ? STANDING_WAIT_MS : undefined),
    signerOf(practitioner) {
      const signer = identity.staff.signerFor(practitioner)
      if (signer === undefined) return undefined
      const { key, h, salt, signed } = signer
      return { key, h, shown: { credential: signed.bytes, sig: signed.sig, salt } }
    },
  })
  const unsubscribe = engine.subscribe(() => glass.ledgerMoved())
  return {
    glass,
    summaries,
    routes: [
      ...accessRequestRoutes({ requests, messages }),
      ...emergencyRoutes({ glass, desk, patients }),
      ...emergencyChoiceRoutes({ choices, changed: (owner) => summaries.choicesChanged(owner), ownerOnly }),
    ],
    noteWrites: (versions) =>
      summaries.noteWrites(
        versions.map(({ owner, recordId }) => ({ owner, type: recordId.slice(0, recordId.indexOf('/')) })),
      ),
    removeOwner(owner) {
      summaries.removeOwner(owner)
      choices.removeOwner(owner)
      desk.removeOwner(owner)
    },
    async close() {
      unsubscribe()
      await glass.close()
      await summaries.close()
    },
  }
}

function openSummaries(
  { config, host, stores, ledger, records, accessLog }: EmergencyPartParts,
  choices: EmergencyChoiceStore,
): EmergencySummaries {
  const { clock, random } = host
  const { custody, ingest, source } = records
  return new EmergencySummaries({
    sql: stores.custody,
    records: {
      sources: (owner) => summarySources(records, owner),
      exclusions: (owner) => choices.exclusions(owner),
      async put(owner, recordId, json) {
        const version = await storeGenerated({ custody, ingest, clock }, { owner, recordId, json })
        if (version === undefined) return
        const { height, timeMs } = ledger.access.head()
        await accessLog.record({
          owner,
          timeMs: clock.now(),
          kind: 'write',
          outcome: 'permitted',
          actor: { org: config.org },
          custodian: config.org,
          purpose: 'HOPERAT',
          versions: [version],
          head: { height, ageMs: Math.max(0, clock.now() - timeMs) },
        })
      },
      current: (_owner, recordId) => source.byRecordId(recordId)?.held,
      typesSince: (owner, oid) =>
        custody
          .versions(owner, { after: custody.version(oid)?.seq ?? 0 })
          .map((row) => records.reader.labels(row).type),
      isBusy: () => ingest.isBusy,
    },
    custodian: { org: config.org, name: ledger.access.organisation(config.org)?.name ?? config.org },
    serialise,
    clock,
    random,
  })
}

/** Patients as others look for them. Whose record is erased or restricted is nobody. */
function patientDesk({ records, identity }: EmergencyPartParts, choices: EmergencyChoiceStore): PatientDesk {
  const isThere = (owner: Uint8Array): boolean => {
    const status = records.owners.byOwner(owner)?.status
    return status !== undefined && status !== 'restricted' && status !== 'erased'
  }
  return {
    find: (person) => identity.finder.find(person).filter(isThere),
    byLocator(locator) {
      const owner = choices.byLocator(locator)
      return owner !== undefined && isThere(owner) ? owner : undefined
    },
    async read(recordId) {
      const owner = records.owners.findPatient(recordId)?.owner
      if (owner === undefined || !isThere(owner)) return undefined
      const person = await demographicsOf(records, owner)
      return person === undefined ? undefined : { owner, person }
    },
    optedOut: (owner) => choices.get(owner).optOut,
  }
}

function activeMembers({ ledger }: EmergencyPartParts): string[] {
  const members = ledger.access.query('governance', 'members', {}) as readonly {
    readonly org: string
    readonly member: { readonly state: string }
  }[]
  return members.filter(({ member }) => member.state === 'active').map(({ org }) => org)
}

/** Reads a credential that another organisation shows, as its issuer signed it and its salt names it. */
function readCredentialWith({ host, ledger }: EmergencyPartParts) {
  return (
    { credential, sig, salt }: { credential: Uint8Array; sig: Uint8Array; salt: Uint8Array },
    issuer: string,
  ): ReadCredential | undefined => {
    const member = ledger.access.organisation(issuer)
    if (member === undefined) return undefined
    try {
      const read = openCredential(member.sign, ledger.access.chainId, { bytes: credential, sig })
      const { practitioner, cnf, until } = read
      if (read.issuer !== issuer || until <= host.clock.now()) return undefined
      return { h: credentialId(salt, credential), issuer, practitioner, cnf }
    } catch {
      return undefined
    }
  }
}

/** Waits for a block after which something holds: this node may be a block behind whoever asks. */
function untilBlock(engine: LedgerPart['engine'], clock: Clock) {
  return (isThere: () => boolean, timeoutMs: number): Promise<void> =>
    new Promise((resolve) => {
      let timer: Timer | undefined
      const unsubscribe = engine.subscribe(() => {
        if (isThere()) done()
      })
      const done = (): void => {
        unsubscribe()
        timer?.cancel()
        resolve()
      }
      timer = clock.schedule(timeoutMs, done)
      // It may have come between the question and the subscription.
      if (isThere()) done()
    })
}

/** What a custodian's event says of a break-glass opening; undefined for any other event. */
function readOpening(event: Uint8Array): ReleaseEvent | undefined {
  try {
    const { emergency, versions } = readEvent(event)
    if (emergency === undefined) return undefined
    return {
      requestHash: emergency.requestHash,
      versions: versions.map(({ oid, recordId, version }) => ({ oid, recordId, version })),
    }
  } catch {
    return undefined
  }
}
