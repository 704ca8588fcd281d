import {
  AppError,
  formatVerifierKey,
  fromBase64url,
  fromJson,
  fromUtf8,
  sha256,
  toHex,
  verifierKey,
} from '@salus/core'
import { chainIdOf, memberForm } from '@salus/ledger'
import { blockLogOrigin, cosignerKey, factLogOrigin } from '@salus/log'
import { connect, genesisOf, sendForJson } from '@salus/sdk'
import { type Command, usage } from '../command.ts'
import { readGenesisId } from '../genesis-id.ts'
import { type Io, printJson, readFile } from '../io.ts'
import { readKeyFile } from '../key-file.ts'

interface Shown {
  readonly of: string
  readonly keys: Readonly<Record<string, string>>
}

export const keyShow: Command = {
  name: 'key show',
  summary: 'Show the public keys in a member card or key file, or of a running node',
  positionals: 'FILE|URL',
  positionalsMax: 1,
  about:
    'Prints public halves only. For an organisation also the verifier keys under which its logs and cosignatures are\nchecked, as salus log verify and salus witness take them; they need the genesis id.',
  flags: { genesis: { value: 'ID', doc: 'Genesis id, for the verifier keys of a member card' } },
  examples: [
    'salus key show card.json --genesis 7d0c…e1',
    'salus key show https://node.example',
    'salus key show grant.key',
  ],
  async run(args, io) {
    const [source] = args.positionals
    if (source === undefined) throw usage('FILE|URL: name a member card, a key file or a node')
    const genesis = args.text('genesis') ?? io.env['SALUS_GENESIS']
    const chainId = genesis === undefined ? undefined : readGenesisId(genesis)
    const shown = /^https?:\/\//.test(source) ? await ofNode(io, source) : await ofFile(io, source, chainId)
    if (args.is('json')) printJson(io, { ok: true, ...shown })
    else {
      io.out(`${shown.of}\n`)
      for (const [name, key] of Object.entries(shown.keys)) io.out(`  ${name.padEnd(16)}${key}\n`)
    }
    return 0
  },
}

async function ofNode(io: Io, url: string): Promise<Shown> {
  const node = connect({ url, network: io.network })
  const card = (await sendForJson(node, 'GET', '/organisation')) as Record<string, unknown>
  const part = (name: string) => fromBase64url(String(card[name] ?? ''))
  const org = String(card['org'] ?? '')
  return keysOf(
    { org, sign: part('sign'), seal: part('seal'), log: part('log') },
    chainIdOf(await genesisOf(node)),
  )
}

async function ofFile(io: Io, file: string, chainId: Uint8Array | undefined): Promise<Shown> {
  const bytes = await readFile(io, file, 64 * 1024)
  if (fromUtf8(bytes.subarray(0, 10)) === 'salus-key ') {
    const { publicKey } = await readKeyFile(io, file)
    return { of: file, keys: { public: toHex(publicKey) } }
  }
  let json: unknown
  try {
    json = JSON.parse(fromUtf8(bytes))
  } catch {
    throw new AppError('KEY_FILE', `${file}: is neither a member card nor a key file`)
  }
  return keysOf(fromJson(memberForm, json), chainId)
}

function keysOf(
  { org, sign, seal, log }: { org: string; sign: Uint8Array; seal: Uint8Array; log: Uint8Array },
  chainId: Uint8Array | undefined,
): Shown {
  const vkeys =
    chainId === undefined
      ? {}
      : {
          'fact log': formatVerifierKey(verifierKey(factLogOrigin(chainId, org), log)),
          'block log': formatVerifierKey(verifierKey(blockLogOrigin(chainId), log)),
        }
  return {
    of: org,
    keys: {
      sign: toHex(sign),
      log: toHex(log),
      // The key itself is 1,216 bytes; its hash is enough to compare by eye.
      'seal (SHA-256)': toHex(sha256(seal)),
      cosigner: formatVerifierKey(cosignerKey(org, log)),
      ...vkeys,
    },
  }
}
