import { type Clock, type Disk, memoryNetwork, type Network, seededRandom } from '@salus/host'
import { systemClock, systemDisk } from '@salus/host/system'
import { type Io, run } from '../src/main.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface World {
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly clock?: Clock
  readonly network?: Network
  readonly disk?: (folder: string) => Disk
  readonly stopped?: Promise<void>
}

/** Runs a command line in this process and returns what a terminal would have shown. */
export async function salus(argv: readonly string[], world: World = {}): Promise<Ran> {
  let out = ''
  let err = ''
  const io: Io = {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    env: world.env ?? {},
    cwd: world.cwd ?? process.cwd(),
    clock: world.clock ?? systemClock(),
    random: seededRandom('cli'),
    network: world.network ?? memoryNetwork(),
    disk: world.disk ?? systemDisk,
    stopped: () => world.stopped ?? Promise.resolve(),
  }
  const code = await run(argv, io)
  return { code, out, err }
}
