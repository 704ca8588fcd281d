import type { SigningKey } from '@salus/core'
import { AppError, type AuthItem, type CborValue, decode, encode, sha256, signAs, tuple } from '@salus/core'
import type { Item } from './body.ts'
import { MAX_BODY_KEYS, MAX_BUNDLE_BODIES, MAX_BUNDLE_BYTES, MAX_DEPTH, MAX_ORG_CHARS } from './limits.ts'
import { decodeFields, fieldsOf, isBytes, isMap, isTime, must } from './read.ts'

/** What a sponsor puts before the engine (protocol §11): up to 128 bodies. */
export interface Bundle {
  readonly v: 1
  readonly chain: Uint8Array
  /** Organisation id of the member whose quota pays. */
  readonly sponsor: string
  /** Last block time, ms UTC, at which it may run; at most 10 min after block time. */
  readonly until: number
  readonly items: readonly Item[]
}

/** A bundle read from its wire form `tuple(bundle bytes, signature)`. */
export interface SignedBundle extends Bundle {
  /** The bytes that the sponsor signs. */
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
  /** `H(bytes)`, 32 B. */
  readonly bundleId: Uint8Array
  /** Size of the wire form: what the quota counts. */
  readonly sizeBytes: number
}

const FIELDS = ['v', 'chain', 'sponsor', 'until', 'items'] as const
const LIMITS = { maxBytes: MAX_BUNDLE_BYTES, maxDepth: MAX_DEPTH }
const ORG = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/

/** Organisation ids: 1–63 of a–z, 0–9 and inner dashes. */
export function isOrgId(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_ORG_CHARS && ORG.test(value)
}

/** The wire form of a bundle, signed by its sponsor. Throws AppError `BUNDLE`. */
export function encodeBundle(bundle: Omit<Bundle, 'v'>, sponsorKey: SigningKey): Uint8Array {
  const { chain, sponsor, until } = bundle
  const items = bundle.items.map(({ body, auth }) => ({ body, auth: auth.map(authValue) }))
  const fields = { v: 1, chain, sponsor, until, items }
  checkBundle(fields)
  const bytes = encode(fields)
  const wire = tuple(bytes, signAs(sponsorKey, 'bundle', chain, bytes))
  must(
    wire.length <= MAX_BUNDLE_BYTES,
    'BUNDLE',
    `bundle: may have ${MAX_BUNDLE_BYTES} bytes, has ${wire.length}`,
  )
  return wire
}

/** Reads the wire form. Signatures are not checked. Throws AppError `BUNDLE` naming the field. */
export function decodeBundle(wire: Uint8Array): SignedBundle {
  const [bytes, signature] = decodeEnvelope(wire)
  const fields = decodeFields('bundle', 'BUNDLE', bytes, FIELDS, LIMITS)
  checkBundle(fields)
  const bundle = fields as unknown as Bundle
  return { ...bundle, bytes, signature, bundleId: sha256(bytes), sizeBytes: wire.length }
}

/** `H(item)`: how an item is reported whose body is not recorded. */
export function itemId(item: Item): Uint8Array {
  return sha256(encode({ body: item.body, auth: item.auth.map(authValue) }))
}

function decodeEnvelope(wire: Uint8Array): [bytes: Uint8Array, signature: Uint8Array] {
  let parts: CborValue
  try {
    parts = decode(wire, LIMITS)
  } catch (cause) {
    throw new AppError(
      'BUNDLE',
      `bundle: must be strict DAG-CBOR of at most ${MAX_BUNDLE_BYTES} bytes`,
      {},
      { cause },
    )
  }
  must(Array.isArray(parts) && parts.length === 2, 'BUNDLE', 'bundle: must be the pair (bundle, signature)')
  const [bytes, signature] = parts as readonly CborValue[]
  must(bytes instanceof Uint8Array, 'BUNDLE', 'bundle: its first part must be bytes')
  must(isBytes(signature, 64), 'BUNDLE', 'bundle: its signature must have 64 bytes')
  return [bytes, signature]
}

function checkBundle(bundle: { readonly [K in (typeof FIELDS)[number]]: CborValue }): void {
  must(bundle.v === 1, 'BUNDLE', 'bundle.v: this version is not known; use 1')
  must(isBytes(bundle.chain, 32), 'BUNDLE', 'bundle.chain: must be the 32 bytes of the chain id')
  must(isOrgId(bundle.sponsor), 'BUNDLE', 'bundle.sponsor: must be an organisation id')
  must(isTime(bundle.until), 'BUNDLE', 'bundle.until: must be milliseconds UTC')
  const items = bundle.items
  must(Array.isArray(items) && items.length >= 1, 'BUNDLE', 'bundle.items: needs a body')
  must(items.length <= MAX_BUNDLE_BODIES, 'BUNDLE', `bundle.items: at most ${MAX_BUNDLE_BODIES} bodies`)
  for (const item of items as readonly CborValue[]) {
    const { body, auth } = fieldsOf('bundle.items[]', 'BUNDLE', item, ['body', 'auth'])
    must(body instanceof Uint8Array, 'BUNDLE', 'bundle.items[].body: must be bytes')
    must(Array.isArray(auth) && auth.length <= MAX_BODY_KEYS, 'BUNDLE', 'bundle.items[].auth: must be a list')
    for (const entry of auth as readonly CborValue[]) checkAuth(entry)
  }
}

function checkAuth(entry: CborValue): void {
  if (isBytes(entry, 64)) return
  must(isMap(entry), 'BUNDLE', 'bundle.items[].auth[]: must be 64 bytes or a WebAuthn assertion')
  const parts = fieldsOf('auth', 'BUNDLE', entry, ['authenticatorData', 'clientDataJSON', 'sig'])
  for (const part of Object.values(parts))
    must(
      part instanceof Uint8Array && part.length <= 1024,
      'BUNDLE',
      'auth: each part must be at most 1024 bytes',
    )
}

function authValue(auth: AuthItem): CborValue {
  if (auth instanceof Uint8Array) return auth
  const { authenticatorData, clientDataJSON, sig } = auth
  return { authenticatorData, clientDataJSON, sig }
}
