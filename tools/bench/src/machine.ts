import { statfsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem, type } from 'node:os'

/** Where the numbers come from; no number means anything without it. */
export interface Machine {
  /** When the run began, UTC. */
  readonly time: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  readonly openssl: string
  /** File system under the benchmark's directory. */
  readonly disk: string
  /** Processes that wanted a core in the minute before: what is not close to 0 disturbs the numbers. */
  readonly loadBefore: number
}

// Linux's magic numbers (statfs(2)).
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  1481003842: 'xfs',
  2435016766: 'btrfs',
}

export function machine(dir: string): Machine {
  const { type: magic } = statfsSync(dir)
  return {
    time: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${process.arch}`,
    node: process.version,
    openssl: process.versions.openssl ?? 'none',
    disk: FILE_SYSTEMS[magic] ?? `0x${magic.toString(16)}`,
    loadBefore: loadavg()[0] ?? 0,
  }
}
