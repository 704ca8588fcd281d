import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { signingKey, toHex, verifierKey } from '@salus/core'
import { type AdjustableClock, shiftedClock } from '@salus/host'
import { systemClock, systemDisk, systemRandom } from '@salus/host/system'
import { builtinContracts, chainIdOf, DEFAULT_PARAMS, encodeGenesis, type Genesis } from '@salus/ledger'
import { blockLogOrigin } from '@salus/log'
import {
  CONTRACTS,
  initOrganisation,
  type NodeHost,
  type NodeOptions,
  SalusNode,
  startWitness,
  systemHost,
  type WitnessServer,
} from '@salus/node'

/** What a small network on this machine is made of. */
export interface ConstellationOptions {
  /** Everything is kept below it; keys that open it beside it, in `<dir>-keys`. */
  readonly dir: string
  /** Organisations of the genesis: the first one orders. */
  readonly members: readonly { readonly org: string; readonly name: string }[]
  /** Others that get a node later, by vote. */
  readonly guests?: readonly { readonly org: string; readonly name: string }[]
  /** First port; others follow. Free ports when left out. */
  readonly port?: number
  readonly onBug?: NodeOptions['onBug']
  /** Every line of every node's access log. */
  readonly onAccess?: NonNullable<NodeOptions['onAccess']>
  /** Network parameters in place of the defaults. */
  readonly params?: Partial<Genesis['params']>
  /** Puts something between a node and its machine: a disk that fills up, a network that is cut. */
  readonly adapt?: (org: string, host: NodeHost) => NodeHost
}

/** Marks a network whose time may be moved; tools take `--now` for no other. */
export const DEMO_NAME = 'Salus demonstration'

/** A network of a few organisations and a witness in one process, on real disks and loopback ports. */
export class Constellation {
  readonly dir: string
  readonly clock: AdjustableClock
  readonly genesis: Uint8Array
  readonly genesisId: string
  readonly witness: WitnessServer
  readonly #options: ConstellationOptions
  readonly #ports: ReadonlyMap<string, number>
  readonly #nodes = new Map<string, { node: SalusNode; closeHost: () => Promise<void> }>()

  private constructor(fields: {
    readonly options: ConstellationOptions
    readonly clock: AdjustableClock
    readonly genesis: Uint8Array
    readonly witness: WitnessServer
    readonly ports: ReadonlyMap<string, number>
  }) {
    this.#options = fields.options
    this.dir = fields.options.dir
    this.clock = fields.clock
    this.genesis = fields.genesis
    this.genesisId = toHex(chainIdOf(fields.genesis))
    this.witness = fields.witness
    this.#ports = fields.ports
  }

  /** Makes every organisation's keys, the genesis from their cards, and starts witness and members. */
  static async start(options: ConstellationOptions): Promise<Constellation> {
    const clock = shiftedClock(systemClock())
    const everyone = [...options.members, ...(options.guests ?? [])]
    const ports = await choosePorts([...everyone.map(({ org }) => org), 'witness'], options.port)
    const cards = []
    for (const { org, name } of options.members) {
      const host = await systemHost({ ...paths(options.dir, org), clock })
      cards.push(await initOrganisation(host, { org, name, url: urlOf(ports, org) }))
      await host.close()
    }
    const witnessKey = signingKey(systemRandom(32))
    const genesis = encodeGenesis({
      v: 1,
      name: DEMO_NAME,
      timeMs: clock.now() - 1,
      engine: 'embedded',
      operator: options.members[0]?.org ?? '',
      members: cards,
      witnesses: [{ name: 'witness', key: witnessKey.publicKey, url: urlOf(ports, 'witness') }],
      params: { ...DEFAULT_PARAMS, ...options.params },
      contracts: [...builtinContracts, ...CONTRACTS].map(({ schema }) => ({
        name: schema.name,
        version: schema.version,
      })),
    } satisfies Genesis)
    mkdirSync(options.dir, { recursive: true })
    writeFileSync(join(options.dir, 'genesis.cbor'), genesis)
    const operator = cards[0]
    const witness = await startWitness({
      disk: systemDisk(join(options.dir, 'witness')),
      name: 'witness',
      key: witnessKey,
      logs:
        operator === undefined
          ? []
          : [blockLogOrigin(chainIdOf(genesis))].map((origin) => ({
              origin,
              key: verifierKey(origin, operator.log),
            })),
      clock,
      port: ports.get('witness') ?? 0,
    })
    const constellation = new Constellation({ options, clock, genesis, witness, ports })
    for (const { org } of options.members) await constellation.startNode(org)
    return constellation
  }

