import type { Figure, FigureResult, Measurement, Unit } from './harness.ts'
import type { Machine } from './machine.ts'

/** A figure that was run, or could not be. */
export interface Ran {
  readonly figure: Pick<Figure, 'name' | 'title'>
  readonly result?: FigureResult
  readonly error?: string
}

/** Names of measurements that missed their target, and of figures that did not run. */
export function misses(ran: readonly Ran[]): string[] {
  return ran.flatMap(({ figure, result, error }) =>
    result === undefined
      ? [`${figure.name}: ${error ?? 'did not run'}`]
      : result.measurements
          .filter(({ target }) => target?.met === false)
          .map(({ name, ...one }) => `${figure.name}: ${name} ${judged(one)}, must be ${bound(one)}`),
  )
}

export function machineLine(machine: Machine): string {
  const { time, cpu, cores, memoryGb, system, node, openssl, disk, loadBefore } = machine
  return `${time.slice(0, 16)}Z, ${cpu}, ${cores} cores, ${memoryGb} GB, ${system}, ${disk}, Node ${node}, OpenSSL ${openssl}, load before ${loadBefore.toFixed(1)}`
}

/** The figure's rows and notes, columns aligned. */
export function figureLines({ figure, result, error }: Ran): string[] {
  if (result === undefined) return [`${figure.title}  [${figure.name}]`, `  did not run: ${error ?? ''}`]
  const rows = result.measurements.map((one) => [
    one.name,
    quantity(one.value, one.unit),
    one.reference === undefined
      ? ''
      : `${one.reference.name} ${quantity(one.reference.value, one.reference.unit)}`,
    one.ratio === undefined ? '' : `${digits(one.ratio)}×`,
    one.target === undefined ? '' : bound(one),
    one.target === undefined ? '' : one.target.met ? 'met' : 'MISSED',
  ])
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, at) => Math.max(cell.length, widest[at] ?? 0)),
    [],
  )
  return [
    `${figure.title}  [${figure.name}]`,
    ...rows.map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd()),
    ...result.notes.map((note) => `  · ${note}`),
  ]
}

function bound({ target, unit }: Pick<Measurement, 'target' | 'unit'>): string {
  if (target === undefined) return ''
  const sign = target.bound === 'at least' ? '≥' : '≤'
  return target.of === 'ratio'
    ? `${sign} ${digits(target.limit)}×`
    : `${sign} ${quantity(target.limit, unit)}`
}

function judged({
  target,
  value,
  ratio,
  unit,
}: Pick<Measurement, 'target' | 'value' | 'ratio' | 'unit'>): string {
  return target?.of === 'ratio' ? `${digits(ratio ?? Number.NaN)}×` : quantity(value, unit)
}

function quantity(value: number, unit: Unit): string {
  const space = unit === '' || unit === '/s' || unit === '×' ? '' : ' '
  return `${digits(value)}${space}${unit}`
}

/** Three significant digits, thousands grouped: more would claim what a shared machine cannot give. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return '–'
  return new Intl.NumberFormat('en', {
    maximumSignificantDigits: Math.abs(value) >= 1000 ? 15 : 3,
    maximumFractionDigits: 2,
  }).format(Math.abs(value) >= 1000 ? Math.round(value) : value)
}
