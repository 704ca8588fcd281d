import { join } from 'node:path'
import { assert } from '@salus/core'
import { decodeReceipt, verifyReceipt } from '@salus/log'
import { send, sendForJson } from '@salus/sdk'
import { labResults, patientNamed, RARE, visitOf } from './bench-records.ts'
import { atMost, type Figure, inTurns, measurement, seconds } from './harness.ts'
import { Hospitals } from './hospitals.ts'

const ONCE = 1_000
const TIMES = 10
/** Operations in a row, so that one that is lucky or not does not decide. */
const PER_ROUND = 10

/** Reads one version as a grantee, and verifies the receipt of an access, on a node with little and with much data. */
export const figure: Figure = {
  name: 'read',
  title: `One resource read and verified with a receipt, ${ONCE} and ${ONCE * TIMES} resources held`,
  async run({ dir }) {
    const small = await reader(join(dir, 'small'), ONCE)
    const big = await reader(join(dir, 'big'), ONCE * TIMES)
    try {
      const times = await inTurns(
        {
          readSmall: () => small.readMs(),
          readBig: () => big.readMs(),
          receiptSmall: () => small.receiptMs(),
          receiptBig: () => big.receiptMs(),
        },
        { rounds: 7, warmUp: 2 },
      )
      const once = `${ONCE} resources`
      return {
        measurements: [
          measurement('both', times.readBig + times.receiptBig, 'ms', {
            reference: { name: once, value: times.readSmall + times.receiptSmall, unit: 'ms' },
            target: atMost(1.3, 'ratio'),
          }),
          measurement('  read: released, proof checked, opened', times.readBig, 'ms', {
            reference: { name: once, value: times.readSmall, unit: 'ms' },
          }),
          measurement('  receipt: fetched, verified from the genesis id', times.receiptBig, 'ms', {
            reference: { name: once, value: times.receiptSmall, unit: 'ms' },
          }),
        ],
        notes: [
          'the read is a release of one version between two nodes, with a durable leaf at each; the receipt is that of an access, anchored and witnessed',
          `mean of ${PER_ROUND} in a row, median of 7 rounds; other patients' data is not in it, the fact logs are ${ONCE} and ${ONCE * TIMES} leaves and more`,
        ],
      }
    } finally {
      await small.close()
      await big.close()
    }
  },
}

interface Reader {
  readMs(): Promise<number>
  receiptMs(): Promise<number>
  close(): Promise<void>
}

async function reader(dir: string, count: number): Promise<Reader> {
  const hospitals = await Hospitals.open(dir)
  const patient = await hospitals.enrol(patientNamed('one'))
  await hospitals.importAtA([
    visitOf('one', 'visit'),
    ...labResults('one', count, { visit: 'visit', rare: 1 }),
  ])
  const g = await hospitals.grant(patient)
  const found = await hospitals.ask(g, {
    action: 'search',
    query: `Observation?code=http://loinc.org|${RARE}`,
  })
  const [version] = found.versions
  assert(version !== undefined, 'the search finds the version that is read')
  const { events } = (await sendForJson(patient.atA, 'GET', '/me/accesses')) as {
    readonly events: readonly { readonly eventId: string }[]
  }
  const path = `/me/accesses/${events.at(-1)?.eventId}/receipt`
  // Anchored once; from then on the receipt is only put together.
  await send(patient.atA, 'GET', `${path}?anchor=now`)
  return {
    readMs: () =>
      meanMs(async () => {
        const { versions } = await hospitals.ask(g, { action: 'read', oids: [version.oid] })
        assert(versions.length === 1, 'the version is released')
      }),
    receiptMs: () =>
      meanMs(async () => {
        const { body } = await send(patient.atA, 'GET', path)
        const { status } = verifyReceipt(decodeReceipt(body), { genesisId: hospitals.net.genesisId })
        assert(status === 'valid', `the receipt is ${status}`)
      }),
    close: () => hospitals.close(),
  }
}

async function meanMs(operation: () => Promise<void>): Promise<number> {
  const took = await seconds(async () => {
    for (let at = 0; at < PER_ROUND; at += 1) await operation()
  })
  return (took / PER_ROUND) * 1000
}
