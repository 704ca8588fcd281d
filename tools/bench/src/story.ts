import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { assert } from '@salus/core'
import { atMost, type Figure, measurement } from './harness.ts'

interface StoryDocument {
  readonly ok: boolean
  readonly steps: readonly { readonly name: string; readonly ok: boolean; readonly ms: number }[]
  readonly figures: Readonly<Record<string, unknown>>
}

/** A story that has not ended by then hangs. */
const ENDS_WITHIN_MS = 120_000

/** `npm start -- --once --json` on the shipped samples, as anybody would type it. */
export const figure: Figure = {
  name: 'story',
  title: 'The whole story on the shipped samples',
  async run({ repoDir }) {
    const started = performance.now()
    const child = spawn('npm', ['-s', 'start', '--', '--once', '--json'], {
      cwd: repoDir,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what npm starts ends with it.
      detached: true,
    })
    const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid), ENDS_WITHIN_MS)
    const errors: Buffer[] = []
    const output: Buffer[] = []
    child.stdout.on('data', (bytes: Buffer) => output.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => errors.push(bytes))
    const [code] = (await once(child, 'close')) as [number | null]
    clearTimeout(timer)
    const tookS = (performance.now() - started) / 1000
    assert(output.length > 0, `the story did not end: ${Buffer.concat(errors).toString().slice(-500)}`)
    const { ok, steps, figures } = JSON.parse(Buffer.concat(output).toString()) as StoryDocument
    const failed = steps.find((step) => !step.ok)
    if (code !== 0 || !ok) throw new Error(`the story did not end well: step ${failed?.name ?? 'unknown'}`)
    const inSteps = steps.reduce((sum, { ms }) => sum + ms, 0) / 1000
    const slowest = [...steps].sort((x, y) => y.ms - x.ms).slice(0, 4)
    return {
      measurements: [
        measurement('npm start -- --once', tookS, 's', {
          reference: { name: 'its steps alone', value: inSteps, unit: 's' },
          target: atMost(30),
        }),
        ...slowest.map(({ name, ms }) => measurement(`  slowest steps: ${name}`, ms / 1000, 's')),
      ],
      notes: [`${steps.length} steps, ${String(figures['resourcesImported'])} resources; run once`],
    }
  },
}
