import { fileURLToPath } from 'node:url'
import { fromHex } from '@salus/core'
import { systemRandom } from '@salus/host/system'
import { connect } from '@salus/sdk'
import { Constellation } from '@salus/testing'
import type { Io } from '../io.ts'
import { castOf, chooseCast } from './cast.ts'
import { readSource, type Source } from './source-files.ts'
import { splitBetweenHospitals } from './split.ts'
import { enrolOrganisations, enrolPeople, firstAdmin, registerCast } from './steps/enrol.ts'
import { type ImportTotals, importRecords } from './steps/import.ts'
import { STEPS } from './steps/index.ts'
import { expectThat, type Story } from './story.ts'
import { ORGS, type World } from './world.ts'

const SAMPLES = fileURLToPath(new URL('../../../../samples', import.meta.url))

export interface PlayOptions {
  /** Directory of FHIR files; the shipped samples when left out. */
  readonly bundles: string | undefined
  /** Absolute path of the data directory. */
  readonly dir: string
  readonly port: number | undefined
}

/** What the story leaves: the world, and what happened to every resource of the files. */
export interface Played {
  readonly world: World | undefined
  readonly totals: ImportTotals | undefined
  readonly source: Source
}

/** Plays the whole story on a fresh network below `dir`. The caller closes the network. */
export async function play(options: PlayOptions, story: Story, io: Io): Promise<Played> {
  const { source, fromSample, cast } = prepareSource(options.bundles, story)
  let world: World | undefined
  let totals: ImportTotals | undefined
  const started = await story.step('enrol', async () => {
    const net = await Constellation.start({
      dir: options.dir,
      members: [
        { org: ORGS.a, name: 'Hospital A' },
        { org: ORGS.b, name: 'Hospital B' },
      ],
      guests: [{ org: ORGS.c, name: 'Clinic C' }],
      ...(options.port === undefined ? {} : { port: options.port }),
      onBug: (error) => io.err(`${(error as Error).stack}\n`),
    })
    const connection = (org: string) => connect({ url: net.urlOf(org), network: io.network })
    world = {
      net,
      context: { chainId: fromHex(net.genesisId), random: systemRandom, clock: net.clock },
      source,
      fromSample,
      split: splitBetweenHospitals(source.resources),
      cast,
      connections: { a: connection(ORGS.a), b: connection(ORGS.b), c: connection(ORGS.c) },
      admins: new Map(),
      staff: new Map(),
      people: new Map(),
      figures: {},
      receipts: new Map(),
      grants: new Map(),
      dataDir: options.dir,
    }
    await firstAdmin(world, 'a')
    await firstAdmin(world, 'b')
    const organisations = await enrolOrganisations(world)
    await registerCast(world)
    return `${organisations}; ${await enrolPeople(world)}`
  })
  if (!started || world === undefined) return { world, totals, source }
  const played: World = world
  const imported = await story.step('import', async () => {
    totals = await importRecords(played, story)
    expectThat(
      totals.imported + totals.rejected.length === source.found,
      `every resource arrives or is named: ${totals.imported} + ${totals.rejected.length} of ${source.found}`,
    )
    return `${totals.imported} resources arrived, ${totals.rejected.length} rejected by name, ${totals.added} added by the demo, ${totals.perSecond}/s; one leaf each in the logs of ${ORGS.a} and ${ORGS.b}`
  })
  if (!imported) return { world: played, totals, source }
  for (const [name, step] of STEPS) {
    if (!(await story.step(name, () => step(played, story)))) break
  }
  return { world: played, totals, source }
}

/** The files, and the shipped sample beside them for whoever the story needs and the files do not have. */
function prepareSource(
  bundles: string | undefined,
  story: Story,
): { source: Source; fromSample: string[]; cast: World['cast'] } {
  const progress = (done: number, total: number): void => {
    if (total > 3) story.progress(`read ${done} of ${total} files`)
  }
  const given = readSource(bundles ?? SAMPLES, progress)
  const chosen = chooseCast(given)
  const parts = ['patient', 'child', 'hosted'] as const
  const missing = parts.filter((part) => chosen[part] === undefined)
  if (missing.length === 0) {
    const cast = castOf(chosen as Required<typeof chosen>, given.resources)
    return { source: given, fromSample: [], cast }
  }
  const sample = readSource(SAMPLES, () => undefined)
  const spare = chooseCast(sample)
  for (const part of missing)
    story.say(`  the files have nobody who can play the ${part}; the shipped sample's is used for that part`)
  const all = { ...chosen }
  const spares = parts.map((part) => spare[part]).filter((name) => name !== undefined)
  for (const part of missing) {
    const name = spare[part] ?? spares[0]
    if (name !== undefined) all[part] = name
  }
  const names = new Set(missing.map((part) => all[part]))
  const extra = sample.resources.filter(
    ({ owner }) => owner.kind === 'directory' || (owner.kind === 'patient' && names.has(owner.name)),
  )
  const known = new Set(given.resources.map(({ recordId }) => recordId))
  const resources = [...given.resources, ...extra.filter(({ recordId }) => !known.has(recordId))]
  return {
    source: { ...given, resources, found: given.found + resources.length - given.resources.length },
    fromSample: missing,
    cast: castOf(all as Required<typeof all>, resources),
  }
}
