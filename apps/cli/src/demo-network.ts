import { AppError } from '@salus/core'
import type { Genesis } from '@salus/ledger'

/** Networks of this name are demonstrations: their clock may be moved, and they hold nobody's data. */
export const DEMO_NETWORK_NAME = 'Salus demonstration'

export const isDemo = ({ name }: Pick<Genesis, 'name'>): boolean => name === DEMO_NETWORK_NAME

/**
 * The time to judge by: the machine's, or `--now` where the network is a demonstration. Throws AppError `USAGE` for a
 * malformed time, `NOT_A_DEMO` for any other network: there a clock given by hand would hide what is stale.
 */
export function judgedNow(
  nowFlag: string | undefined,
  genesis: Pick<Genesis, 'name'> | undefined,
  machineMs: number,
): number {
  if (nowFlag === undefined) return machineMs
  if (!/^\d{1,15}$/.test(nowFlag)) throw new AppError('USAGE', '--now: must be milliseconds since 1970 UTC')
  if (genesis === undefined || !isDemo(genesis))
    throw new AppError('NOT_A_DEMO', '--now: is taken for demonstration networks only; leave it out')
  return Number(nowFlag)
}
