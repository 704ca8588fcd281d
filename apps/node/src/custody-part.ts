import type { AuditTrail } from '@salus/audit'
import type { Access } from '@salus/consent/service'
import { concat, sha256 } from '@salus/core'
import type { Timer } from '@salus/host'
import { erasedArgs, erasureEffect, type Receipt, signReceipt } from '@salus/identity'
import { signBody } from '@salus/ledger'
import { encodeReceipt } from '@salus/log'
import {
  catchUpIndex,
  Erasure,
  type ErasureReceipts,
  fhirRoutes,
  type IssuedReceipt,
  organisationPolicy,
  ownRoutes,
  type RecordAccess,
  replayMarkers,
  resumeRotations,
} from '@salus/records'
import type { Route } from '@salus/server'
import type { NodeAccessLog } from './access-log.ts'
import type { ConsentPart } from './consent-part.ts'
import type { FactLog } from './fact-log.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { Organisation } from './organisation.ts'
import type { KeystoreOwnerKeys } from './owner-keys.ts'
import type { Receipts } from './receipts.ts'
import type { RecordsPart } from './records-part.ts'
import type { Stores } from './stores.ts'

const DAY_MS = 86_400_000
const BODY_LIFE_MS = 5 * 60_000
const COSIGNED_WITHIN_MS = 5_000
/** Receipts that an export carries: the newest accesses, so that one file stays one file. */
const RECEIPTS_PER_EXPORT = 1_000
/** Objects that an erasure receipt names one by one; of more it has the digest. */
const RECEIPT_OBJECTS = 10_000

/** What an organisation owes the owner of a record: to hand it over, to take it in, to erase it; and the FHIR surface. */
export interface CustodyPart {
  readonly erasure: Erasure
  readonly routes: readonly Route[]
  close(): void
}

export interface CustodyPartParts {
  readonly config: NodeConfig
  readonly host: NodeHost
  readonly stores: Stores
  readonly organisation: Organisation
  readonly keys: KeystoreOwnerKeys
  readonly ledger: LedgerPart
  readonly factLog: FactLog
  readonly records: RecordsPart
  readonly consent: ConsentPart
  readonly accessLog: NodeAccessLog
  readonly trail: AuditTrail
  readonly receipts: Receipts
}

/** Completes what a crash or a restored backup left undone, before anything is served. */
export async function mendCustody(
  parts: Pick<CustodyPartParts, 'host' | 'stores' | 'keys' | 'factLog' | 'records'>,
): Promise<void> {
  const { host, stores, keys, factLog, records } = parts
  const { custody, index, reader } = records
  const common = { custody, index, reader, keys, vault: stores.vault, clock: host.clock, random: host.random }
  await resumeRotations(common)
  await replayMarkers(common, factLog.tiles.leaves())
  await catchUpIndex({ custody, index, reader, keys })
}

