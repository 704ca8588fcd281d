import {
  AppError,
  bytes,
  type CborValue,
  check,
  decode,
  encode,
  type Infer,
  object,
  type Random,
  type SigningKey,
  signAs,
  text,
  toHex,
  tuple,
  uint,
  verifyAs,
} from '@salus/core'
import type { Clock } from '@salus/host'

/** How far two organisations' clocks may differ before a message is refused. */
const WINDOW_MS = 5 * 60_000
const MAX_PAYLOAD_BYTES = 1024 * 1024

const orgMessageForm = object('What one organisation tells another', {
  v: uint('Form version', { max: 1 }),
  from: text('Sender', { min: 1, max: 63 }),
  to: text('Recipient', { min: 1, max: 63 }),
  kind: text('What the payload is', { min: 1, max: 64 }),
  timeMs: uint('When it was sent, ms UTC'),
  nonce: bytes('Random, so that it counts once', { length: 16 }),
  payload: bytes('DAG-CBOR of the kind', { max: MAX_PAYLOAD_BYTES }),
})

export type OrgMessage = Infer<typeof orgMessageForm>

/** Signs a message to another organisation: DAG-CBOR of `(message, signature)`, signature type `statement`. */
export function signOrgMessage(
  message: { readonly from: string; readonly to: string; readonly kind: string; readonly payload: CborValue },
  parts: {
    readonly key: SigningKey
    readonly chainId: Uint8Array
    readonly clock: Clock
    readonly random: Random
  },
): Uint8Array {
  const { from, to, kind, payload } = message
  const form: OrgMessage = {
    v: 1,
    from,
    to,
    kind,
    timeMs: parts.clock.now(),
    nonce: parts.random(16),
    payload: encode(payload),
  }
  const encoded = encode(form as unknown as CborValue)
  return tuple(encoded, signAs(parts.key, 'statement', parts.chainId, encoded))
}

/** Reads messages of other organisations: signature by the key that the ledger gives, time window, each once. */
export class OrgMessages {
  readonly #seen = new Map<string, number>()
  readonly #org: string
  readonly #chainId: Uint8Array
  readonly #clock: Clock
  readonly #signKeyOf: (org: string) => Uint8Array | undefined

  constructor(parts: {
    readonly org: string
    readonly chainId: Uint8Array
    readonly clock: Clock
    /** The registered `sign` key of an active member; undefined for anybody else. */
    readonly signKeyOf: (org: string) => Uint8Array | undefined
  }) {
    this.#org = parts.org
    this.#chainId = parts.chainId
    this.#clock = parts.clock
    this.#signKeyOf = parts.signKeyOf
  }

  /** Throws AppError `UNAUTHENTICATED` (signature, sender, recipient, time) or `CONFLICT` (seen before). */
  open(signed: Uint8Array, kind: string): { readonly from: string; readonly payload: CborValue } {
    const parts = decode(signed, { maxBytes: MAX_PAYLOAD_BYTES + 4_096 })
    if (!Array.isArray(parts) || !(parts[0] instanceof Uint8Array) || !(parts[1] instanceof Uint8Array))
      throw new AppError('BAD_REQUEST', 'body: must be the pair (message, signature)')
    const [encoded, sig] = parts as [Uint8Array, Uint8Array]
    const message = check(orgMessageForm, decode(encoded, { maxBytes: MAX_PAYLOAD_BYTES + 2_048 }))
    const key = this.#signKeyOf(message.from)
    const refuse = (rule: string): never => {
      throw new AppError('UNAUTHENTICATED', `message: ${rule}`)
    }
    if (key === undefined) return refuse('its sender is no active member of this network')
    if (!verifyAs(key, 'statement', this.#chainId, encoded, sig)) refuse('its signature is not the sender’s')
    if (message.to !== this.#org || message.kind !== kind)
      refuse('it is meant for somebody or something else')
    const nowMs = this.#clock.now()
    if (Math.abs(nowMs - message.timeMs) > WINDOW_MS)
      refuse('its time is more than five minutes off; check the clocks')
    this.#countOnce(toHex(message.nonce), message.timeMs, nowMs)
    return { from: message.from, payload: decode(message.payload, { maxBytes: MAX_PAYLOAD_BYTES }) }
  }

  #countOnce(nonce: string, timeMs: number, nowMs: number): void {
    for (const [old, atMs] of this.#seen) {
      if (nowMs - atMs <= 2 * WINDOW_MS) break
      this.#seen.delete(old)
    }
    if (this.#seen.has(nonce)) throw new AppError('CONFLICT', 'message: was received before')
    this.#seen.set(nonce, timeMs)
  }
}
