import type { LeasedVersion } from '@salus/consent/service'
import { fromUtf8 } from '@salus/core'
import { type LooseResource, parseReference, walkReferences } from '../fhir/index.ts'
import type { OpenedVersion } from '../record-reader.ts'
import type { SealedLabels } from '../sealed-labels.ts'
import { type ChartEntry, reconcile, type SourcedResource } from './reconcile.ts'

/**
 * How a source answered. `refused`: no grant covers it or the custodian said no; which of the two, and whether it
 * holds anything, a reader never learns.
 */
export type SourceState = 'own' | 'granted' | 'unreachable' | 'refused'

export interface ChartSourceState {
  readonly org: string
  readonly state: SourceState
}

/** One patient's record as a clinician sees it now. */
export interface Chart {
  /** The Patient resource of this organisation, else of the first source that has one. */
  readonly patient: LooseResource | undefined
  readonly entries: readonly ChartEntry[]
  readonly sources: readonly ChartSourceState[]
  /** Number of `entries`; what is withheld is not counted. */
  readonly total: number
}

export interface ChartInput {
  readonly org: string
  /** Current versions of the owner here. */
  readonly own: readonly Pick<OpenedVersion, 'labels' | 'json'>[]
  /** Whether the reader may see a version of `own`; without it, all. */
  readonly maySee?: (labels: SealedLabels) => boolean
  readonly foreign: readonly ChartForeign[]
  /** Whether a reference leads to a directory resource of this organisation, which every reader may see. */
  readonly isDirectory?: (reference: string) => boolean
}

/** What one other organisation gave. */
export interface ChartForeign {
  readonly org: string
  readonly state: 'granted' | 'unreachable' | 'refused'
  /** Versions held under a lease; empty unless `granted`. */
  readonly versions: readonly Pick<LeasedVersion, 'json'>[]
}

/**
 * One chart from an organisation's own record and what it holds open of others. Pure. The chart is a function of what
 * is visible alone: a reference to anything that is not in it is cut to the bare reference, so that a display, an
 * identifier or a type never tells of a record that was withheld.
 */
export function chart(input: ChartInput): Chart {
  const { org, own, foreign, isDirectory = () => false, maySee = () => true } = input
  const records: SourcedResource[] = [
    ...own
      .filter(({ labels }) => maySee(labels))
      .map(({ labels, json }) => sourced(org, 'own', parse(json), labels.recordId)),
    ...foreign.flatMap((source) =>
      source.state === 'granted'
        ? source.versions.map(({ json }) => sourced(source.org, 'granted', parse(json)))
        : [],
    ),
  ]
  // An id is unique within its organisation only, so a reference is looked up where it was made.
  const visible = new Set(records.map((record) => `${record.org} ${record.recordId}`))
  for (const record of records)
    cutReferences(
      record.resource,
      (target) => visible.has(`${record.org} ${target}`) || (record.held === 'own' && isDirectory(target)),
    )
  const entries = reconcile(records)
  const charted = entries.filter(({ resource }) => resource.resourceType !== 'Patient')
  return {
    patient: entries.find(({ resource }) => resource.resourceType === 'Patient')?.resource,
    entries: charted,
    sources: [{ org, state: 'own' }, ...foreign.map((source) => ({ org: source.org, state: source.state }))],
    total: charted.length,
  }
}

function sourced(
  org: string,
  held: 'own' | 'granted',
  resource: LooseResource,
  recordId = `${resource.resourceType}/${resource.id ?? ''}`,
): SourcedResource {
  return { org, held, recordId, resource }
}

function parse(json: Uint8Array): LooseResource {
  return JSON.parse(fromUtf8(json)) as LooseResource
}

/**
 * Cuts references to what is not visible down to `reference`, in place. One by identifier or display alone is cut
 * where it names a kind of thing that is somebody's record; people and organisations are named in every chart.
 */
function cutReferences(resource: LooseResource, isVisible: (target: string) => boolean): void {
  let cut = false
  for (const { reference, node } of walkReferences(resource)) {
    if (reference?.startsWith('#')) continue
    const target = reference === undefined ? undefined : parseReference(reference)
    if (target !== undefined && target.base === undefined && isVisible(`${target.type}/${target.id}`))
      continue
    const kind = target?.type ?? (node['type'] as string | undefined)
    if (kind !== undefined && NAMED_ANYWAY.has(kind)) continue
    if (reference === undefined && kind === undefined && node['identifier'] === undefined) continue
    cut = bare(node as Record<string, unknown>, reference) || cut
  }
  // The narrative says the same in words.
  if (cut) delete (resource as Record<string, unknown>)['text']
}

function bare(node: Record<string, unknown>, reference: string | undefined): boolean {
  let changed = false
  for (const name of Object.keys(node)) {
    if (name === 'reference' && reference !== undefined) continue
    delete node[name]
    changed = true
  }
  if (reference === undefined)
    node['extension'] = [
      { url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' },
    ]
  return changed
}

/** People, places and organisations, and the patient herself: saying their names tells of no withheld record. */
const NAMED_ANYWAY: ReadonlySet<string> = new Set([
  'Patient',
  'Practitioner',
  'PractitionerRole',
  'Organization',
  'Location',
  'HealthcareService',
  'Endpoint',
])
