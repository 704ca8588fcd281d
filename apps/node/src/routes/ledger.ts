import {
  AppError,
  bytes as bytesSchema,
  fromBase64url,
  fromJson,
  fromUtf8,
  jsonSchema,
  list,
  object,
  type Schema,
  toBase64url,
  toJson,
} from '@salus/core'
import { describeContracts, type Item, type Ledger, runtimeCodeName } from '@salus/ledger'
import { encodeReceipt } from '@salus/log'
import { type Answer, bytes, json, type Route, route } from '@salus/server'
import type { LedgerPart } from '../ledger-part.ts'
import type { Receipts } from '../receipts.ts'

const CBOR = 'application/cbor'
const MAX_BUNDLE_BYTES = 256 * 1024
const MAX_WAIT_MS = 20_000
const MAX_BLOCKS_BYTES = 4 * 1024 * 1024

const submitForm = object('A signed body', {
  body: bytesSchema('Strict DAG-CBOR', { min: 1, max: 32 * 1024 }),
  auth: list(bytesSchema('Ed25519 signature', { length: 64 }), { min: 1, max: 8 }),
})

/** The ledger over HTTP: for members' nodes, for people's devices, and for anybody who verifies. */
export function ledgerRoutes(parts: { readonly ledger: LedgerPart; readonly receipts: Receipts }): Route[] {
  const { engine, operator, ledger, access, sponsor } = parts.ledger
  const blockLog = engine.blockLog.tiles
  const contracts = contractPages(ledger)
  return [
    {
      method: 'GET',
      path: '/ledger/head',
      summary: 'Height, time and state root of the newest block that this node executed',
      audience: 'anyone',
      handle() {
        const { height, timeMs, stateRoot } = engine.head()
        return json({ height, timeMs, stateRoot: toBase64url(stateRoot) })
      },
    },
    {
      method: 'GET',
      path: '/ledger/blocks',
      summary:
        'Blocks in order with the operator’s leaves, as DAG-CBOR; waits for one where there is none yet',
      audience: 'anyone',
      query: {
        from: 'First height',
        waitMs: 'How long to wait for a block, at most 20,000',
        cosigned:
          'Size of the newest cosigned checkpoint that the caller has: a larger one ends the wait too',
      },
      async handle({ query }): Promise<Answer> {
        const from = whole(query['from'] ?? '1', 'from')
        if (operator === undefined)
          throw new AppError('UNAVAILABLE', 'ledger: this node follows; ask the operator for blocks')
        const waitMs = Math.min(whole(query['waitMs'] ?? '0', 'waitMs'), MAX_WAIT_MS)
        const cosigned = query['cosigned'] === undefined ? undefined : whole(query['cosigned'], 'cosigned')
        await operator.waitAbove(from - 1, waitMs, cosigned)
        return bytes(operator.blocks(from, MAX_BLOCKS_BYTES), CBOR)
      },
    },
    {
      method: 'POST',
      path: '/ledger/bundles',
      summary: 'A member’s bundle, to be ordered',
      audience: 'anyone',
      rawBody: CBOR,
      maxBodyBytes: MAX_BUNDLE_BYTES,
      async handle({ body }) {
        await engine.submit(body)
        return json({}, 202)
      },
    },
    {
      method: 'POST',
      path: '/ledger/cosign',
      summary: 'A member’s cosignature of a checkpoint of the block log',
      audience: 'anyone',
      rawBody: 'text/plain',
      maxBodyBytes: 64 * 1024,
      async handle({ body }) {
        if (operator === undefined)
          throw new AppError('UNAVAILABLE', 'ledger: this node follows; bring cosignatures to the operator')
        await operator.cosign(fromUtf8(body))
        return json({})
      },
    },
    {
      method: 'GET',
      path: '/ledger/log/*',
      summary: 'The block log as C2SP tlog-tiles: checkpoint and tiles',
      audience: 'anyone',
      async handle({ params }) {
        return tile(await blockLog.resource(params['*'] ?? ''), params['*'] ?? '')
      },
    },
    {
      method: 'GET',
      path: '/ledger/contracts',
      summary: 'Every contract that acts: calls, queries, rejections, with their forms',
      audience: 'anyone',
      handle: () => json(contracts),
    },
    {
      method: 'GET',
      path: '/ledger/organisations/:org',
      summary: 'A member with its public keys',
      audience: 'anyone',
      handle({ params }) {
        const found = access.organisation(params['org'] ?? '')
        if (found === undefined) throw new AppError('NOT_FOUND', 'org: no member of this network has that id')
        const { sign, seal, log, ...rest } = found
        return json({ ...rest, sign: toBase64url(sign), seal: toBase64url(seal), log: toBase64url(log) })
      },
    },
    {
      method: 'POST',
      path: '/ledger/query/:contract/:name',
      summary: 'Ask a contract; bytes are base64url',
      audience: 'anyone',
      rawBody: 'application/json',
      handle({ params, body }) {
        return json(queryAnswer(parts.ledger, params['contract'] ?? '', params['name'] ?? '', body))
      },
    },
    route<{ body: Uint8Array; auth: Uint8Array[] }>({
      method: 'POST',
      path: '/tx',
      summary: 'Hand in a signed body; this organisation sponsors it',
      audience: 'anyone',
      body: submitForm,
      async handle({ body }) {
        const item: Item = { body: body.body, auth: body.auth }
        const accepted = await sponsor.submit(item)
        return json(
          {
            txId: toBase64url(accepted.txId),
            acceptance: toBase64url(accepted.acceptance),
            sig: toBase64url(accepted.sig),
          },
          202,
        )
      },
    }),
    {
      method: 'GET',
      path: '/tx/:txId',
      summary: 'Where a body is: queued, bundled, final or unknown',
      audience: 'anyone',
      query: { wait: 'How long to wait until it is final, ms, at most 20,000' },
      async handle({ params, query }) {
        const txId = fromBase64url(params['txId'] ?? '')
        const waitMs = Math.min(whole(query['wait'] ?? '0', 'wait'), MAX_WAIT_MS)
        const status = waitMs === 0 ? sponsor.status(txId) : await access.final(txId, waitMs)
        if (status.state !== 'final')
          return json({ state: status.state === 'lapsed' ? 'unknown' : status.state })
        const { height, index, code } = status
        const name = runtimeCodeName(code) ?? 'REJECTED'
        return json({ state: 'final', height, index, code, name })
      },
    },
    {
      method: 'GET',
      path: '/tx/:txId/receipt',
      summary: 'The receipt of a final body, verifiable offline',
      audience: 'anyone',
      async handle({ params }) {
        const status = sponsor.status(fromBase64url(params['txId'] ?? ''))
        if (status.state !== 'final') throw new AppError('NOT_FINAL', 'tx: is not final; ask again later')
        await parts.ledger.witnessed()
        const receipt = await parts.receipts.ofTx(status.height, status.index)
        return bytes(encodeReceipt(receipt), 'application/json')
      },
    },
  ]
}

