import type { Access } from '@salus/consent/service'
import { equal, fromUtf8, toHex } from '@salus/core'
import {
  Claims,
  EnrolmentCodes,
  HolderSessions,
  Home,
  Hosted,
  HostedGrants,
  type HostedKeys,
  type IdentityAudit,
  type IdentityLedger,
  identityRoutes,
  Links,
  Matching,
  Notices,
  Recovery,
  StaffDesk,
} from '@salus/identity/service'
import { hostedKrk } from '@salus/keys/organisation'
import type { ImportReport } from '@salus/records'
import type { Holder, OrgMessages, Route, Sessions, Staff } from '@salus/server'
import type { NodeAccessLog } from './access-log.ts'
import type { FactLog } from './fact-log.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { Organisation } from './organisation.ts'
import { TokenPatientFinder } from './patient-finder.ts'
import { connectionTo } from './peers.ts'
import type { RecordsPart } from './records-part.ts'
import type { Stores } from './stores.ts'

/** People of one node: patients, delegates and staff. */
export interface IdentityPart {
  readonly staff: StaffDesk
  readonly codes: EnrolmentCodes
  readonly links: Links
  readonly home: Home
  readonly notices: Notices
  readonly holders: HolderSessions
  readonly finder: TokenPatientFinder
  readonly routes: readonly Route[]
  staffName(practitioner: string): string | undefined
  ownerOfLink(
    linkKey: Uint8Array,
  ): { readonly owner: Uint8Array; readonly delegation?: Uint8Array } | undefined
  logImport(staff: Staff, report: ImportReport): Promise<void>
  logOwnList(holder: Holder, count: number): Promise<void>
}

export interface IdentityPartParts {
  readonly config: NodeConfig
  readonly host: NodeHost
  readonly stores: Stores
  readonly organisation: Organisation
  readonly ledger: LedgerPart
  readonly records: RecordsPart
  readonly factLog: FactLog
  readonly sessions: Sessions
  readonly accessLog: NodeAccessLog
  readonly messages: OrgMessages
}

