import { type AppError, toBase64url } from '@salus/core'
import {
  type Body,
  builtinContracts,
  type CallDescriptor,
  describeContracts,
  encodeBody,
  signBody,
} from '@salus/ledger'
import { execute, genesisOf, head } from '@salus/sdk'
import { type Args, type Command, type Flags, usage } from '../command.ts'
import { CONTRACTS } from '../contracts.ts'
import { fieldFlags, readBytes, readFields } from '../fields.ts'
import { readGenesisId } from '../genesis-id.ts'
import { type Io, printJson } from '../io.ts'
import { readKeyFile } from '../key-file.ts'
import { NODE_FLAGS, nodeOf } from '../node-flags.ts'

/** A body may run for ten minutes of ledger time; half of that leaves room for clocks. */
const LIFE_MS = 5 * 60_000

export const call: Command = {
  name: 'call',
  summary: 'Build, sign and send a call of a contract on the ledger',
  positionals: 'CONTRACT CALL',
  positionalsMax: 2,
  about:
    'The fields of each call are its flags: salus call CONTRACT CALL --help lists them. Without --key the body is built\nfor the public keys named and not signed; with --key it is signed, with --send also handed to the node and followed\nuntil it is final.',
  flags: {
    key: {
      value: 'FILE',
      doc: 'Sign with this key file, in this order (salus key new makes one)',
      multiple: true,
    },
    public: { value: 'KEY', doc: 'Build for this public key, unsigned', multiple: true },
    genesis: { value: 'ID', doc: 'Genesis id of the network; asked of the node where it is left out' },
    'until-ms': { value: 'MS', doc: 'Last ledger time at which it may run (default: five minutes from now)' },
    send: { doc: 'Hand it to the node and wait until it is final' },
    ...NODE_FLAGS,
  },
  examples: [
    'salus call consent revoke --help',
    'salus call consent revoke --g 9a0b…41 --key grant.key --node https://node.example --send',
    'salus call governance vote --p 01…ef --yes true --public 77…aa --genesis 7d0c…e1',
  ],
  moreFlags: async (argv) => {
    const found = findCall(argv)
    return found === undefined ? {} : safe(fieldFlags(found.input))
  },
  async run(args, io) {
    const found = findCall(args.positionals)
    if (found === undefined) throw unknown(args.positionals)
    const fields = readFields(found.input, args) as Body['args']
    const files = args.all('key')
    const publics = args.all('public').map((text) => readBytes('--public', text, 32, 33))
    if ((files.length === 0) === (publics.length === 0))
      throw usage('--key or --public: name the keys that sign, one way or the other')
    const chainId = await chainOf(args, io)
    const untilMs = await untilOf(args, io)
    if (files.length === 0) {
      const nonce = io.random(16)
      const { call: name } = found
      const body = encodeBody({
        v: 1,
        chain: chainId,
        call: name,
        args: fields,
        nonce,
        until: untilMs,
        keys: publics,
      })
      return print(args, io, { call: name, untilMs, body: toBase64url(body) })
    }
    const keys = await Promise.all(files.map((file) => readKeyFile(io, file)))
    const signed = signBody({ chainId, call: found.call, args: fields, untilMs, keys, random: io.random })
    const shown = {
      call: found.call,
      untilMs,
      txId: toBase64url(signed.txId),
      body: toBase64url(signed.body),
      auth: signed.auth.map((sig) => (sig instanceof Uint8Array ? toBase64url(sig) : '')),
    }
    if (!args.is('send')) return print(args, io, shown)
    const { height, index } = await execute(nodeOf(args, io), signed)
    return print(args, io, { ...shown, state: 'final', height, index })
  },
}

function findCall([contract, name]: readonly string[]): CallDescriptor | undefined {
  return described()
    .find((one) => one.name === contract)
    ?.calls.find((one) => one.name === name)
}

function described() {
  return describeContracts([...builtinContracts, ...CONTRACTS])
}

function unknown([contract, name]: readonly string[]): AppError {
  const all = described()
  const found = all.find((one) => one.name === contract)
  if (contract === undefined)
    return usage(`CONTRACT: must be one of ${all.map((one) => one.name).join(', ')}`)
  if (found === undefined)
    return usage(
      `CONTRACT “${contract}”: there is none of that name; there are ${all.map((one) => one.name).join(', ')}`,
    )
  const calls = found.calls.map((one) => one.name).join(', ')
  return usage(`CALL${name === undefined ? '' : ` “${name}”`}: ${contract} has ${calls}`)
}

/** Fields never take the place of the command's own flags. */
function safe(fields: Flags): Flags {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !Object.hasOwn(call.flags, name)))
}

async function chainOf(args: Args, io: Io): Promise<Uint8Array> {
  const genesis = args.text('genesis') ?? io.env['SALUS_GENESIS']
  if (genesis !== undefined) return readGenesisId(genesis)
  const { chainIdOf } = await import('@salus/ledger')
  return chainIdOf(await genesisOf(nodeOf(args, io)))
}

async function untilOf(args: Args, io: Io): Promise<number> {
  const text = args.text('until-ms')
  if (text !== undefined) {
    if (!/^\d{1,15}$/.test(text)) throw usage('--until-ms: must be milliseconds since 1970 UTC')
    return Number(text)
  }
  const hasNode = (args.text('node') ?? io.env['SALUS_NODE']) !== undefined
  const nowMs = hasNode ? Math.max((await head(nodeOf(args, io))).timeMs, io.clock.now()) : io.clock.now()
  return nowMs + LIFE_MS
}

function print(args: Args, io: Io, shown: Readonly<Record<string, unknown>>): number {
  if (args.is('json')) printJson(io, { ok: true, ...shown })
  else
    for (const [name, value] of Object.entries(shown))
      io.out(`${name.padEnd(8)}${Array.isArray(value) ? value.join(' ') : String(value)}\n`)
  return 0
}
