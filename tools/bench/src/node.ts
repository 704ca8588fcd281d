import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PATHS } from '@salus/node'
import { allocatedBytes } from './allocated.ts'
import { type FhirFile, fhirFiles, resourceTexts } from './fhir-files.ts'
import { atLeast, atMost, type Figure, inTurns, measurement, median, seconds } from './harness.ts'
import { salus, startBare, startNode } from './node-child.ts'

const ORG = 'bench'
const MB = 1_000_000
/** Lets a process that has just answered finish what it does after that. */
const SETTLE_MS = 1_500
const FILES_AT_ONCE = 3
const PARTS: Readonly<Record<string, readonly string[]>> = {
  objects: [PATHS.vault],
  'custody: wraps, labels, audit events': [PATHS.custody, `${PATHS.custody}-wal`, `${PATHS.custody}-shm`],
  'search tokens': [PATHS.index, `${PATHS.index}-wal`, `${PATHS.index}-shm`],
  'fact log': [PATHS.log],
  'ledger and block log': ['ledger'],
  keystore: [PATHS.keystore],
}

/** One organisation's node in a process of its own: start, memory, an import over HTTP, what it leaves on the disk. */
export const figure: Figure = {
  name: 'node',
  title: 'A node in its own process: start, memory, import over HTTP, bytes on disk',
  async run({ dir, ...context }) {
    const dataDir = join(dir, 'data')
    const port = await freePort()
    const barePort = await freePort()
    await salus(
      'node',
      'init',
      '--org',
      ORG,
      '--name',
      'Benchmark',
      '--found',
      'Benchmark',
      '--data-dir',
      dataDir,
    )
    const { files, source } = fhirFiles(context)

    const first = await startNode(dataDir, ORG, port)
    const { adminToken } = JSON.parse(first.output()) as { readonly adminToken: string }
    let resources = 0
    const took = await seconds(async () => {
      resources = await importFiles(first.url, adminToken, files)
    })
    const loaded = first.memory()
    await first.stop()
    const parts = Object.entries(PARTS).map(([name, paths]) => ({
      name,
      bytes: paths.reduce((sum, path) => sum + allocatedBytes(join(dataDir, path)), 0),
    }))
    const total = allocatedBytes(dataDir)
    const texts = resourceTexts(files)
    const plainBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / texts.length

    const idle: number[] = []
    const bareIdle: number[] = []
    const times = await inTurns(
      {
        async node() {
          const child = await startNode(dataDir, ORG, port)
          await pause(SETTLE_MS)
          idle.push(child.memory().rssBytes)
          await child.stop()
          return child.readyMs
        },
        async bare() {
          const child = await startBare(barePort)
          bareIdle.push(child.memory().rssBytes)
          await child.stop()
          return child.readyMs
        },
      },
      { rounds: 3, warmUp: 1 },
    )
    const bare = 'an empty HTTP process'
    const bareMemory = { name: bare, value: median(bareIdle) / MB, unit: 'MB' } as const
    return {
      measurements: [
        measurement('start on the filled directory until /ready', times.node / 1000, 's', {
          reference: { name: bare, value: times.bare / 1000, unit: 's' },
          target: atMost(2),
        }),
        measurement('memory idle after that start', median(idle) / MB, 'MB', {
          reference: bareMemory,
          target: atMost(250),
        }),
        measurement(`memory after ${texts.length} imported entries`, loaded.rssBytes / MB, 'MB', {
          reference: bareMemory,
          target: atMost(600),
        }),
        ...(loaded.peakBytes === undefined
          ? []
          : [measurement('  peak of that process', loaded.peakBytes / MB, 'MB')]),
        measurement('resources imported over HTTP', resources / took, '/s', { target: atLeast(1_000) }),
        measurement('disk per resource, everything, allocated', total / resources, 'B', {
          reference: { name: 'its compact JSON alone', value: plainBytes, unit: 'B' },
          target: atMost(4_096),
        }),
        ...parts.map(({ name, bytes }) => measurement(`  of it ${name}`, bytes / resources, 'B')),
      ],
      notes: [
        `${source}: ${resources} resources stored; one import, ${FILES_AT_ONCE} files at a time`,
        '`salus node start`; memory is the resident set of the whole process with its threads; disk is counted after a clean stop',
      ],
    }
  },
}

/** Resources that the node says it stored. */
async function importFiles(url: string, token: string, files: readonly FhirFile[]): Promise<number> {
  let stored = 0
  const queue = [...files]
  const importer = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const response = await fetch(`${url}/import?name=${encodeURIComponent(file.name)}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/fhir+json' },
        body: file.text,
      })
      const report = (await response.json()) as { readonly versions?: number; readonly detail?: string }
      if (!response.ok) throw new Error(`import of ${file.name}: ${response.status} ${report.detail}`)
      stored += report.versions ?? 0
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, importer))
  return stored
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
