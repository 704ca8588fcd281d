import { AuditTrail } from '@salus/audit'
import { checkSignatureAcceptance, dayOf } from '@salus/core'
import { chainIdOf } from '@salus/ledger'
import { factLogOrigin, TileLog } from '@salus/log'
import { fhirErrorForm, recordsRoutes } from '@salus/records'
import { type AccessLine, HttpServer, OrgMessages, type Route, Sessions } from '@salus/server'
import { NodeAccessLog } from './access-log.ts'
import { type ConsentPart, openConsentPart } from './consent-part.ts'
import { type CustodyPart, mendCustody, openCustodyPart } from './custody-part.ts'
import { FactLog } from './fact-log.ts'
import { figuresOf } from './figures.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import { type IdentityPart, openIdentityPart } from './identity-part.ts'
import { type LedgerPart, openLedgerPart } from './ledger-part.ts'
import { type Organisation, openOrganisation } from './organisation.ts'
import { KeystoreOwnerKeys } from './owner-keys.ts'
import { Receipts } from './receipts.ts'
import { openRecordsPart, type RecordsPart } from './records-part.ts'
import { auditRoutes } from './routes/audit.ts'
import { governanceRoutes } from './routes/governance.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { publicRoutes } from './routes/public.ts'
import { openStores, PATHS, type Stores } from './stores.ts'

export const VERSION = '0.1.0'

export interface NodeOptions {
  readonly config: NodeConfig
  readonly host: NodeHost
  readonly onAccess?: (line: AccessLine) => void
  readonly onBug?: (error: unknown, requestId: string) => void
}

/**
 * One organisation's server: opens every store and room, wires the capabilities to each other, and serves. Whoever
 * holds it can reach the parts; HTTP reaches only the routes.
 */
export class SalusNode {
  readonly url: string
  readonly organisation: Organisation
  readonly ledger: LedgerPart
  readonly records: RecordsPart
  readonly consent: ConsentPart
  readonly identity: IdentityPart
  readonly custody: CustodyPart
  readonly factLog: FactLog
  readonly trail: AuditTrail
  readonly #server: HttpServer
  readonly #stores: Stores
  #closed: Promise<void> | undefined

  private constructor(fields: {
    readonly url: string
    readonly organisation: Organisation
    readonly ledger: LedgerPart
    readonly records: RecordsPart
    readonly consent: ConsentPart
    readonly identity: IdentityPart
    readonly custody: CustodyPart
    readonly factLog: FactLog
    readonly trail: AuditTrail
    readonly server: HttpServer
    readonly stores: Stores
  }) {
    this.url = fields.url
    this.organisation = fields.organisation
    this.ledger = fields.ledger
    this.records = fields.records
    this.consent = fields.consent
    this.identity = fields.identity
    this.custody = fields.custody
    this.factLog = fields.factLog
    this.trail = fields.trail
    this.#server = fields.server
    this.#stores = fields.stores
  }

