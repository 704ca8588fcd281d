import { AppError, toHex } from '@salus/core'
import { checkServing, openRoot } from '@salus/keys/organisation'
import { chainIdOf, decodeGenesis } from '@salus/ledger'
import type { NodeHost } from '@salus/node'
import { type Command, usage } from '../command.ts'
import { CONFIG_FLAGS, type Config, readConfig } from '../config.ts'
import { type Io, printJson, readFile } from '../io.ts'
import { isLoopback, rootOf } from '../node-host.ts'

/** The first admin's session; she adds people with sessions of their own. */
const ADMIN_SESSION_MS = 30 * 86_400_000

export const nodeStart: Command = {
  name: 'node start',
  summary: 'Run one organisation’s node until it is asked to stop',
  about:
    'At the first start it makes an admin session and prints its token once: with it people are added (POST /staff). The\nnode refuses to serve a network with a root key in a file, unless --allow-root file says so. SIGTERM lets what is\nunder way finish.',
  flags: { ...CONFIG_FLAGS, quiet: { doc: 'No access lines on standard error' } },
  examples: [
    'salus node start',
    'salus node start --config /etc/salus.json',
    'salus node start --org st-anna --data-dir ./anna --port 8440',
  ],
  async run(args, io) {
    const config = await readConfig(args, io)
    const org = config.need('org')
    const dataDir = config.need('dataDir')
    const genesis = await genesisOf(config, io)
    const { SalusNode, systemHost, PATHS } = await import('@salus/node')
    const host = await systemHost({
      dataDir,
      root: rootOf(config, io),
      clock: io.clock,
      random: io.random,
      threads: Math.max(1, Number(config.need('threads'))),
    })
    try {
      await checkRoot(config, genesis, { ...host, path: PATHS.keystore })
      const batchWindowMs = config.get('batchWindowMs')
      const url = config.get('url')
      const jurisdiction = config.get('jurisdiction')
      const isQuiet = args.is('quiet') || args.is('json')
      const node = await SalusNode.open({
        config: {
          org,
          genesis,
          address: config.need('address'),
          port: Number(config.need('port')),
          ...(url === undefined ? {} : { url }),
          ...(batchWindowMs === undefined ? {} : { batchWindowMs: Number(batchWindowMs) }),
          ...(jurisdiction === undefined ? {} : { jurisdiction }),
        },
        host,
        // No query, no id, no body: an access line cannot hold health data.
        onAccess: ({ method, route, status, ms, code, requestId }) => {
          if (!isQuiet) io.err(`${method} ${route} ${status} ${ms} ms ${code ?? ''} ${requestId}\n`)
        },
        onBug: (error, requestId) =>
          io.err(`BUG in request ${requestId}: ${error instanceof Error ? error.name : 'unknown'}\n`),
      })
      try {
        const admin = firstAdmin(node)
        const genesisId = toHex(chainIdOf(genesis))
        if (args.is('json')) printJson(io, { ok: true, org, url: node.url, genesisId, ...admin })
        else {
          io.out(
            `${org} at ${node.url}\n  genesis id    ${genesisId}\n  health        ${node.url}/health\n  interface     ${node.url}/openapi.json\n  FHIR          ${node.url}/fhir\n`,
          )
          if (admin !== undefined) io.out(`  admin token   ${admin.adminToken}  (shown this once)\n`)
        }
        await io.stopped()
      } finally {
        await node.close()
      }
    } finally {
      await host.close()
    }
    if (!args.is('json')) io.out('stopped\n')
    return 0
  },
}

function firstAdmin(node: {
  identity: { staff: { addFirstAdmin(name: string, lifetimeMs: number): { readonly token: string } } }
}): { readonly adminToken: string } | undefined {
  try {
    return { adminToken: node.identity.staff.addFirstAdmin('Administrator', ADMIN_SESSION_MS).token }
  } catch (error) {
    if (error instanceof AppError && error.code === 'CONFLICT') return undefined
    throw error
  }
}

async function genesisOf(config: Config, io: Io): Promise<Uint8Array> {
  const file = config.need('genesisFile')
  try {
    const genesis = await readFile(io, file, 512 * 1024)
    decodeGenesis(genesis)
    return genesis
  } catch (error) {
    if (error instanceof AppError && error.code === 'FILE_NOT_FOUND')
      throw usage(
        `--genesis-file: ${file} is not there; found a network with salus node init --found, or put its genesis there`,
      )
    throw error
  }
}

/** Opens the root key to see whether it may serve: nothing is served with a weaker one than was agreed to. */
async function checkRoot(
  config: Config,
  genesis: Uint8Array,
  parts: Pick<NodeHost, 'disk' | 'random' | 'root'> & { readonly path: string },
): Promise<void> {
  const { disk, path, random, root: choice } = parts
  const root = await openRoot({ choice, disk, path, random })
  try {
    checkServing(root, {
      loopbackOnly: isLoopback(config.need('address')),
      consortium: decodeGenesis(genesis).members.length > 1,
      allowed: config.get('allowRoot') === 'file' ? ['file'] : [],
    })
  } finally {
    root.close()
  }
}