function contractPages(ledger: Ledger): unknown {
  return describeContracts(ledger.contracts).map(({ calls, queries, ...rest }) => ({
    ...rest,
    calls: calls.map(({ input, output, ...call }) => ({
      ...call,
      input: jsonSchema(input),
      ...(output === undefined ? {} : { output: jsonSchema(output) }),
    })),
    queries: queries.map(({ input, output: _output, ...query }) => ({ ...query, input: jsonSchema(input) })),
  }))
}

/** A tile or checkpoint; tiles never change once full, so that caches may keep them. */
export function tile(resource: Uint8Array | undefined, path: string): Answer {
  if (resource === undefined) throw new AppError('NOT_FOUND', 'path: the log has no such tile yet')
  const isCheckpoint = path === 'checkpoint'
  return {
    headers: { 'cache-control': isCheckpoint ? 'no-store' : 'public, max-age=31536000, immutable' },
    raw: { type: isCheckpoint ? 'text/plain; charset=utf-8' : 'application/octet-stream', body: resource },
  }
}

function queryAnswer(part: LedgerPart, contract: string, name: string, body: Uint8Array): unknown {
  const { ledger } = part
  const query = ledger.active.get(contract)?.schema.queries[name]
  if (query === undefined) throw new AppError('NOT_FOUND', `query: ${contract}/${name} does not exist`)
  const input = fromQueryJson(query.input, body)
  const answer = ledger.queryByName(contract, name, input)
  if (answer === undefined) return null
  const { output } = query
  return toJson(output.kind === 'optional' ? output.inner : output, answer as never)
}

function fromQueryJson(schema: Schema, body: Uint8Array): unknown {
  let value: unknown
  try {
    value = JSON.parse(body.length === 0 ? '{}' : fromUtf8(body))
  } catch (cause) {
    throw new AppError('BAD_REQUEST', 'body: must be the query’s input as JSON', {}, { cause })
  }
  return fromJson(schema, value)
}

function whole(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new AppError('BAD_REQUEST', `${name}: must be a whole number`)
  return value
}