export function openIdentityPart(parts: IdentityPartParts): IdentityPart {
  const { config, host, stores, organisation, ledger, records, factLog, sessions, accessLog } = parts
  const { clock, random, network } = host
  const { access } = ledger
  const sql = stores.custody
  const key = organisation.storeKey
  const keys = { org: config.org, chainId: access.chainId, sign: organisation.sign, seal: organisation.seal }
  const { owners } = records
  const head = (): Access['head'] => {
    const { height, timeMs } = access.head()
    return { height, ageMs: Math.max(0, clock.now() - timeMs) }
  }
  const administered = async (owner: Uint8Array, actor: Access['actor'], note: string): Promise<void> => {
    await accessLog.record({
      owner,
      timeMs: clock.now(),
      kind: 'administer',
      outcome: 'permitted',
      actor,
      custodian: config.org,
      purpose: 'HOPERAT',
      versions: [],
      reasons: [note],
      head: head(),
    })
  }
  const audit: IdentityAudit = {
    record: ({ owner, act, staff, org }) =>
      administered(
        owner,
        staff === undefined
          ? { org: org ?? config.org, holder: 'owner' }
          : { org: org ?? config.org, practitioner: staff },
        act,
      ),
  }
  const identityLedger: IdentityLedger = {
    chainId: access.chainId,
    head: () => access.head(),
    query: (contract, name, input) => access.query(contract, name, input),
    organisation: (org) => access.organisation(org),
    submit: (item) => access.execute(item),
  }
  const transport = { connection: (org: string) => connectionTo(access, network, org) }
  const delegation = (d: Uint8Array): { readonly state: string; readonly na: number } | undefined =>
    access.query('consent', 'delegation', { d, atMs: Math.max(clock.now(), access.head().timeMs) }) as
      | { readonly state: string; readonly na: number }
      | undefined
  const delegationIsActive = (d: Uint8Array): boolean => delegation(d)?.state === 'active'
  const notices = new Notices({ sql, key, clock, random })
  const codes = new EnrolmentCodes({ sql, key, clock, random })
  const links = new Links({
    sql,
    key,
    keys,
    owners,
    codes,
    audit,
    notices,
    clock,
    random,
    delegationIsActive,
  })
  const holders = new HolderSessions({
    sql,
    keys,
    links,
    sessions,
    clock,
    delegationEndMs: (d) => (delegationIsActive(d) ? delegation(d)?.na : undefined),
  })
  const home = new Home({ sql, key, log: factLog, clock, random })
  const staff = new StaffDesk({ sql, key, keys, ledger: identityLedger, sessions, clock, random })
  const hostedKeys = hostedKeysOver(stores)
  const hosted = new Hosted({
    keys,
    ledger: identityLedger,
    owners,
    codes,
    links,
    home,
    hostedKeys,
    audit,
    transport,
    clock,
    random,
  })
  const hostedGrants = new HostedGrants({
    hosted,
    keys,
    ledger: identityLedger,
    transport,
    notices,
    audit,
    clock,
    random,
  })
  const finder = new TokenPatientFinder({ sql, key: organisation.ridKey })
  const matching = new Matching({
    sql,
    key,
    keys,
    ledger: identityLedger,
    patients: finder,
    // No mail or telephone is connected here: nobody is sent a code, and the answer stays no.
    codeSender: { send: async () => false },
    audit,
    transport,
    organisationOwner: records.organisationOwner,
    clock,
    random,
  })
  const recovery = new Recovery({
    sql,
    key,
    keys,
    ledger: identityLedger,
    codes,
    home,
    notices,
    audit,
    transport,
    clock,
    random,
  })
  const claims = new Claims({ sql, keys, owners, codes, home, hostedKeys, notices, audit, clock, random })
  return {
    staff,
    codes,
    links,
    home,
    notices,
    holders,
    finder,
    routes: identityRoutes({
      staff,
      owners,
      codes,
      links,
      home,
      holders,
      notices,
      relay: { keys, transport, clock, random },
      hosted,
      hostedGrants,
      claims,
      matching,
      recovery,
      messages: parts.messages,
      clock,
    }),
    staffName: (practitioner) => staff.find(practitioner)?.name,
    ownerOfLink(linkKey) {
      const link = links.find(linkKey)
      if (link === undefined) return undefined
      return link.delegation === undefined
        ? { owner: link.owner }
        : { owner: link.owner, delegation: link.delegation }
    },
    async logImport(actor, report) {
      for (const { owner, oid, recordId } of report.versions) {
        if (!recordId.startsWith('Patient/')) continue
        const row = records.custody.version(oid)
        if (row === undefined) continue
        const { json } = await records.reader.open(row)
        finder.note(owner, JSON.parse(fromUtf8(json)) as Record<string, unknown>)
      }
      const byOwner = Map.groupBy(report.versions, ({ owner }) => toHex(owner))
      await accessLog.recordMany(
        [...byOwner.values()].map((versions) => ({
          owner: versions[0]?.owner ?? records.organisationOwner,
          timeMs: clock.now(),
          kind: 'import',
          outcome: 'permitted',
          actor: { org: config.org, practitioner: actor.practitioner },
          custodian: config.org,
          purpose: 'HOPERAT',
          versions: versions.map(({ oid, recordId, version }) => ({ oid, recordId, version })),
          head: head(),
        })),
      )
    },
    async logOwnList(holder, count) {
      await accessLog.record({
        owner: holder.owner,
        timeMs: clock.now(),
        kind: 'search',
        outcome: 'permitted',
        actor: { org: config.org, holder: holder.delegation === undefined ? 'owner' : 'delegate' },
        custodian: config.org,
        purpose: 'PATRQT',
        versions: [],
        reasons: [`versions:${count}`],
        head: head(),
      })
    },
  }
}

/** Keys of hosted accounts: in the keystore, and nowhere else. */
function hostedKeysOver({ keystore }: Stores): HostedKeys {
  const name = (owner: Uint8Array): string => hostedKrk(owner, 1)
  return {
    async putHostedKey(owner, krk) {
      const known = keystore.get(name(owner))
      if (known !== undefined && !equal(known, krk)) await keystore.delete([name(owner)])
      await keystore.put([{ name: name(owner), key: krk }])
    },
    hostedKey: (owner) => keystore.get(name(owner)),
    async destroyHostedKey(owner) {
      await keystore.delete([name(owner)])
      const { how } = await keystore.rotate()
      return { how }
    },
  }
}
