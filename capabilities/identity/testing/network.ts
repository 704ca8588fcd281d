import { consent } from '@salus/consent/contract'
import { AppError, concat, equal, type SealKeyPair, sealKeyPair, sha256, toHex, utf8 } from '@salus/core'
import {
  type AdjustableClock,
  type MemoryNetwork,
  manualClock,
  memoryNetwork,
  type Sql,
  seededRandom,
} from '@salus/host'
import { memorySql } from '@salus/host/system'
import type { Item } from '@salus/ledger'
import { type TestLedger, testLedger, testMember } from '@salus/ledger/testing'
import { type Connection, connect, withToken } from '@salus/sdk'
import { HttpServer, json, OrgMessages, type Route, Sessions } from '@salus/server'
import { identity } from '../contract/index.ts'
import type { DeviceContext } from '../src/client/index.ts'
import {
  type IdentityLedger,
  type IdentityServices,
  openIdentity,
  type RegisteredOwner,
} from '../src/service/index.ts'
import { ledgerRoutes } from './ledger-routes.ts'

export interface TestOrganisation {
  readonly org: string
  readonly url: string
  readonly seal: SealKeyPair
  readonly services: IdentityServices
  readonly sql: Sql
  readonly sessions: Sessions
  /** The only owner that belongs to this patient. */
  patient(id: string): RegisteredOwner & { readonly wraps: number }
  readonly owners: Map<string, RegisteredOwner & { patient: string | undefined; wraps: number }>
  /** Log leaves in order. */
  readonly leaves: Uint8Array[]
  readonly acts: {
    readonly act: string
    readonly staff?: string | undefined
    readonly org?: string | undefined
  }[]
  readonly hostedKeys: Map<string, Uint8Array>
  /** Codes sent to contacts on file. */
  readonly sent: { readonly owner: Uint8Array; readonly code: string }[]
  /** Sealed grant packages that arrived. */
  readonly packages: { readonly role: string; readonly sealed: Uint8Array }[]
  readonly connection: Connection
  addPatient(id: string): Uint8Array
  /** A connection with a staff session. */
  staff(): Connection
  server: HttpServer
}

export interface TestNetwork {
  readonly clock: AdjustableClock
  readonly chain: TestLedger
  readonly network: MemoryNetwork
  org(name: string): TestOrganisation
  readonly context: DeviceContext
  /** Moves the clock, and makes a block at the new time. */
  pass(ms: number): void
  connectionTo(org: string): Connection
}

/** Organisations with real services, forms, contracts and HTTP; ledger, log and network in memory. */
export function testNetwork(names: readonly string[] = ['a', 'b', 'c']): TestNetwork {
  const chain = testLedger({ contracts: [consent, identity], members: [...names] })
  const network = memoryNetwork()
  const random = seededRandom('devices')
  const orgs: Record<string, TestOrganisation> = {}
  const seals = Object.fromEntries(names.map((org) => [org, sealKeyPair(sha256(utf8(`seal ${org}`)))]))
  // The ledger's test members have no private seal keys: each organisation registers one of its own.
  for (const org of names) {
    const { sign, log } = testMember(org)
    const keys = {
      sign: sign.publicKey,
      log: log.publicKey,
      seal: (seals[org] as SealKeyPair).publicKey,
    }
    const from = chain.ledger.head.height + 2
    const { name } = chain.call('organisations/setKeys', { org, keys, from }, [sign])
    if (name !== 'OK') throw new Error(`setKeys: ${name}`)
  }
  chain.advance(1_000)
  chain.advance(1_000)
  const clock = manualClock(chain.timeMs)
  const connectionTo = (org: string): Connection => {
    if (!names.includes(org)) throw new AppError('NOT_FOUND', 'org: no such member')
    return connect({ url: `http://${org}.example`, network })
  }
  const block = (items: readonly Item[]) => {
    chain.timeMs = Math.max(chain.ledger.head.timeMs + 1, clock.now())
    return chain.block(items.length === 0 ? [] : [chain.bundle(items)])
  }
  const ledger: IdentityLedger = {
    chainId: chain.chainId,
    head: () => chain.ledger.head,
    query: (contract, name, input) => chain.ledger.queryByName(contract, name, input),
    organisation: (org) =>
      names.includes(org)
        ? {
            org,
            name: `Hospital ${org.toUpperCase()}`,
            url: `http://${org}.example`,
            sign: testMember(org).sign.publicKey,
            seal: (seals[org] as SealKeyPair).publicKey,
            active: true,
          }
        : undefined,
    async submit(item) {
      const [result] = block([item]).results
      if (result === undefined || result.code !== 0)
        throw new AppError('TX_REJECTED', 'tx: rejected', { code: result?.code ?? -1 })
      return { height: chain.ledger.head.height, index: 0 }
    },
  }
  for (const org of names)
    orgs[org] = testOrganisation({
      org,
      ledger,
      clock,
      network,
      connectionTo,
      seal: seals[org] as SealKeyPair,
      block,
      chain,
    })
  return {
    clock,
    chain,
    network,
    org(name) {
      const found = orgs[name]
      if (found === undefined) throw new Error(`no organisation ${name}`)
      return found
    },
    context: { chainId: chain.chainId, random, clock },
    pass(ms) {
      clock.advance(ms)
      block([])
    },
    connectionTo,
  }
}

interface OrganisationParts {
  readonly org: string
  readonly ledger: IdentityLedger
  readonly clock: AdjustableClock
  readonly network: MemoryNetwork
  readonly connectionTo: (org: string) => Connection
  readonly seal: SealKeyPair
  readonly block: (items: readonly Item[]) => ReturnType<TestLedger['block']>
  readonly chain: TestLedger
}

