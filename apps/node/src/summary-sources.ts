import { maySupplySummary, type SummarySource } from '@salus/consent'
import { fromUtf8, toHex } from '@salus/core'
import { unpackCode } from '@salus/records'
import { parseJson } from '@salus/records/fhir'
import type { RecordsPart } from './records-part.ts'

type Tree = Record<string, unknown>

/**
 * The current records of an owner that her emergency summary may hold, opened; none of an owner whose record is erased
 * or restricted. What only she can read, the organisation cannot put into a summary.
 */
export async function summarySources(records: RecordsPart, owner: Uint8Array): Promise<SummarySource[]> {
  const { custody, reader } = records
  const row = custody.owner(owner)
  if (row?.kind !== 'patient' || row.status === 'restricted' || row.status === 'erased') return []
  const sources: SummarySource[] = []
  for (const version of custody.currentVersions(owner, { after: 0, limit: 1_000_000 })) {
    if (version.custodyWrap === undefined || version.state !== 'live') continue
    const { recordId, type, compartment, codes, deleted } = reader.labels(version)
    if (deleted === true || !maySupplySummary({ type, codes: codes.map(unpackCode) })) continue
    const { json } = await reader.open(version)
    const resource = parseJson(fromUtf8(json)).exact as Tree
    sources.push(await withDrugName(records, owner, { recordId, compartment, resource }))
  }
  return sources
}

/** A summary copies no references, so what a prescription says only by reference gets its name here. */
async function withDrugName(
  records: RecordsPart,
  owner: Uint8Array,
  source: SummarySource,
): Promise<SummarySource> {
  const named = source.resource['medicationReference'] as
    | { reference?: unknown; display?: unknown }
    | undefined
  if (typeof named?.reference !== 'string' || named.display !== undefined) return source
  const drug = await drugOf(records, owner, source.resource, named.reference)
  const display = drug === undefined ? undefined : nameIn(drug.resource)
  if (drug === undefined || display === undefined) return source
  const resource = { ...source.resource, medicationReference: { ...named, display } }
  // A drug that is in a category of its own takes what names it there too.
  const compartment = drug.compartment === 'medication' ? source.compartment : drug.compartment
  return { ...source, compartment, resource }
}

async function drugOf(
  { source }: RecordsPart,
  owner: Uint8Array,
  resource: Readonly<Tree>,
  reference: string,
): Promise<{ readonly resource: Tree; readonly compartment: string } | undefined> {
  if (reference.startsWith('#')) {
    const contained = (resource['contained'] ?? []) as readonly Tree[]
    const found = contained.find(({ id }) => id === reference.slice(1))
    return found === undefined ? undefined : { resource: found, compartment: 'medication' }
  }
  const found = source.byRecordId(reference)
  if (found === undefined || !(found.directory || found.held.labels.owner === toHex(owner))) return undefined
  const { json } = await source.open(found.held.oid)
  return {
    resource: JSON.parse(fromUtf8(json)) as Tree,
    compartment: found.directory ? 'medication' : found.held.labels.compartment,
  }
}

function nameIn(medication: Tree): string | undefined {
  const code = medication['code'] as
    | { readonly text?: unknown; readonly coding?: readonly { readonly display?: unknown }[] }
    | undefined
  const name = code?.text ?? code?.coding?.find(({ display }) => typeof display === 'string')?.display
  return typeof name === 'string' ? name : undefined
}