  /**
   * Opens and serves. Throws AppError of any store that does not open (`DISK_LOCKED`, `…_NEWER`, `OTHER_CHAIN`,
   * `ROLLED_BACK`, `LOG_…`, `ROOT_KEY_…`); nothing is served then.
   */
  static async open({ config, host, onAccess, onBug }: NodeOptions): Promise<SalusNode> {
    checkSignatureAcceptance()
    const { clock, random, disk } = host
    const chainId = chainIdOf(config.genesis)
    const stores = await openStores({ disk, open: host.open, root: host.root, clock, random, chainId })
    const closers: (() => Promise<void>)[] = [() => stores.close()]
    try {
      const organisation = await openOrganisation(stores.keystore, config.org)
      const keys = new KeystoreOwnerKeys(stores.keystore, random)
      const ledger = await openLedgerPart({ config, host, store: stores.ledger, organisation })
      closers.unshift(() => ledger.close())
      const tiles = await TileLog.open({
        disk,
        path: PATHS.log,
        origin: factLogOrigin(chainId, config.org),
        key: organisation.log,
      })
      const factLog = new FactLog({
        tiles,
        ledger: ledger.ledger,
        access: ledger.access,
        organisation,
        clock,
        random,
      })
      closers.unshift(() => factLog.close())
      const records = await openRecordsPart({ host, stores, organisation, keys, factLog, chainId })
      const trail = new AuditTrail({
        sql: stores.custody,
        keys,
        log: factLog,
        random,
        yearOf: (timeMs) => Number(dayOf(timeMs).slice(0, 4)),
      })
      const sessions = new Sessions({ sql: stores.custody, clock, random })
      const receipts = new Receipts({
        ledger: ledger.ledger,
        genesis: config.genesis,
        factLog,
        engine: ledger.engine,
        clock,
      })
      let url = config.url ?? ''
      const urlOf = (org: string): string => ledger.access.organisation(org)?.url ?? org
      const accessLog = new NodeAccessLog({
        trail,
        tiles,
        custody: records.custody,
        reader: records.reader,
        org: config.org,
        nodeUrl: () => url,
        urlOf,
        random,
        nameOf: (org, practitioner) => (org === config.org ? identity.staffName(practitioner) : undefined),
      })
      const messages = new OrgMessages({
        org: config.org,
        chainId,
        clock,
        signKeyOf: (org) => {
          const found = ledger.access.organisation(org)
          return found?.active === true ? found.sign : undefined
        },
      })
      const identity: IdentityPart = openIdentityPart({
        config,
        host,
        stores,
        organisation,
        ledger,
        records,
        factLog,
        sessions,
        accessLog,
        messages,
      })
      const consent = openConsentPart({
        config,
        host,
        stores,
        organisation,
        ledger,
        records,
        identity,
        accessLog,
        messages,
      })
      closers.unshift(() => consent.close())

      await mendCustody({ host, stores, keys, factLog, records })
      const custody = openCustodyPart({
        config,
        host,
        stores,
        organisation,
        keys,
        ledger,
        factLog,
        records,
        consent,
        accessLog,
        trail,
        receipts,
      })
      closers.unshift(async () => custody.close())

      let ready = false
      const routes: Route[] = [
        ...publicRoutes({
          organisation,
          genesis: config.genesis,
          url: () => url,
          ledger,
          factLog,
          rootProvider: { kind: stores.root.kind, protects: stores.root.protects },
          version: VERSION,
          isReady: () => ready,
          figures: () => figuresOf({ stores, disk, records, trail, factLog, ledger }),
        }),
        ...ledgerRoutes({ ledger, receipts }),
        ...auditRoutes({ trail, receipts, factLog, ledger, maySee: consent.maySee }),
        ...recordsRoutes({
          custody: records.custody,
          ingest: records.ingest,
          vault: stores.vault,
          reader: records.reader,
          mandateOf: (delegate) => consent.compartmentsOf(delegate),
          async logImport(staff, report) {
            await identity.logImport(staff, report)
            consent.emergency.noteWrites(report.versions)
          },
          logOwnList: (holder, count) => identity.logOwnList(holder, count),
          setCard: async (holder, card) =>
            records.owners.setCard(holder.owner, card, { rewrapEverything: false }),
        }),
        ...governanceRoutes({ access: ledger.access, organisation, clock, random }),
        ...identity.routes,
        ...consent.routes,
        ...custody.routes,
      ]
      const server = new HttpServer({
        routes,
        sessions,
        clock,
        random,
        errorForms: [{ prefix: '/fhir', form: fhirErrorForm }],
        title: `Salus node of ${config.org}`,
        version: VERSION,
        ...(onAccess === undefined ? {} : { onAccess }),
        ...(onBug === undefined ? {} : { onBug }),
      })
      closers.unshift(() => server.close())
      const bound = await server.listen({ port: config.port, address: config.address })
      url = config.url ?? bound
      factLog.start()
      ready = true
      return new SalusNode({
        url,
        organisation,
        ledger,
        records,
        consent,
        identity,
        custody,
        factLog,
        trail,
        server,
        stores,
      })
    } catch (error) {
      for (const close of closers) await close().catch(() => undefined)
      throw error
    }
  }

  /** Stops taking requests, lets what is under way finish, and closes every store. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#server.close(() => this.ledger.operator?.releaseWaiting())
      this.custody.close()
      await this.consent.close()
      await this.factLog.close()
      await this.ledger.close()
      await this.#stores.close()
    })()
    return this.#closed
  }
}
