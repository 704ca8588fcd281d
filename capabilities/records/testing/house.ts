import { type Random, sha256, utf8 } from '@salus/core'
import {
  type AdjustableClock,
  inlineWorkers,
  type MemoryDisk,
  manualClock,
  memoryDisk,
  type Sql,
  seededRandom,
} from '@salus/host'
import { memorySql } from '@salus/host/system'
import { Vault } from '@salus/vault'
import { CustodyStore } from '../src/custody/custody-store.ts'
import type { OwnerRow } from '../src/custody/rows.ts'
import type { ResourceCompartment } from '../src/fhir/index.ts'
import { TokenIndex } from '../src/index/token-index.ts'
import { Ingest } from '../src/ingest/ingest.ts'
import { prepare } from '../src/ingest/prepare.ts'
import type { CompartmentTarget } from '../src/ingest/seal-version.ts'
import { type MemoryOwnerKeys, memoryOwnerKeys, ridOf } from '../src/owner-keys.ts'
import { PatientSearch } from '../src/patient-search.ts'
import { RecordReader } from '../src/record-reader.ts'
import { CustodyRecordSource } from '../src/record-source.ts'

export const CHAIN_ID = sha256(utf8('a chain for tests'))
export const START_MS = 1_790_000_000_000

export interface LeafList {
  readonly leaves: Uint8Array[]
  appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }>
}

/** A custodian's records with everything real but disk, clock, randomness and log. */
export interface House {
  readonly disk: MemoryDisk
  readonly custodySql: Sql
  readonly indexSql: Sql
  readonly clock: AdjustableClock
  readonly random: Random
  readonly keys: MemoryOwnerKeys
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly vault: Vault
  readonly log: LeafList
  readonly reader: RecordReader
  readonly search: PatientSearch
  readonly source: CustodyRecordSource
  readonly ingest: Ingest
  readonly ridKey: Uint8Array
  readonly targets: Map<string, CompartmentTarget>
  /** The owner of `Patient/<id>`. */
  owner(id: string): OwnerRow
  /** Imports resources as one collection. */
  take(...resources: object[]): ReturnType<Ingest['importFile']>
}

/** What survives of a house when its process ends: give it to the next `openHouse`. */
export interface HouseRemains {
  readonly disk: MemoryDisk
  readonly custodySql: Sql
  readonly indexSql: Sql
  readonly keys: MemoryOwnerKeys
  readonly ridKey: Uint8Array
  readonly log: LeafList
}

export async function openHouse({
  seed = 1,
  remains,
  sql = memorySql,
}: {
  seed?: number
  remains?: HouseRemains
  sql?: (name: 'custody' | 'index') => Sql
} = {}): Promise<House> {
  const random = seededRandom(seed)
  const clock = manualClock(START_MS)
  const disk = remains?.disk ?? memoryDisk()
  const custodySql = remains?.custodySql ?? sql('custody')
  const indexSql = remains?.indexSql ?? sql('index')
  // Erasure is judged by the bytes of the database, so it must behave like the one on disk.
  for (const database of [custodySql, indexSql]) database.exec('PRAGMA secure_delete = ON')
  const custody = new CustodyStore(custodySql)
  const index = new TokenIndex(indexSql)
  const vault = await Vault.open({ disk, path: 'vault', clock })
  const keys = remains?.keys ?? memoryOwnerKeys(random)
  const ridKey = remains?.ridKey ?? random(32)
  const leaves: Uint8Array[] = []
  const log: LeafList = remains?.log ?? {
    leaves,
    async appendMany(more) {
      leaves.push(...more)
      return { index: leaves.length - more.length }
    },
  }
  const reader = new RecordReader({ vault, keys })
  const search = new PatientSearch({ custody, index, keys, reader })
  const source = new CustodyRecordSource({ custody, reader, search, ridKey })
  const targets = new Map<string, CompartmentTarget>()
  const target = (row: OwnerRow, compartment: ResourceCompartment) =>
    custody.owner(row.owner)?.status === 'self' ? targets.get(compartment) : undefined
  const ingest = new Ingest({
    custody,
    index,
    vault,
    log,
    keys,
    ridKey,
    chainId: CHAIN_ID,
    clock,
    random,
    workers: inlineWorkers(prepare),
    target,
  })
  let files = 0
  return {
    disk,
    custodySql,
    indexSql,
    clock,
    random,
    keys,
    custody,
    index,
    vault,
    log,
    reader,
    search,
    source,
    ingest,
    ridKey,
    targets,
    owner(id) {
      const row = custody.ownerByRid(ridOf(ridKey, `Patient/${id}`))
      if (row === undefined) throw new Error(`no owner for Patient/${id}`)
      return row
    },
    take(...resources) {
      files += 1
      return ingest.importFile({ name: `file-${files}.json`, text: collection(...resources) })
    },
  }
}

export function collection(...resources: object[]): string {
  const entry = resources.map((resource) => ({ resource }))
  return JSON.stringify({ resourceType: 'Bundle', type: 'collection', entry })
}

export const patient = (id: string, more: object = {}) => ({
  resourceType: 'Patient',
  id,
  name: [{ family: `Family-${id}`, given: ['Ana'] }],
  gender: 'female',
  birthDate: '1980-02-03',
  ...more,
})

export const encounter = (id: string, of: string, more: object = {}) => ({
  resourceType: 'Encounter',
  id,
  status: 'finished',
  class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' },
  subject: { reference: `Patient/${of}` },
  period: { start: '2019-05-01T08:00:00Z', end: '2019-05-01T09:00:00Z' },
  ...more,
})

export const glucose = (id: string, of: string, value = 6.3, more: object = {}) => ({
  resourceType: 'Observation',
  id,
  status: 'final',
  category: [
    {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'laboratory' }],
    },
  ],
  code: { coding: [{ system: 'http://loinc.org', code: '2339-0', display: 'Glucose' }] },
  subject: { reference: `Patient/${of}` },
  effectiveDateTime: '2019-05-01T08:30:00Z',
  valueQuantity: { value, unit: 'mmol/L', system: 'http://unitsofmeasure.org', code: 'mmol/L' },
  ...more,
})

export const medication = (id: string, of: string, more: object = {}) => ({
  resourceType: 'MedicationRequest',
  id,
  status: 'active',
  intent: 'order',
  medicationCodeableConcept: {
    coding: [{ system: 'http://www.nlm.nih.gov/research/umls/rxnorm', code: '860975' }],
    text: 'metformin',
  },
  subject: { reference: `Patient/${of}` },
  authoredOn: '2019-05-01',
  ...more,
})

export const practitioner = (id: string) => ({
  resourceType: 'Practitioner',
  id,
  name: [{ family: `Doctor-${id}` }],
})
