import type { Connection } from '@salus/sdk'
import { sendForJson } from '@salus/sdk'
import { confidentialText, hostedText } from '../demo-made.ts'
import { duplicatesFor } from '../duplicates.ts'
import type { SourcedResource } from '../source-files.ts'
import { expectThat, type Story } from '../story.ts'
import type { World } from '../world.ts'
import { adminOf } from './enrol.ts'

const RESOURCES_PER_FILE = 1_000

interface Report {
  readonly imported: number
  readonly rejected: readonly {
    file: string
    entry: number
    type: string
    id: string
    code: string
    message: string
  }[]
}

/** What became of every resource of the files. */
export interface ImportTotals {
  readonly imported: number
  readonly rejected: readonly { file: string; entry: number; type: string; id: string; code: string }[]
  readonly added: number
  readonly perSecond: number
}

/** Imports the split records over HTTP; a resource that both hospitals hold counts once. */
export async function importRecords(world: World, story: Story): Promise<ImportTotals> {
  const { source, split } = world
  const startMs = performance.now()
  const failed = new Map<string, { code: string }>()
  const sent = split.a.length + split.b.length
  let done = 0
  for (const [key, list] of [
    ['a', split.a],
    ['b', split.b],
  ] as const) {
    const connection = adminOf(world, key)
    // Two files at a time: one is checked in a worker while the other is sealed.
    const files = pages(list)
    await inParallel(files, 3, async (page) => {
      for (const { entry, code } of (await importPage(connection, page)).rejected) {
        const one = page[entry]
        if (one !== undefined) failed.set(one.recordId, { code })
      }
      done += page.length
      story.progress(`imported ${done} of ${sent} resources`)
    })
  }
  const seconds = (performance.now() - startMs) / 1_000
  const duplicates = duplicatesFor(split.a, world.cast.patient)
  const added = await importPage(adminOf(world, 'b'), duplicates)
  expectThat(
    added.rejected.length === 0,
    `the duplicates that the demo makes arrive: ${added.rejected[0]?.message}`,
  )
  const confidential = await importPage(adminOf(world, 'a'), [{ text: confidentialText(world.cast.child) }])
  const hosted = await importPage(adminOf(world, 'b'), [{ text: hostedText(world.cast.hosted) }])
  expectThat(
    confidential.imported === 1 && hosted.imported === 1,
    'the records that the demo makes for the child and the hosted patient arrive',
  )
  const unique = new Map(source.resources.map((one) => [one.recordId, one]))
  const rejected = [...failed].flatMap(([recordId, { code }]) => {
    const one = unique.get(recordId)
    return one === undefined ? [] : [{ file: one.file, entry: one.entry, type: one.type, id: one.id, code }]
  })
  return {
    imported: source.resources.length - rejected.length,
    rejected: [...source.rejected, ...rejected],
    added: duplicates.length + confidential.imported + hosted.imported,
    perSecond: Math.round(sent / seconds),
  }
}

/** Imports resources as one ndjson file; the report's entries are lines. */
async function importPage(
  connection: Connection,
  page: readonly Pick<SourcedResource, 'text'>[],
): Promise<Report> {
  if (page.length === 0) return { imported: 0, rejected: [] }
  const body = page.map(({ text }) => text).join('\n')
  return (await sendForJson(connection, 'POST', '/import?name=page.ndjson', {
    raw: { type: 'application/fhir+ndjson', body },
  })) as Report
}

function pages(list: readonly SourcedResource[]): SourcedResource[][] {
  const out: SourcedResource[][] = []
  for (let from = 0; from < list.length; from += RESOURCES_PER_FILE)
    out.push(list.slice(from, from + RESOURCES_PER_FILE))
  return out
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
    }),
  )
}
