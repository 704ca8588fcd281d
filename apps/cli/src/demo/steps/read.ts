import { execFileSync } from 'node:child_process'
import { type Connection, sendForJson } from '@salus/sdk'
import { expectThat } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { staffOf } from './enrol.ts'

/** A chart as `GET /chart` answers it. */
export interface ChartAnswer {
  readonly entries: readonly {
    readonly resource: { readonly resourceType: string; readonly id: string }
    readonly sources: readonly {
      readonly org: string
      readonly recordId: string
      readonly held: 'own' | 'granted'
    }[]
    readonly alsoAs: readonly unknown[]
  }[]
  readonly sources: readonly { readonly org: string; readonly state: string }[]
  readonly total: number
}

export async function chartOf(clinician: Connection, patient: string): Promise<ChartAnswer> {
  return (await sendForJson(
    clinician,
    'GET',
    `/chart?patient=${encodeURIComponent(patient)}&purpose=TREAT`,
  )) as ChartAnswer
}

/** Versions in a chart that another organisation released. */
export function grantedIn(chart: ChartAnswer): string[] {
  return chart.entries.flatMap(({ sources }) =>
    sources.filter(({ held }) => held === 'granted').map(({ recordId }) => recordId),
  )
}

/**
 * The clinician at B opens one chart: her own records and exactly what the grant shows of A's. Duplicates stand in one
 * entry with both sources, and nothing of A's is on any disk of B.
 */
export async function readChart(world: World): Promise<string> {
  const grant = world.grants.get('first')
  expectThat(grant !== undefined, 'there is a grant')
  const clinician = staffOf(world, 'clinician-b')
  const chart = await chartOf(clinician.connection, world.cast.patient)
  const firstReadMs = Math.round(performance.now() - grant.madeMs)
  const granted = grantedIn(chart)
  expectThat(
    granted.length === grant.shown.length,
    `exactly the ${grant.shown.length} previewed versions open, ${granted.length} did`,
  )
  expectThat(chart.total === chart.entries.length, 'the total counts what is shown')
  const withheld = withheldOf(world, new Set(granted))
  const text = JSON.stringify(chart)
  const leaked = withheld.find(({ words }) => words !== undefined && text.includes(words))
  expectThat(leaked === undefined, `nothing withheld leaves a trace: ${leaked?.recordId}`)
  const merged = chart.entries.filter(({ sources }) => new Set(sources.map(({ org }) => org)).size > 1).length
  const onDisk = granted.length === 0 ? '' : foreignTextOnDisk(world, granted)
  expectThat(onDisk === '', `B keeps no foreign plaintext on disk: ${onDisk}`)
  world.figures['grantToFirstReadMs'] = firstReadMs
  return `${chart.total} entries: ${granted.length} versions of ${ORGS.a} beside ${ORGS.b}’s own, ${merged} facts told by both in one entry each; first read ${firstReadMs} ms after the grant; nothing withheld in totals, links or text, nothing of ${ORGS.a} on ${ORGS.b}’s disks`
}

/** What A holds of her and did not release, with words of it that would betray it. */
function withheldOf(world: World, granted: ReadonlySet<string>) {
  const atB = new Set(world.split.b.map(({ recordId }) => recordId))
  return world.split.a
    .filter(({ owner }) => owner.kind === 'patient' && owner.name === world.cast.patient)
    .filter(({ recordId, type }) => type !== 'Patient' && !granted.has(recordId) && !atB.has(recordId))
    .map(({ recordId }) => ({ recordId, words: `"id":"${recordId.slice(recordId.indexOf('/') + 1)}"` }))
}

/** The first released record whose id stands readable in a file of B's data directory; '' if none. */
export function foreignTextOnDisk(world: World, granted: readonly string[]): string {
  const dir = world.net.dataDir(ORGS.b)
  const atB = new Set(world.split.b.map(({ recordId }) => recordId))
  const ids = granted
    .filter((recordId) => !atB.has(recordId))
    .map((recordId) => recordId.slice(recordId.indexOf('/') + 1))
  for (const id of ids.slice(0, 25)) {
    try {
      return execFileSync('grep', ['-rlF', id, dir], { encoding: 'utf8' }).split('\n')[0] ?? ''
    } catch {
      // grep answers 1 when it finds nothing, which is what must be.
    }
  }
  return ''
}
