import { Bench } from 'tinybench'

export type Unit = '/s' | 'ms' | 's' | 'MB' | 'B' | '×' | '%' | ''

/** One number, beside what it is compared with, and what it has to reach. */
export interface Measurement {
  readonly name: string
  readonly value: number
  readonly unit: Unit
  /** Measured in the same run, on the same machine, in turns with the value. */
  readonly reference?: { readonly name: string; readonly value: number; readonly unit: Unit }
  /** Value divided by reference, where both are of one kind. */
  readonly ratio?: number
  readonly target?: Target
}

export interface Target {
  readonly of: 'value' | 'ratio'
  readonly bound: 'at least' | 'at most'
  readonly limit: number
  readonly met: boolean
}

export interface FigureResult {
  readonly measurements: readonly Measurement[]
  /** What a reader must know to read the numbers right: the data used, what is not in them. */
  readonly notes: readonly string[]
}

/** What a figure is given. */
export interface BenchContext {
  /** An empty directory on a real disk, removed afterwards. */
  readonly dir: string
  /** The repository. */
  readonly repoDir: string
  /** Public data sets, which the repository does not ship; may be absent. */
  readonly dataDir: string
}

/** One row, or a few that belong together, of the table. */
export interface Figure {
  readonly name: string
  readonly title: string
  run(context: BenchContext): Promise<FigureResult>
}

export interface MeasurementInput {
  readonly reference?: Measurement['reference']
  readonly target?: Omit<Target, 'met'>
}

/** A measurement with its ratio and verdict worked out. A target of a ratio needs a reference. */
export function measurement(
  name: string,
  value: number,
  unit: Unit,
  { reference, target }: MeasurementInput = {},
): Measurement {
  const ratio = reference === undefined || reference.unit !== unit ? undefined : value / reference.value
  const judged = target?.of === 'ratio' ? ratio : value
  return {
    name,
    value,
    unit,
    ...(reference === undefined ? {} : { reference }),
    ...(ratio === undefined ? {} : { ratio }),
    ...(target === undefined || judged === undefined
      ? {}
      : {
          target: {
            ...target,
            met: target.bound === 'at least' ? judged >= target.limit : judged <= target.limit,
          },
        }),
  }
}

export const atLeast = (limit: number, of: Target['of'] = 'value'): Omit<Target, 'met'> => ({
  of,
  bound: 'at least',
  limit,
})

export const atMost = (limit: number, of: Target['of'] = 'value'): Omit<Target, 'met'> => ({
  of,
  bound: 'at most',
  limit,
})

/**
 * Runs subjects in turns, `warmUp` rounds for nothing and then `rounds` that count, and gives each subject's median.
 * In turns, because a machine slows and hurries: both sides of a ratio then see the same of it.
 */
export async function inTurns<Name extends string>(
  subjects: Readonly<Record<Name, (round: number) => Promise<number>>>,
  { rounds = 3, warmUp = 1 }: { readonly rounds?: number; readonly warmUp?: number } = {},
): Promise<Readonly<Record<Name, number>>> {
  const names = Object.keys(subjects) as Name[]
  const values = new Map<Name, number[]>(names.map((name) => [name, []]))
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const name of names) {
      const value = await subjects[name](round)
      if (round >= 0) values.get(name)?.push(value)
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(values.get(name) ?? [])])) as Record<
    Name,
    number
  >
}

/** Median time of one operation, ms, over at least half a second after a warm-up. An operation that throws ends the run. */
export async function operationMs(
  operations: Readonly<Record<string, () => unknown>>,
  { timeMs = 500 }: { readonly timeMs?: number } = {},
): Promise<ReadonlyMap<string, number>> {
  const bench = new Bench({ time: timeMs, warmupTime: timeMs / 4, throws: true })
  for (const [name, operation] of Object.entries(operations))
    bench.add(name, async () => {
      await operation()
    })
  await bench.run()
  return new Map(
    bench.tasks.map(({ name, result }) => {
      if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`)
      return [name, result.latency.p50]
    }),
  )
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
