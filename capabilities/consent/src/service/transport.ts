import {
  AppError,
  type CborValue,
  decode,
  type Random,
  type SignedForm,
  toBase64url,
  tuple,
} from '@salus/core'
import type { Clock, Network } from '@salus/host'
import { type Connection, connect, send } from '@salus/sdk'
import { signOrgMessage } from '@salus/server'
import type { CustodianTransport } from './grantee.ts'
import type { ConsentKeys, ConsentLedger } from './ports.ts'
import { openRecalled, type Recalled } from './recall.ts'

const CBOR = 'application/cbor'
/** A custodian that does not answer within this is named as unreachable. Protocol §4, Search. */
export const RELEASE_TIMEOUT_MS = 3_000
const OBJECTS_TIMEOUT_MS = 30_000
const RECALL_TIMEOUT_MS = 2_000
/** `POST /objects` takes this many addresses at once. */
const MAX_ADDRESSES = 1_000
const MAX_REPLY_BYTES = 512 * 1024 * 1024

export interface OrgWireParts {
  readonly keys: ConsentKeys
  readonly ledger: ConsentLedger
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

/** What consent says to other organisations, over HTTP at the addresses that the ledger gives. */
export interface OrgWire extends CustodianTransport {
  /** Tells a grantee to drop what it holds; undefined where it could not be reached, and its lease ends it. */
  pushRecall(org: string, g: Uint8Array): Promise<Recalled | undefined>
  /** A signed message to another organisation; its answer's bytes. Throws AppError `UNREACHABLE` or the other's own. */
  tell(message: {
    readonly to: string
    readonly path: string
    readonly kind: string
    readonly payload: CborValue
    readonly timeoutMs?: number
  }): Promise<Uint8Array>
  /** Raw bytes to another organisation's path; its answer's bytes. */
  post(to: string, path: string, body: Uint8Array, timeoutMs?: number): Promise<Uint8Array>
}

export function orgWire(parts: OrgWireParts): OrgWire {
  const { keys, ledger, network, clock, random } = parts
  const connection = (org: string, timeoutMs: number): Connection => {
    const member = ledger.organisation(org)
    if (member === undefined) throw new AppError('UNREACHABLE', `organisation ${org}: is no member here`)
    return connect({ url: member.url, network: withTimeout(network, clock, timeoutMs) })
  }
  const post: OrgWire['post'] = async (to, path, body, timeoutMs = RELEASE_TIMEOUT_MS) => {
    const answer = await send(connection(to, timeoutMs), 'POST', path, { raw: { type: CBOR, body } })
    return answer.body
  }
  const tell: OrgWire['tell'] = ({ to, path, kind, payload, timeoutMs }) =>
    post(
      to,
      path,
      signOrgMessage(
        { from: keys.org, to, kind, payload },
        { key: keys.sign, chainId: ledger.chainId, clock, random },
      ),
      timeoutMs,
    )
  return {
    post,
    tell,
    async release(custodian, signed) {
      return signedFrom(await post(custodian, '/org/release', tuple(keys.org, signed.bytes, signed.sig)))
    },
    async objects(custodian, addresses) {
      const found: (Uint8Array | undefined)[] = []
      for (let at = 0; at < addresses.length; at += MAX_ADDRESSES) {
        const page = addresses.slice(at, at + MAX_ADDRESSES)
        const { body } = await send(connection(custodian, OBJECTS_TIMEOUT_MS), 'POST', '/objects', {
          json: { addresses: page.map(toBase64url) },
        })
        found.push(...objectsFrom(body, page.length))
      }
      return found
    },
    async pushRecall(org, g) {
      const member = ledger.organisation(org)
      if (member === undefined) return undefined
      try {
        const answer = await tell({
          to: org,
          path: '/org/recalls',
          kind: 'recall',
          payload: { g },
          timeoutMs: RECALL_TIMEOUT_MS,
        })
        return openRecalled(member.sign, ledger.chainId, signedFrom(answer))
      } catch (error) {
        if (error instanceof AppError) return undefined
        throw error
      }
    },
  }
}

/** The pair (form, signature) that a route answered with. Throws AppError `BAD_REPLY`. */
export function signedFrom(body: Uint8Array): SignedForm {
  const parts = readReply(body)
  const [bytes, sig] = Array.isArray(parts) ? parts : []
  if (!(bytes instanceof Uint8Array) || !(sig instanceof Uint8Array))
    throw new AppError('BAD_REPLY', 'node: its answer is not a signed form')
  return { bytes, sig }
}

function objectsFrom(body: Uint8Array, count: number): (Uint8Array | undefined)[] {
  const parts = readReply(body)
  const fits = Array.isArray(parts) && parts.length === count
  if (!fits || !parts.every((part) => part === null || part instanceof Uint8Array))
    throw new AppError('BAD_REPLY', 'node: its answer is not the list of objects that was asked for')
  return parts.map((part) => (part instanceof Uint8Array ? part : undefined))
}

function readReply(body: Uint8Array): CborValue {
  try {
    return decode(body, { maxBytes: MAX_REPLY_BYTES })
  } catch (cause) {
    throw new AppError('BAD_REPLY', 'node: its answer cannot be read', {}, { cause })
  }
}

/** The same network, giving up after `timeoutMs` of the given clock. */
export function withTimeout(network: Network, clock: Clock, timeoutMs: number): Network {
  return {
    async fetch(url, init = {}) {
      const stop = new AbortController()
      const timer = clock.schedule(timeoutMs, () =>
        stop.abort(new AppError('UNREACHABLE', 'node: did not answer in time')),
      )
      try {
        const response = await network.fetch(url, { ...init, signal: stop.signal })
        // The body counts too: a node that trickles is one that does not answer.
        return new Response(await response.arrayBuffer(), response)
      } finally {
        timer.cancel()
      }
    },
  }
}
