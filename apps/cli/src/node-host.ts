import { join } from 'node:path'
import { AppError } from '@salus/core'
import type { systemHost } from '@salus/node'
import type { Config } from './config.ts'
import type { Io } from './io.ts'

/** Where the root key of a node comes from. Throws AppError `CONFIG` when the passphrase is not set. */
export function rootOf(config: Config, io: Io): Parameters<typeof systemHost>[0]['root'] {
  if (config.need('rootKind') === 'file') return { kind: 'file', path: config.need('rootFile') }
  const passphrase = io.env['SALUS_PASSPHRASE']
  if (passphrase === undefined)
    throw new AppError('CONFIG', 'rootKind passphrase: set SALUS_PASSPHRASE; it is taken from nowhere else')
  return { kind: 'passphrase', passphrase }
}

/** Whether an address is reached from this machine alone. */
export const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)

/** Card of an organisation beside its data directory. */
export const cardPath = (dataDir: string): string =>
  join(dataDir, '..', `${dataDir.split('/').at(-1) ?? 'salus'}.card.json`)
