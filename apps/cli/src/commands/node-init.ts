import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { AppError, fromJson, fromUtf8, parseVerifierKey, toHex, toJson, utf8 } from '@salus/core'
import {
  builtinContracts,
  chainIdOf,
  DEFAULT_PARAMS,
  encodeGenesis,
  type MemberForm,
  memberForm,
} from '@salus/ledger'
import { type Command, usage } from '../command.ts'
import { CONFIG_FLAGS, type Config, readConfig } from '../config.ts'
import { CONTRACTS } from '../contracts.ts'
import { type Io, printJson, readFile, writeFile } from '../io.ts'
import { cardPath, rootOf } from '../node-host.ts'

export const nodeInit: Command = {
  name: 'node init',
  summary: 'Make an organisation’s keys and its member card; with --found also a network',
  about:
    'Keys stay in the keystore, sealed under the root key; by default a 0600 file outside the data directory, which\nprotects a stolen data volume, not a stolen machine. The card holds the public halves: give it to whoever founds the\nnetwork, or have the members vote it in. --found makes the genesis, with this organisation as the one that orders.',
  flags: {
    ...CONFIG_FLAGS,
    name: { value: 'NAME', doc: 'Name of the organisation, for people', required: true },
    found: { value: 'NETWORK', doc: 'Found a network of this name and write its genesis' },
    member: { value: 'CARD', doc: 'Card of another first member, with --found', multiple: true },
    witness: { value: 'VKEY@URL', doc: 'A witness of the new network, with --found', multiple: true },
  },
  examples: [
    "salus node init --org st-anna --name 'St Anna' --found 'Region North' --witness 'w.example+1f…+BK…@https://w.example'",
    "salus node init --org st-bonifaz --name 'St Bonifaz' --url https://node.bonifaz.example",
  ],
  async run(args, io) {
    const config = await readConfig(args, io)
    const org = config.need('org')
    const dataDir = config.need('dataDir')
    const url = config.get('url') ?? `http://${config.need('address')}:${config.need('port')}`
    const network = args.text('found')
    const genesisFile = config.need('genesisFile')
    if (network === undefined && (args.all('member').length > 0 || args.all('witness').length > 0))
      throw usage('--member, --witness: belong to --found')
    if (network !== undefined && existsSync(genesisFile))
      throw new AppError(
        'FILE_EXISTS',
        `${genesisFile}: a genesis is there already; a network is founded once`,
      )
    const others: MemberForm[] = []
    for (const file of args.all('member')) others.push(await readCard(io, file))
    const witnesses = args.all('witness').map(readWitness)

    const { initOrganisation, systemHost } = await import('@salus/node')
    const host = await systemHost({ dataDir, root: rootOf(config, io), clock: io.clock, random: io.random })
    let card: MemberForm
    try {
      card = await initOrganisation(host, { org, name: args.text('name') ?? '', url })
    } finally {
      await host.close()
    }
    const cardFile = cardPath(dataDir)
    await writeFile(io, cardFile, utf8(`${JSON.stringify(toJson(memberForm, card), null, 1)}\n`), {
      replace: true,
    })
    const genesis =
      network === undefined
        ? undefined
        : encodeGenesis({
            v: 1,
            name: network,
            timeMs: io.clock.now(),
            engine: 'embedded',
            operator: org,
            members: [card, ...others],
            witnesses,
            params: DEFAULT_PARAMS,
            contracts: [...builtinContracts, ...CONTRACTS].map(({ schema: { name, version } }) => ({
              name,
              version,
            })),
          })
    if (genesis !== undefined) await writeFile(io, genesisFile, genesis)
    const settings = await settingsFile(io, config)
    const genesisId = genesis && toHex(chainIdOf(genesis))
    if (args.is('json'))
      printJson(io, {
        ok: true,
        org,
        card: cardFile,
        dataDir,
        settings,
        ...(genesis === undefined ? {} : { genesisFile, genesisId }),
      })
    else {
      io.out(
        `${org}: keys made in ${dataDir}, root key: ${describeRoot(config)}\n  member card   ${cardFile}\n`,
      )
      if (settings !== undefined) io.out(`  settings      ${settings}\n`)
      if (genesisId !== undefined) io.out(`  genesis       ${genesisFile}\n  genesis id    ${genesisId}\n`)
      else
        io.out(
          `  next: have a network admit the card, put its genesis at ${genesisFile}, then salus node start\n`,
        )
    }
    return 0
  },
}

const describeRoot = (config: Config) =>
  config.need('rootKind') === 'file'
    ? `${config.need('rootFile')} (protects a stolen data volume, not a stolen machine)`
    : 'made from the passphrase'

/** Writes the settings that are not defaults, unless there is a file. */
async function settingsFile(io: Io, { settings }: Config): Promise<string | undefined> {
  const path = join(io.cwd, 'salus.json')
  if (existsSync(path) || settings.some(({ source }) => source.startsWith('file '))) return undefined
  const own = settings.filter(({ source, name }) => source.startsWith('flag') || name === 'dataDir')
  const json = Object.fromEntries(own.map(({ name, value }) => [name, value]))
  await writeFile(io, path, utf8(`${JSON.stringify(json, null, 1)}\n`))
  return path
}

async function readCard(io: Io, file: string): Promise<MemberForm> {
  try {
    return fromJson(memberForm, JSON.parse(fromUtf8(await readFile(io, file, 64 * 1024))))
  } catch (error) {
    if (error instanceof AppError && error.code !== 'SCHEMA') throw error
    throw usage(`--member ${file}: must be a member card, as salus node init writes it`)
  }
}

function readWitness(text: string) {
  const at = text.lastIndexOf('@http')
  const vkey = at < 0 ? text : text.slice(0, at)
  try {
    const { name, publicKey } = parseVerifierKey(vkey)
    return { name, key: publicKey, ...(at < 0 ? {} : { url: text.slice(at + 1) }) }
  } catch (error) {
    throw usage(`--witness: must be VKEY@URL (${error instanceof AppError ? error.message : 'malformed'})`)
  }
}
