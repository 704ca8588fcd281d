import { join } from 'node:path'
import {
  AppError,
  formatVerifierKey,
  NOTE_COSIGNATURE,
  parseVerifierKey,
  type SigningKey,
  signingKey,
  verifierKey,
} from '@salus/core'
import type { Disk } from '@salus/host'
import { secretFile } from '@salus/host/system'
import { type Command, usage } from '../command.ts'
import { type Io, pathOf, printJson } from '../io.ts'

const KEY_FILE = 'key'
/** Where the witness server keeps what it cosigned. */
const MEMORY = 'state'

export const witness: Command = {
  name: 'witness',
  summary: 'Cosign the checkpoints of logs, each only as an extension of the one before',
  about:
    'Remembers the last checkpoint of every log that it cosigned, durably, before the cosignature leaves; so a log that\nrolls back or shows two histories gets no cosignature. The key is made in DIR/key at the first start (mode 0600):\nprotects a stolen log, not a stolen machine. A witness that lost DIR must start under another name with another key.\nGET / tells its name and key, POST /add-checkpoint is C2SP tlog-witness.',
  flags: {
    dir: { value: 'DIR', doc: 'Its memory and key', required: true },
    name: { value: 'NAME', doc: 'Its name in cosignatures, by custom a host name (default witness.local)' },
    port: { value: 'N', doc: 'Port; 0 takes a free one (default 0)' },
    address: { value: 'ADDRESS', doc: 'Address to listen at (default 127.0.0.1)' },
    log: {
      value: 'ORIGIN=VKEY',
      doc: 'A log that it cosigns, and the key that signs its checkpoints',
      multiple: true,
    },
    'print-key': { doc: 'Print the verifier key, for the genesis of a network, and end' },
  },
  examples: [
    'salus witness --dir /var/lib/witness --name witness.example --print-key',
    "salus witness --dir /var/lib/witness --name witness.example --port 7400 --log 'salus/7d0c…e1/blocks=salus/7d0c…e1/blocks+9f1a2b3c+AY…'",
  ],
  async run(args, io) {
    const dir = pathOf(io, args.text('dir') ?? '')
    const disk = io.disk(dir)
    const name = args.text('name') ?? 'witness.local'
    const port = Number(args.text('port') ?? '0')
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw usage('--port: must be 0 to 65535')
    const logs = args.all('log').map(readLog)
    const key = await openKey(dir, disk, io)
    const isJson = args.is('json')
    if (args.is('print-key')) {
      const vkey = formatVerifierKey(verifierKey(name, key.publicKey, NOTE_COSIGNATURE))
      if (isJson) printJson(io, { ok: true, name, verifierKey: vkey })
      else io.out(`${vkey}\n`)
      return 0
    }
    if (logs.length === 0) throw usage('--log: name at least one log, ORIGIN=VKEY')
    const address = args.text('address')
    const { startWitness } = await import('@salus/node')
    const server = await startWitness({
      disk,
      name,
      key,
      clock: io.clock,
      logs,
      port,
      ...(address === undefined ? {} : { address }),
    })
    const vkey = formatVerifierKey(server.verifierKey)
    if (isJson) printJson(io, { ok: true, url: server.url, name, verifierKey: vkey })
    else
      io.out(
        `witness ${name} at ${server.url}\n  key   ${vkey}\n${logs.map(({ origin }) => `  log   ${origin}\n`).join('')}`,
      )
    await io.stopped()
    await server.close()
    if (!isJson) io.out('stopped\n')
    return 0
  },
}

function readLog(text: string) {
  const at = text.indexOf('=')
  if (at < 1) throw usage('--log: must be ORIGIN=VKEY')
  try {
    return { origin: text.slice(0, at), key: parseVerifierKey(text.slice(at + 1)) }
  } catch (error) {
    throw usage(`--log ${text.slice(0, at)}: ${error instanceof AppError ? error.message : 'malformed key'}`)
  }
}

/** The witness's own key; made where there is neither key nor memory. */
async function openKey(dir: string, disk: Disk, io: Io): Promise<SigningKey> {
  const file = await secretFile({ path: join(dir, KEY_FILE), dataDir: join(dir, MEMORY) })
  const found = await file.read()
  if (found?.openToOthers === true)
    throw new AppError('WITNESS_KEY', `${KEY_FILE}: others may read it; set its mode to 0600`)
  if (found?.bytes.length === 32) return signingKey(found.bytes)
  if (found !== undefined)
    throw new AppError(
      'WITNESS_KEY',
      `${KEY_FILE}: must be 32 bytes; restore it, a damaged key signs nothing`,
    )
  if ((await disk.list(MEMORY)).length > 0)
    throw new AppError(
      'WITNESS_KEY',
      `${KEY_FILE}: is missing beside the memory of a witness; restore it, or start another witness in an empty folder`,
    )
  const made = io.random(32)
  await file.create(made)
  return signingKey(made)
}
