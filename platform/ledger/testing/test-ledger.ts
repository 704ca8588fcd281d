import { type CborValue, type Random, type SigningKey, sha256, signingKey, utf8 } from '@salus/core'
import {
  type BlockOutcome,
  builtinContracts,
  type Contract,
  DEFAULT_PARAMS,
  decodeBundle,
  encodeBundle,
  encodeGenesis,
  type Item,
  Ledger,
  memoryStore,
  type Params,
  runtimeCodeName,
  type SignedBody,
  type StateStore,
  signBody,
  verifiedBy,
  verifyBundle,
} from '../src/index.ts'
import { withoutAmbient } from './no-ambient.ts'

/** What became of one call. */
export interface CallOutcome {
  readonly txId: Uint8Array
  readonly code: number
  /** `OK`, a runtime code, or the contract's reason. */
  readonly name: string
  readonly result: CborValue
  readonly outcome: BlockOutcome
}

/** One organisation of a test ledger, with keys made from its name. */
export interface TestMember {
  readonly org: string
  readonly sign: SigningKey
  readonly log: SigningKey
  readonly seal: Uint8Array
}

export interface TestLedgerOptions {
  readonly contracts?: readonly Contract[]
  /** Versions that act from genesis; unless told, version 1 of all. */
  readonly acting?: readonly { name: string; version: number }[]
  /** The first sponsors the calls. */
  readonly members?: readonly string[]
  readonly params?: Partial<Params>
  readonly store?: StateStore
}

/** A ledger in memory whose clock moves a second per block and when told. */
export interface TestLedger {
  readonly ledger: Ledger
  readonly chainId: Uint8Array
  readonly genesis: Uint8Array
  readonly members: { readonly [org: string]: TestMember }
  /** Block time of the next block, ms UTC. */
  timeMs: number
  readonly random: Random
  /** One body in one bundle in one block. */
  call(
    call: string,
    args: { [name: string]: CborValue | undefined },
    keys: readonly SigningKey[],
  ): CallOutcome
  sign(call: string, args: { [name: string]: CborValue | undefined }, keys: readonly SigningKey[]): SignedBody
  bundle(items: readonly Item[], options?: { sponsor?: string; untilMs?: number }): Uint8Array
  /** Executes a block of bundles, all signatures really verified. */
  block(bundles: readonly Uint8Array[]): BlockOutcome
  /** Moves the clock and makes a heartbeat block. */
  advance(ms: number): void
}

export const TEST_START_MS = 1_800_000_000_000

export function testMember(org: string): TestMember {
  const key = (use: string) => signingKey(sha256(utf8(`${org}/${use}`)))
  const half = sha256(utf8(`${org}/seal`))
  const seal = new Uint8Array(1216)
  for (let at = 0; at < seal.length; at += 32) seal.set(half, at)
  return { org, sign: key('sign'), log: key('log'), seal }
}

/** Ed25519 key made from a name. */
export function testKey(name: string): SigningKey {
  return signingKey(sha256(utf8(`key/${name}`)))
}

/** Distinct bytes from a counter: repeatable and good enough for nonces in tests. */
export function countingRandom(seed: string): Random {
  let count = 0
  return (lengthBytes) => {
    const out = new Uint8Array(lengthBytes)
    for (let at = 0; at < lengthBytes; at += 32)
      out.set(sha256(utf8(`${seed}/${count++}`)).subarray(0, Math.min(32, lengthBytes - at)), at)
    return out
  }
}

export function testGenesis(options: TestLedgerOptions = {}): Uint8Array {
  const orgs = options.members ?? ['a', 'b']
  const contracts = [...builtinContracts, ...(options.contracts ?? [])].filter(
    (contract) => contract.schema.version === 1,
  )
  return encodeGenesis({
    v: 1,
    name: 'test',
    timeMs: TEST_START_MS,
    engine: 'embedded',
    operator: orgs[0] as string,
    members: orgs.map((org) => {
      const member = testMember(org)
      const url = `https://${org}.example`
      const { seal } = member
      return { org, name: org, url, sign: member.sign.publicKey, seal, log: member.log.publicKey }
    }),
    witnesses: [],
    params: { ...DEFAULT_PARAMS, ...options.params },
    contracts: options.acting
      ? [...options.acting]
      : contracts.map(({ schema }) => ({ name: schema.name, version: schema.version })),
  })
}

export function testLedger(options: TestLedgerOptions = {}): TestLedger {
  const orgs = options.members ?? ['a', 'b']
  const genesis = testGenesis(options)
  const store = options.store ?? memoryStore()
  const ledger = withoutAmbient(() => Ledger.open({ store, contracts: options.contracts ?? [], genesis }))
  const members = Object.fromEntries(orgs.map((org) => [org, testMember(org)]))
  const random = countingRandom('test')
  const chainId = ledger.chainId

  const chain: TestLedger = {
    ledger,
    chainId,
    genesis,
    members,
    timeMs: ledger.head.timeMs + 1000,
    random,
    sign: (call, args, keys) =>
      signBody({ chainId, call, args, untilMs: chain.timeMs + 60_000, keys, random }),
    bundle(items, { sponsor = orgs[0] as string, untilMs = chain.timeMs + 60_000 } = {}) {
      return encodeBundle({ chain: chainId, sponsor, until: untilMs, items }, testMember(sponsor).sign)
    },
    call(call, args, keys) {
      const body = chain.sign(call, args, keys)
      const outcome = chain.block([chain.bundle([{ body: body.body, auth: body.auth }])])
      const { code, result } = outcome.results[0] ?? { code: outcome.bundles[0]?.code ?? -1, result: null }
      const contract = ledger.active.get(call.slice(0, call.indexOf('/')))
      const reason = Object.entries(contract?.schema.rejects ?? {}).find(([, number]) => number === code)?.[0]
      return { txId: body.txId, code, name: runtimeCodeName(code) ?? reason ?? '?', result, outcome }
    },
    block(bundles) {
      const answers = bundles.map((wire) => verifyBundle(wire, sponsorKeyOf(ledger, wire)))
      const block = { v: 1 as const, height: ledger.head.height + 1, timeMs: chain.timeMs, bundles }
      chain.timeMs += 1000
      return withoutAmbient(() => ledger.execute(block, verifiedBy(answers)))
    },
    advance(ms) {
      chain.timeMs += ms
      chain.block([])
    },
  }
  return chain
}

function sponsorKeyOf(ledger: Ledger, wire: Uint8Array): Uint8Array | undefined {
  try {
    return ledger.sponsorKey(decodeBundle(wire).sponsor)
  } catch {
    return undefined
  }
}
