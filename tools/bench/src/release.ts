import { join } from 'node:path'
import { assert } from '@salus/core'
import { labResults, patientNamed, visitOf } from './bench-records.ts'
import { atMost, type Figure, inTurns, measurement, seconds } from './harness.ts'
import { Hospitals } from './hospitals.ts'
import { servePlain } from './plain-http.ts'

const VERSIONS = 500

/** B asks for 500 record versions of A: signed request, decision per version, log, seal, objects, open. */
export const figure: Figure = {
  name: 'release',
  title: `Release of ${VERSIONS} record versions to a grantee, half of them as views, over loopback HTTP`,
  async run({ dir }) {
    const hospitals = await Hospitals.open(join(dir, 'network'))
    const records = labResults('one', VERSIONS, { visit: 'visit-1' })
    const plain = await servePlain(JSON.stringify(records))
    try {
      const patient = await hospitals.enrol(patientNamed('one'))
      await hospitals.importAtA([visitOf('one', 'visit-1'), ...records])
      const g = await hospitals.grant(patient)
      let views = 0
      const times = await inTurns(
        {
          release: () =>
            seconds(async () => {
              const { versions } = await hospitals.ask(g, { action: 'search', query: '*' })
              assert(versions.length === VERSIONS, `released ${versions.length} of ${VERSIONS}`)
              views = versions.filter(({ dek }) => dek === undefined).length
            }),
          plain: () => seconds(() => plain.fetchAll()),
        },
        { rounds: 7, warmUp: 2 },
      )
      assert(views === VERSIONS / 2, `half of them come as views: ${views}`)
      return {
        measurements: [
          measurement(`${VERSIONS} versions`, times.release * 1000, 'ms', {
            reference: {
              name: 'the same records as plain JSON over HTTP',
              value: times.plain * 1000,
              unit: 'ms',
            },
            target: atMost(300),
          }),
        ],
        notes: [
          `${VERSIONS - views} keys with their objects and ${views} views; access leaf durable at A before, at B after; each round is a new release`,
          'both nodes and their workers run in one process on the same cores; between two machines each has its own',
        ],
      }
    } finally {
      await plain.close()
      await hospitals.close()
    }
  },
}
