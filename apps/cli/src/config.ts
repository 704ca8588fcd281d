import { dirname, join, resolve } from 'node:path'
import { AppError, fromUtf8 } from '@salus/core'
import { type Args, type Flags, usage } from './command.ts'
import { type Io, pathOf, readFile } from './io.ts'

/** One setting of a node: the same row reads file, environment and flag, and documents all three. */
interface Setting {
  /** Member of the file; `SALUS_…` and `--…` follow from it. */
  readonly name: string
  readonly doc: string
  readonly value: string
  readonly values?: readonly string[]
  /** A path: relative to the file it stands in, or to the working directory. */
  readonly isPath?: true
  readonly isNumber?: { readonly max: number }
  readonly fallback?: (others: (name: string) => string | undefined) => string | undefined
}

const SETTINGS: readonly Setting[] = [
  { name: 'org', doc: 'Organisation id: a–z, 0–9 and inner dashes', value: 'ORG' },
  {
    name: 'dataDir',
    doc: 'Directory of all stores',
    value: 'DIR',
    isPath: true,
    fallback: () => 'salus-data',
  },
  {
    name: 'genesisFile',
    doc: 'File with the genesis of the network',
    value: 'FILE',
    isPath: true,
    fallback: (other) => join(dirname(other('dataDir') ?? ''), 'genesis.cbor'),
  },
  { name: 'address', doc: 'Address to listen at', value: 'ADDRESS', fallback: () => '127.0.0.1' },
  {
    name: 'port',
    doc: 'Port; 0 takes a free one',
    value: 'N',
    isNumber: { max: 65_535 },
    fallback: () => '8440',
  },
  { name: 'url', doc: 'Address that others reach the node by', value: 'URL' },
  {
    name: 'rootKind',
    doc: 'Where the root key comes from',
    value: 'KIND',
    values: ['file', 'passphrase'],
    fallback: () => 'file',
  },
  {
    name: 'rootFile',
    doc: 'File of the root key, outside the data directory',
    value: 'FILE',
    isPath: true,
    fallback: (other) => `${other('dataDir')}-keys/root`,
  },
  {
    name: 'allowRoot',
    doc: 'Serve a network with a root key that does not protect the machine: its kind, by name',
    value: 'KIND',
    values: ['file'],
  },
  { name: 'jurisdiction', doc: 'Place whose retention table decides what the law keeps', value: 'PLACE' },
  {
    name: 'batchWindowMs',
    doc: 'How long the operator waits for company before it makes a block',
    value: 'MS',
    isNumber: { max: 60_000 },
  },
  { name: 'threads', doc: 'Worker threads', value: 'N', isNumber: { max: 64 }, fallback: () => '2' },
]

const kebab = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
const envName = (name: string) => `SALUS_${kebab(name).replaceAll('-', '_').toUpperCase()}`

/** Flags of every setting, and `--config`. */
export const CONFIG_FLAGS: Flags = {
  config: { value: 'FILE', doc: 'Settings as JSON (default: salus.json, if it is there)' },
  ...Object.fromEntries(
    SETTINGS.map(({ name, doc, value, values, fallback }) => {
      const given = fallback?.((other) => (other === 'dataDir' ? 'DATA-DIR' : undefined))
      return [
        kebab(name),
        {
          doc: `${doc} (also ${envName(name)}${given === undefined ? '' : `; default ${given}`})`,
          value,
          ...(values === undefined ? {} : { values }),
        },
      ]
    }),
  ),
}

export interface EffectiveSetting {
  readonly name: string
  readonly value: string
  /** `flag --port`, `environment SALUS_PORT`, `file salus.json`, `default`. */
  readonly source: string
}

/** What a node would run with, and where each setting comes from. */
export interface Config {
  readonly settings: readonly EffectiveSetting[]
  get(name: string): string | undefined
  /** The setting. Throws AppError `USAGE` naming flag, variable and member when nothing sets it. */
  need(name: string): string
}

/**
 * Flags before environment, environment before file, file before defaults. Secrets are no settings: the passphrase
 * comes from `SALUS_PASSPHRASE` alone and is never shown. Throws AppError `CONFIG` naming the member.
 */
export async function readConfig(args: Args, io: Io): Promise<Config> {
  const file = await readSettingsFile(args.text('config'), io)
  const found = new Map<string, EffectiveSetting>()
  const value = (name: string) => found.get(name)?.value
  for (const setting of SETTINGS) {
    const { name, isPath, fallback } = setting
    const sources: readonly (readonly [string | undefined, string, string])[] = [
      [args.text(kebab(name)), `flag --${kebab(name)}`, io.cwd],
      [io.env[envName(name)], `environment ${envName(name)}`, io.cwd],
      [file.values[name], `file ${file.path}`, dirname(pathOf(io, file.path))],
      [fallback?.(value), 'default', io.cwd],
    ]
    for (const [text, source, base] of sources) {
      if (text === undefined) continue
      check(setting, text, source)
      found.set(name, { name, value: isPath === true ? resolve(base, text) : text, source })
      break
    }
  }
  return {
    settings: [...found.values()],
    get: value,
    need(name) {
      const text = value(name)
      if (text === undefined)
        throw usage(`--${kebab(name)}: is needed (or ${envName(name)}, or “${name}” in ${file.path})`)
      return text
    },
  }
}

function check({ name, values, isNumber }: Setting, text: string, source: string): void {
  const wrong = (rule: string) => new AppError('CONFIG', `${name} (${source}): ${rule}`)
  if (values !== undefined && !values.includes(text)) throw wrong(`must be one of ${values.join(', ')}`)
  if (isNumber !== undefined && (!/^\d{1,9}$/.test(text) || Number(text) > isNumber.max))
    throw wrong(`must be a whole number up to ${isNumber.max}`)
}

const FILE_MAX_BYTES = 64 * 1024

async function readSettingsFile(
  named: string | undefined,
  io: Io,
): Promise<{ readonly path: string; readonly values: Readonly<Record<string, string>> }> {
  const path = named ?? io.env['SALUS_CONFIG'] ?? 'salus.json'
  const isAsked = named !== undefined || io.env['SALUS_CONFIG'] !== undefined
  let bytes: Uint8Array
  try {
    bytes = await readFile(io, path, FILE_MAX_BYTES)
  } catch (error) {
    if (!isAsked && error instanceof AppError && error.code === 'FILE_NOT_FOUND') return { path, values: {} }
    throw error
  }
  let json: unknown
  try {
    json = JSON.parse(fromUtf8(bytes))
  } catch {
    throw new AppError('CONFIG', `${path}: must be a JSON object`)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new AppError('CONFIG', `${path}: must be a JSON object`)
  const known = SETTINGS.map(({ name }) => name)
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(json)) {
    if (!known.includes(name))
      throw new AppError('CONFIG', `${path}: “${name}” is no setting; there are ${known.join(', ')}`)
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new AppError('CONFIG', `${path}: “${name}” must be a text or a number`)
    values[name] = String(value)
  }
  return { path, values }
}