  node(org: string): SalusNode {
    const running = this.#nodes.get(org)
    if (running === undefined) throw new Error(`${org} is not running`)
    return running.node
  }

  urlOf(org: string): string {
    return urlOf(this.#ports, org)
  }

  dataDir(org: string): string {
    return paths(this.dir, org).dataDir
  }

  /** A member card for an organisation that is not yet one. */
  async card(org: string) {
    const name = this.#options.guests?.find((guest) => guest.org === org)?.name ?? org
    const host = await systemHost({ ...paths(this.dir, org), clock: this.clock })
    try {
      return await initOrganisation(host, { org, name, url: this.urlOf(org) })
    } finally {
      await host.close()
    }
  }

  async startNode(org: string): Promise<SalusNode> {
    const host = await systemHost({ ...paths(this.dir, org), clock: this.clock })
    const { onBug, onAccess, adapt } = this.#options
    const node = await SalusNode.open({
      config: {
        org,
        genesis: this.genesis,
        address: '127.0.0.1',
        port: this.#ports.get(org) ?? 0,
        url: this.urlOf(org),
      },
      host: adapt === undefined ? host : adapt(org, host),
      ...(onBug === undefined ? {} : { onBug }),
      ...(onAccess === undefined ? {} : { onAccess }),
    })
    this.#nodes.set(org, { node, closeHost: () => host.close() })
    return node
  }

  async stopNode(org: string): Promise<void> {
    const running = this.#nodes.get(org)
    if (running === undefined) return
    this.#nodes.delete(org)
    await running.node.close()
    await running.closeHost()
  }

  /** Moves time on; due timers fire in their order. The next heartbeat carries the new time. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    const operator = this.#options.members[0]?.org ?? ''
    const node = this.#nodes.get(operator)?.node
    if (node?.ledger.operator !== undefined && !node.ledger.operator.health().paused) {
      const height = await node.ledger.operator.heartbeat()
      for (const { node: follower } of this.#nodes.values()) await follower.ledger.follower?.reached(height)
    }
  }

  pauseOrdering(): void {
    this.node(this.#options.members[0]?.org ?? '').ledger.operator?.pause()
  }

  resumeOrdering(): void {
    this.node(this.#options.members[0]?.org ?? '').ledger.operator?.resume()
  }

  /** Names of the nodes that run. */
  running(): string[] {
    return [...this.#nodes.keys()]
  }

  async close(): Promise<void> {
    for (const org of this.running().reverse()) await this.stopNode(org)
    await this.witness.close()
  }
}

function paths(dir: string, org: string) {
  return {
    dataDir: join(dir, org),
    root: { kind: 'file', path: join(`${dir}-keys`, `${org}.root`) },
  } as const
}

function urlOf(ports: ReadonlyMap<string, number>, name: string): string {
  return `http://127.0.0.1:${ports.get(name) ?? 0}`
}

async function choosePorts(
  names: readonly string[],
  first: number | undefined,
): Promise<Map<string, number>> {
  const ports = new Map<string, number>()
  for (const [at, name] of names.entries())
    ports.set(name, first === undefined ? await freePort() : first + at)
  return ports
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