function testOrganisation(parts: OrganisationParts): TestOrganisation {
  const { org, ledger, clock, network, connectionTo, seal, chain } = parts
  const random = seededRandom(`org ${org}`)
  const sql = memorySql()
  const sessions = new Sessions({ sql, clock, random })
  const owners: TestOrganisation['owners'] = new Map()
  const leaves: Uint8Array[] = []
  const acts: { act: string; staff?: string | undefined; org?: string | undefined }[] = []
  const hostedKeys = new Map<string, Uint8Array>()
  const sent: { owner: Uint8Array; code: string }[] = []
  const packages: { role: string; sealed: Uint8Array }[] = []
  const add = (patient: string | undefined) => {
    const owner = random(16)
    owners.set(toHex(owner), {
      owner,
      patient,
      linkKey: undefined,
      sub: undefined,
      status: 'unclaimed',
      wraps: 0,
    })
    return owners.get(toHex(owner)) as RegisteredOwner
  }
  const change = (owner: Uint8Array, part: Partial<RegisteredOwner>) => {
    const before = owners.get(toHex(owner))
    if (before !== undefined) owners.set(toHex(owner), { ...before, ...part })
  }
  const by = (test: (each: RegisteredOwner & { patient: string | undefined }) => boolean) =>
    [...owners.values()].find(test)
  const member = testMember(org)
  const services = openIdentity({
    sql,
    key: sha256(utf8(`identity ${org}`)),
    keys: { org, chainId: ledger.chainId, sign: member.sign, seal },
    ledger,
    owners: {
      findPatient: (id) => by(({ patient }) => patient === id),
      byOwner: (owner) => owners.get(toHex(owner)),
      byLinkKey: (key) => by(({ linkKey }) => linkKey !== undefined && equal(linkKey, key)),
      bySub: (sub) => by((each) => each.sub !== undefined && equal(each.sub, sub)),
      addOwner: async () => add(undefined),
      setLink: (owner, link) => change(owner, { linkKey: link?.linkKey, sub: link?.sub }),
      setStatus: (owner, status) => change(owner, { status }),
      async setCard(owner) {
        const row = owners.get(toHex(owner))
        if (row !== undefined) row.wraps += 1
        return 7
      },
    },
    organisationOwner: new Uint8Array(16),
    sessions,
    log: {
      async appendMany(added) {
        const index = leaves.length
        leaves.push(...added)
        return { index }
      },
    },
    audit: { record: async (event) => void acts.push(event) },
    hostedKeys: {
      putHostedKey: async (owner, krk) => void hostedKeys.set(toHex(owner), krk),
      hostedKey: (owner) => hostedKeys.get(toHex(owner)),
      async destroyHostedKey(owner) {
        hostedKeys.delete(toHex(owner))
        return { how: 'rewritten' }
      },
    },
    transport: { connection: connectionTo },
    messages: new OrgMessages({
      org,
      chainId: ledger.chainId,
      clock,
      signKeyOf: (from) => ledger.organisation(from)?.sign,
    }),
    patients: {
      find: ({ family }) =>
        [...owners.values()]
          .filter(({ patient }) => patient === `Patient/${family}`)
          .map(({ owner }) => owner),
    },
    codeSender: {
      async send(owner, code) {
        sent.push({ owner, code })
        return true
      },
    },
    clock,
    random,
  })
  const messages = new OrgMessages({
    org,
    chainId: ledger.chainId,
    clock,
    signKeyOf: (from) => ledger.organisation(from)?.sign,
  })
  const grants: Route = {
    method: 'POST',
    path: '/org/grants',
    summary: 'Stands in for consent',
    audience: 'anyone',
    rawBody: 'application/cbor',
    maxBodyBytes: 400 * 1024,
    handle({ body }) {
      const { payload } = messages.open(body, 'grant')
      const { role, sealed } = payload as { role: string; sealed: Uint8Array }
      packages.push({ role, sealed })
      return { raw: { type: 'application/cbor', body: concat(utf8(role)) } }
    },
  }
  const held: Route = {
    method: 'GET',
    path: '/me/grants',
    summary: 'Stands in for consent: no grants',
    audience: 'holder',
    handle: () => json({ grants: [] }),
  }
  const server = new HttpServer({
    routes: [...services.routes, grants, held, ...ledgerRoutes(parts)],
    sessions,
    clock,
    random,
    title: org,
    version: '0',
    onBug: (error) => {
      throw error
    },
  })
  const url = `http://${org}.example`
  network.serve(url, async (request) => {
    const { pathname, search } = new URL(request.url)
    const reply = await server.inject({
      method: request.method as Route['method'],
      url: `${pathname}${search}`,
      headers: Object.fromEntries(request.headers),
      body: new Uint8Array(await request.arrayBuffer()),
    })
    return new Response(reply.body as BodyInit, {
      status: reply.status,
      headers: { 'content-type': String(reply.headers['content-type'] ?? '') },
    })
  })
  const connection = connectionTo(org)
  void chain
  return {
    org,
    url,
    seal,
    services,
    sql,
    sessions,
    patient(id) {
      const found = by(({ patient }) => patient === id)
      if (found === undefined) throw new Error(`no patient ${id}`)
      return found as RegisteredOwner & { wraps: number }
    },
    owners,
    leaves,
    acts,
    hostedKeys,
    sent,
    packages,
    connection,
    server,
    addPatient: (id) => add(id).owner,
    staff() {
      const { token } = sessions.open(
        { kind: 'staff', practitioner: `desk-${org}`, name: 'Desk', roles: ['steward', 'admin'] },
        12 * 3_600_000,
      )
      return withToken(connection, token)
    },
  }
}
