import { join } from 'node:path'
import { assert } from '@salus/core'
import { labResults, patientNamed, RARE, visitOf } from './bench-records.ts'
import { atMost, type Figure, type FigureResult, inTurns, measurement, seconds } from './harness.ts'
import { type BenchPatient, Hospitals } from './hospitals.ts'

const FEW = 10
const MANY = 10_000
/** What the first read finds, of both patients. */
const FOUND = 5
const QUERY = `Observation?code=http://loinc.org|${RARE}`

/** A grant, and the first read under it, for a patient with few and for one with many records. */
export const figure: Figure = {
  name: 'grant',
  title: `Grant on a patient with ${FEW} and with ${MANY} resources, and the first read after it`,
  async run({ dir }) {
    const hospitals = await Hospitals.open(join(dir, 'network'))
    try {
      return await measured(hospitals)
    } finally {
      await hospitals.close()
    }
  },
}

async function measured(hospitals: Hospitals): Promise<FigureResult> {
  const few = await patientWith(hospitals, 'few', FEW)
  const many = await patientWith(hospitals, 'many', MANY)
  const grantAndRead = (name: 'few' | 'many', patient: BenchPatient) => {
    let g: Uint8Array = new Uint8Array(16)
    return {
      grant: () =>
        seconds(async () => {
          g = await hospitals.grant(patient)
        }),
      read: () =>
        seconds(async () => {
          const { versions } = await hospitals.ask(g, { action: 'search', query: QUERY })
          assert(versions.length === FOUND, `${name}: found ${versions.length} of ${FOUND}`)
        }),
    }
  }
  const ofFew = grantAndRead('few', few)
  const ofMany = grantAndRead('many', many)
  const times = await inTurns(
    { grantFew: ofFew.grant, readFew: ofFew.read, grantMany: ofMany.grant, readMany: ofMany.read },
    { rounds: 9, warmUp: 2 },
  )
  const ms = (value: number): number => value * 1000
  return {
    measurements: [
      measurement(`grant, ${MANY} resources`, ms(times.grantMany), 'ms', {
        reference: { name: `${FEW} resources`, value: ms(times.grantFew), unit: 'ms' },
        target: atMost(1.15, 'ratio'),
      }),
      measurement(`first read, ${MANY} resources`, ms(times.readMany), 'ms', {
        reference: { name: `${FEW} resources`, value: ms(times.readFew), unit: 'ms' },
        target: atMost(1.15, 'ratio'),
      }),
      measurement('grant to first read', ms(times.grantMany + times.readMany), 'ms', {
        reference: { name: `${FEW} resources`, value: ms(times.grantFew + times.readFew), unit: 'ms' },
        target: atMost(1_000),
      }),
    ],
    notes: [
      'grant: terms, body final on the ledger, sealed to both, taken by both; read: a search that finds 5, logged at both, opened at B',
      'the operator waits for company before it makes a block (batch window); most of a grant is waiting',
    ],
  }
}

async function patientWith(hospitals: Hospitals, name: string, count: number): Promise<BenchPatient> {
  const patient = await hospitals.enrol(patientNamed(name))
  const visit = `visit-${name}`
  await hospitals.importAtA([visitOf(name, visit), ...labResults(name, count, { visit, rare: FOUND })])
  return patient
}
