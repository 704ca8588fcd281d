import { sendForJson } from '@salus/sdk'
import type { Played } from './play.ts'
import { renewSessions } from './sessions.ts'
import type { StepResult, Story } from './story.ts'
import { ORGS } from './world.ts'

/** What `--json` prints. */
export interface DemoDocument {
  readonly ok: boolean
  readonly steps: readonly StepResult[]
  readonly nodes: readonly { readonly name: string; readonly url: string; readonly fhirBase: string }[]
  readonly people: readonly {
    readonly name: string
    readonly role: string
    readonly organisation: string
    readonly token: string
  }[]
  readonly figures: Readonly<Record<string, unknown>>
  readonly rejected: readonly unknown[]
  readonly dangling: readonly unknown[]
  readonly fromSample: readonly string[]
  readonly genesisId: string | undefined
  /** Time of the story, for `salus verify --now`: it moves on by years. */
  readonly nowMs: number | undefined
  readonly dataDir: string
}

export async function documentOf(
  { world, totals, source }: Played,
  story: Story,
  dataDir: string,
): Promise<DemoDocument> {
  const nodes =
    world === undefined
      ? []
      : Object.values(ORGS).map((org) => {
          const url = world.net.urlOf(org)
          return { name: org, url, fhirBase: `${url}/fhir` }
        })
  const logSizes: Record<string, number> = {}
  let bytesOnDisk = 0
  let ledgerHeight = 0
  if (world !== undefined) await renewSessions(world)
  for (const key of ['a', 'b', 'c'] as const) {
    const admin = world?.admins.get(key)
    if (world === undefined || admin === undefined || !world.net.running().includes(ORGS[key])) continue
    const figures = (await sendForJson(admin.connection, 'GET', '/figures')) as Record<string, number>
    logSizes[ORGS[key]] = figures['logSize'] ?? 0
    bytesOnDisk += figures['bytes.total'] ?? 0
    ledgerHeight = Math.max(ledgerHeight, figures['ledgerHeight'] ?? 0)
  }
  return {
    ok: story.ok && story.steps.length > 0,
    steps: story.steps,
    nodes,
    people:
      world === undefined
        ? []
        : [
            ...[...world.people].map(([role, { name, sessions }]) => ({
              name,
              role,
              organisation: ORGS.a,
              token: sessions.get(ORGS.a)?.token ?? '',
            })),
            ...[...world.staff].map(([role, { name, org, token }]) => ({
              name,
              role,
              organisation: org,
              token,
            })),
            ...[...world.admins.values()].map(({ name, org, token }) => ({
              name,
              role: 'administrator',
              organisation: org,
              token,
            })),
          ],
    figures: {
      resourcesImported: totals?.imported ?? 0,
      resourcesRejected: totals?.rejected.length ?? 0,
      added: totals?.added ?? 0,
      importPerSecond: totals?.perSecond ?? 0,
      grantToFirstReadMs: 0,
      receiptsVerified: 0,
      tamperingsTried: 0,
      tamperingsFound: 0,
      bytesOnDisk,
      ledgerHeight,
      logSizes,
      ...world?.figures,
    },
    rejected: totals?.rejected ?? [],
    dangling: source.dangling,
    fromSample: world?.fromSample ?? [],
    genesisId: world?.net.genesisId,
    nowMs: world === undefined ? undefined : Math.round(world.net.clock.now()),
    dataDir,
  }
}
