import type { AuthItem, Random, SigningKey } from '@salus/core'
import { type CborValue, encode, equal, sha256, signedMessage, txIdOf } from '@salus/core'
import { MAX_BODY_BYTES, MAX_BODY_KEYS, MAX_DEPTH } from './limits.ts'
import { decodeFields, isBytes, isMap, isTime, must } from './read.ts'

export type Args = { readonly [name: string]: CborValue }

/** What a key holder wants done (protocol §11). */
export interface Body {
  readonly v: 1
  /** Chain id, 32 B. */
  readonly chain: Uint8Array
  /** `contract/call`. */
  readonly call: string
  readonly args: Args
  /** 16 B random. */
  readonly nonce: Uint8Array
  /** Last block time, ms UTC, at which it may run; at most 10 min after block time. */
  readonly until: number
  /** 1–8 keys that sign: 32 B Ed25519, 33 B compressed P-256. */
  readonly keys: readonly Uint8Array[]
}

/** A body as it travels: `auth` in the order of its keys. */
export interface Item {
  readonly body: Uint8Array
  readonly auth: readonly AuthItem[]
}

export interface SignedBody extends Item {
  readonly txId: Uint8Array
}

const CALL = /^[a-z][a-zA-Z0-9]{0,31}\/[a-z][a-zA-Z0-9]{0,31}$/
const FIELDS = ['v', 'chain', 'call', 'args', 'nonce', 'until', 'keys'] as const
const LIMITS = { maxBytes: MAX_BODY_BYTES, maxDepth: MAX_DEPTH }

/** Strict bytes of a body. Throws AppError `BODY` naming the field. */
export function encodeBody(body: Body): Uint8Array {
  checkBody(body as unknown as { readonly [K in (typeof FIELDS)[number]]: CborValue })
  const { v, chain, call, args, nonce, until, keys } = body
  const bytes = encode({ v, chain, call, args: withoutUndefined(args), nonce, until, keys })
  must(bytes.length <= MAX_BODY_BYTES, 'BODY', `body: may have ${MAX_BODY_BYTES} bytes, has ${bytes.length}`)
  return bytes
}

/** Reads a body. Throws AppError `BODY` naming the field. */
export function decodeBody(bytes: Uint8Array): Body {
  const fields = decodeFields('body', 'BODY', bytes, FIELDS, LIMITS)
  checkBody(fields)
  return fields as unknown as Body
}

function checkBody(body: { readonly [K in (typeof FIELDS)[number]]: CborValue }): void {
  must(body.v === 1, 'BODY', 'body.v: this version is not known; use 1')
  must(isBytes(body.chain, 32), 'BODY', 'body.chain: must be the 32 bytes of the chain id')
  must(typeof body.call === 'string' && CALL.test(body.call), 'BODY', 'body.call: must be contract/call')
  must(isMap(body.args), 'BODY', 'body.args: must be a map')
  must(isBytes(body.nonce, 16), 'BODY', 'body.nonce: must be 16 random bytes')
  must(isTime(body.until), 'BODY', 'body.until: must be milliseconds UTC')
  const keys = body.keys
  must(Array.isArray(keys) && keys.length >= 1, 'BODY', 'body.keys: needs a key')
  must(keys.length <= MAX_BODY_KEYS, 'BODY', `body.keys: at most ${MAX_BODY_KEYS}`)
  keys.forEach((key: CborValue, at) => {
    must(isBytes(key, 32) || isBytes(key, 33), 'BODY', 'body.keys: each 32 B (Ed25519) or 33 B (P-256)')
    for (let before = 0; before < at; before++)
      must(!equal(key as Uint8Array, keys[before] as Uint8Array), 'BODY', 'body.keys: a key occurs once')
  })
}

export interface BodyRequest {
  readonly chainId: Uint8Array
  readonly call: string
  /** Members that are `undefined` are left out. */
  readonly args: { readonly [name: string]: CborValue | undefined }
  /** At most ten minutes after the ledger's time. */
  readonly untilMs: number
}

/** Makes a body and signs it with Ed25519 keys, in their order. Works in a browser. */
export function signBody(
  request: BodyRequest & { readonly keys: readonly SigningKey[]; readonly random: Random },
): SignedBody {
  const body = bodyFor({ ...request, publicKeys: request.keys.map((key) => key.publicKey) })
  const message = signedMessage('tx', request.chainId, body)
  return { body, auth: request.keys.map((key) => key.sign(message)), txId: sha256(message) }
}

/**
 * The bytes of a body that other signers complete: a passkey signs `challengeOf` them, an Ed25519 key
 * `signedMessage('tx', …)`. `auth` then lists the answers in the order of `publicKeys`.
 */
export function bodyFor(
  request: BodyRequest & { readonly publicKeys: readonly Uint8Array[]; readonly random: Random },
): Uint8Array {
  return encodeBody({
    v: 1,
    chain: request.chainId,
    call: request.call,
    args: withoutUndefined(request.args),
    nonce: request.random(16),
    until: request.untilMs,
    keys: request.publicKeys,
  })
}

/** The WebAuthn challenge of a body: SHA-256 of the signed message (protocol, Forms); 32 B. Equals the txId. */
export function challengeOf(chainId: Uint8Array, body: Uint8Array): Uint8Array {
  return txIdOf(chainId, body)
}

/** A copy without the members that are undefined: DAG-CBOR has no such value. */
export function withoutUndefined(map: { readonly [name: string]: CborValue | undefined }): Args {
  const copy: { [name: string]: CborValue } = {}
  for (const [name, value] of Object.entries(map)) if (value !== undefined) copy[name] = value
  return copy
}