export function openCustodyPart(parts: CustodyPartParts): CustodyPart {
  const { config, host, stores, organisation, keys, ledger, factLog, records, consent, accessLog } = parts
  const { clock, random } = host
  const { custody, index, reader, search, ingest } = records
  const { ridKey } = organisation
  const { chainId } = ledger.access
  const jurisdictions = jurisdictionsOf(config.jurisdiction ?? 'US')
  const erasure = new Erasure({
    custody,
    index,
    reader,
    keys,
    random,
    vault: stores.vault,
    log: factLog,
    ingest,
    clock,
    retention: (days) => erasureEffect({ jurisdictions, dataClass: 'chart', ...days }),
    receipts: erasureReceipts(parts),
    endGrants: consent.endGrants,
    summariesGone: (owner) => consent.emergency.summaries.removeOwner(owner),
  })
  const head = (): Access['head'] => {
    const { height, timeMs } = ledger.engine.head()
    return { height, ageMs: Math.max(0, clock.now() - timeMs) }
  }
  const logAccess = async (access: RecordAccess): Promise<void> => {
    const { actor, owner, action, outcome, purpose, versions, queries } = access
    await accessLog.record({
      owner,
      timeMs: clock.now(),
      kind: action === 'read' ? 'read' : action === 'search' ? 'search' : 'write',
      outcome,
      actor:
        actor.kind === 'staff'
          ? { org: config.org, practitioner: actor.practitioner }
          : { org: config.org, holder: actor.delegation === undefined ? 'owner' : 'delegate' },
      custodian: config.org,
      purpose,
      versions,
      ...(queries.length === 0 ? {} : { query: queries.join('\n') }),
      head: head(),
    })
  }
  const delegated = (delegation: Uint8Array) => {
    const owner = consent.delegations.ownerOf(delegation)
    return owner === undefined ? undefined : new Set(consent.compartmentsOf({ owner, delegation }))
  }
  let timer: Timer | undefined
  const daily = (): void => {
    timer = clock.schedule(DAY_MS, () => {
      void erasure
        .destroyDue(random(16))
        .catch(() => undefined)
        .finally(daily)
    })
  }
  daily()
  return {
    erasure,
    routes: [
      ...fhirRoutes({
        custody,
        reader,
        search,
        ingest,
        ridKey,
        clock,
        random,
        permits: organisationPolicy(delegated),
        logAccess,
      }),
      ...ownRoutes({
        org: config.org,
        chainId,
        custody,
        index,
        reader,
        keys,
        ridKey,
        vault: stores.vault,
        log: factLog,
        ingest,
        clock,
        random,
        target: records.target,
        erasure,
        receiptsOf: (owner) => receiptsOf(parts, owner),
        async logOwn(holder, { kind, count }) {
          await accessLog.record({
            owner: holder.owner,
            timeMs: clock.now(),
            kind: kind === 'export' || kind === 'import' ? kind : 'administer',
            outcome: 'permitted',
            actor: { org: config.org, holder: 'owner' },
            custodian: config.org,
            purpose: 'PATRQT',
            versions: [],
            reasons: [kind, String(count)],
            head: head(),
          })
        },
      }),
    ],
    close: () => timer?.cancel(),
  }
}

/** The newest accesses to an owner's record, as receipt files. */
async function receiptsOf(
  { trail, receipts, factLog, ledger }: CustodyPartParts,
  owner: Uint8Array,
): Promise<unknown[]> {
  // An archive outlives the node: its receipts should say more than "logged". Where the ledger stands still they cannot.
  await factLog.anchorNow().catch(() => undefined)
  await ledger.witnessed()
  const made: unknown[] = []
  for (const { eventId, digest, salt, leafIndex } of trail.list(owner, { limit: RECEIPTS_PER_EXPORT })
    .events) {
    const receipt = await receipts.ofFact(
      { kind: 2, fields: [eventId, digest], salt, leafIndex },
      COSIGNED_WITHIN_MS,
    )
    made.push(JSON.parse(encodeReceipt(receipt)))
  }
  return made
}

/** Signs receipts and commits to them on the ledger (`records/erased`); the receipt itself stays off it. */
function erasureReceipts({ config, host, organisation, ledger, records }: CustodyPartParts): ErasureReceipts {
  const { clock, random } = host
  const { access } = ledger
  const issue = async (receipt: Receipt): Promise<IssuedReceipt> => {
    const signed = signReceipt(organisation.sign, access.chainId, receipt)
    const salt = random(32)
    const args = erasedArgs(signed, salt)
    await access.execute(
      signBody({
        chainId: access.chainId,
        call: 'records/erased',
        args: { ...args },
        untilMs: Math.max(clock.now(), access.head().timeMs) + BODY_LIFE_MS,
        keys: [organisation.sign],
        random,
      }),
    )
    return { ...signed, salt }
  }
  const common = (owner: Uint8Array, requestId: Uint8Array) => ({
    v: 1,
    org: config.org,
    sub: records.custody.owner(owner)?.sub ?? new Uint8Array(32),
    time: clock.now(),
    requestId,
  })
  return {
    erased: ({ owner, requestId, objects, method, keystoreGeneration }) =>
      issue({
        kind: 'erasure',
        ...common(owner, requestId),
        method,
        objects: objects.slice(0, RECEIPT_OBJECTS),
        ...(objects.length > RECEIPT_OBJECTS ? { more: sha256(concat(...objects)) } : {}),
        count: objects.length,
        keystoreGeneration,
      }),
    refused: ({ owner, requestId, count, effect, basis, retainUntil }) =>
      issue({ kind: 'refusal', ...common(owner, requestId), count, effect, basis, retainUntil }),
  }
}

/** `US-MA` is inside `US`: both rules hold, the longer one wins. */
function jurisdictionsOf(place: string): string[] {
  const [country = place] = place.split('-')
  return place === country ? [country] : [place, country]
}
