import type { Purpose } from '@salus/consent'
import type { Asker, Grantee, GrantStore, LeasedVersion, Leases } from '@salus/consent/service'
import { AppError } from '@salus/core'
import type { Clock } from '@salus/host'
import { type ChartForeign, chart } from '@salus/records'
import { json, type Route, type Staff } from '@salus/server'
import type { NodeAccessLog } from '../access-log.ts'
import type { NodeConfig } from '../host.ts'
import type { LedgerPart } from '../ledger-part.ts'
import type { RecordsPart } from '../records-part.ts'

export interface ChartRoutesParts {
  readonly config: NodeConfig
  readonly records: RecordsPart
  readonly grantee: Grantee
  readonly leases: Leases
  readonly grants: GrantStore
  readonly accessLog: NodeAccessLog
  readonly ledger: LedgerPart
  readonly clock: Clock
}

/** Purposes for which a clinician may open her own organisation's records. */
const CARE: readonly Purpose[] = ['TREAT', 'CAREMGT', 'HOPERAT']

/** One chart of a patient: this organisation's record and what others released, with their sources. */
export function chartRoutes(parts: ChartRoutesParts): Route[] {
  const { records, config, accessLog, ledger, clock } = parts
  return [
    {
      method: 'GET',
      path: '/chart',
      summary: 'The chart of a patient: own records and those opened under her grants, with sources',
      audience: 'clinician',
      query: { patient: 'Patient/id here', purpose: 'HL7 v3 PurposeOfUse, TREAT unless told' },
      async handle({ actor, query }) {
        const staff = actor as Staff
        const purpose = (query['purpose'] ?? 'TREAT') as Purpose
        if (!CARE.includes(purpose))
          throw new AppError('FORBIDDEN', `purpose: a chart is opened for one of ${CARE.join(', ')}`)
        const patient = query['patient'] ?? ''
        const found = records.owners.findPatient(patient)
        if (found === undefined || found.status === 'restricted' || found.status === 'erased')
          throw new AppError('NOT_FOUND', 'patient: nobody of that id is treated here')
        const held = records.custody
          .currentVersions(found.owner, { after: 0, limit: 100_000 })
          // What she had erased and the law keeps is hidden from care; what she made herself cannot be opened here.
          .filter(({ state, custodyWrap }) => state === 'live' && custodyWrap !== undefined)
          .map((row) => ({ row, labels: records.reader.labels(row) }))
          // The emergency summary repeats what stands beside it.
          .filter(({ labels }) => labels.deleted !== true && labels.compartment !== 'emergency')
        const { height, timeMs } = ledger.engine.head()
        // Logged before anything is opened: one event for the whole chart, or one for each page of a long one.
        const versions = held.map(({ row: { oid }, labels: { recordId, version } }) => ({
          oid,
          recordId,
          version,
        }))
        await accessLog.recordMany([
          {
            owner: found.owner,
            timeMs: clock.now(),
            kind: 'read',
            outcome: 'permitted',
            actor: { org: config.org, practitioner: staff.practitioner },
            custodian: config.org,
            purpose,
            action: 'read',
            versions,
            head: { height, ageMs: Math.max(0, clock.now() - timeMs) },
          },
        ])
        const own = await Promise.all(held.map(({ row }) => records.reader.open(row)))
        const foreign = await askAll(parts, found.owner, staff)
        const isDirectory = (reference: string): boolean =>
          records.source.byRecordId(reference)?.directory === true
        return json(chart({ org: config.org, own, foreign, isDirectory }))
      },
    },
  ]
}

/** Asks every custodian that granted something, at the same time; what is held under a lease is not asked for again. */
async function askAll(parts: ChartRoutesParts, owner: Uint8Array, staff: Staff): Promise<ChartForeign[]> {
  const { grantee, leases } = parts
  const asker: Asker = {
    practitioner: staff.practitioner,
    ...(staff.credential === undefined ? {} : { credential: staff.credential }),
  }
  return Promise.all(
    grantee.usable(owner, asker).map(async ({ grant, terms }): Promise<ChartForeign> => {
      const org = terms.custodian
      const held: readonly LeasedVersion[] = leases.under([grant.g], staff.practitioner)
      if (held.length > 0) return { org, state: 'granted', versions: held }
      try {
        const { versions } = await grantee.ask(grant.g, { action: 'search', query: '*' }, asker)
        return { org, state: 'granted', versions }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        const state = error.code === 'UNREACHABLE' ? 'unreachable' : 'refused'
        return { org, state, versions: [] }
      }
    }),
  )
}
