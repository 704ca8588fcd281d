import { systemClock, systemDisk, systemNetwork, systemRandom } from '@salus/host/system'
import type { Io } from './io.ts'
import { run } from './run.ts'

export type { Io } from './io.ts'
export { run } from './run.ts'

/** The machine that the program runs on. */
export function systemIo(): Io {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock(),
    random: systemRandom,
    network: systemNetwork(),
    disk: systemDisk,
    stopped: () =>
      new Promise((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
      }),
  }
}

/** Runs the process's own command line. */
export async function main(): Promise<void> {
  // A reader that has seen enough (`salus … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  process.exitCode = await run(process.argv.slice(2), systemIo())
}

if (import.meta.main) await main()
