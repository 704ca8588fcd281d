import { readEvent } from '@salus/audit'
import { openRefusal, openReply, type ReleaseRequest, signRequest, termsHashOf } from '@salus/consent'
import {
  AppError,
  type CborValue,
  decode,
  type SealKeyPair,
  type SignedForm,
  SUITE,
  sealKeyPair,
  sha256,
  tuple,
  verifierKey,
} from '@salus/core'
import { factLogOrigin } from '@salus/log'
import { send } from '@salus/sdk'
import { type GrantMade, HOSPITALS, type Hospital, type Scenario } from '../src/index.ts'

const CBOR = 'application/cbor'

/** What came of a request: how many versions were released, or the code that was told. */
export interface Outcome {
  readonly released: number
  /** `RELEASED`, a refusal's code, or the code of an error. */
  readonly code: string
  readonly marked?: string
  /** Size of a release as it travels, without the proof of its leaf. */
  readonly sizeBytes?: number
}

/** Asks a custodian for versions as a node does, so that a test can change any part of what is sent. */
export class Asking {
  readonly #scenario: Scenario
  readonly #grant: GrantMade
  readonly #from: Hospital
  readonly #to: Hospital
  readonly #key: SealKeyPair
  #last: { readonly seq: number; readonly request: Uint8Array } = { seq: 0, request: new Uint8Array(32) }

  constructor(
    scenario: Scenario,
    grant: GrantMade,
    { from = 'b', to = 'a' }: { from?: Hospital; to?: Hospital } = {},
  ) {
    this.#scenario = scenario
    this.#grant = grant
    this.#from = from
    this.#to = to
    this.#key = sealKeyPair(scenario.context.random(32))
  }

  /** The request that would be answered now. */
  request(): ReleaseRequest {
    const { context, clinician } = this.#scenario
    const { practitioner, credential } = clinician[this.#from]
    const { purpose } = this.#grant.draft.terms
    return {
      v: 1,
      g: this.#grant.g,
      seq: this.#last.seq + 1,
      prev: this.#last.request,
      requestId: context.random(16),
      time: context.clock.now(),
      actor: { org: HOSPITALS[this.#from], practitioner },
      credential,
      purpose,
      action: 'search',
      query: '*',
      replyKey: this.#key.publicKey,
      suite: SUITE,
    }
  }

  /** Signs with the asking organisation's own key. */
  sign(request: ReleaseRequest): SignedForm {
    const { organisation } = this.#scenario.net.node(HOSPITALS[this.#from])
    return signRequest(organisation.sign, this.#scenario.context.chainId, request)
  }

  /** Asks with these members in place of the right ones; undefined takes a member away. */
  async ask(
    change: { readonly [K in keyof ReleaseRequest]?: ReleaseRequest[K] | undefined } = {},
  ): Promise<Outcome> {
    let signed: SignedForm
    const given = Object.entries({ ...this.request(), ...change }).filter(([, value]) => value !== undefined)
    const request = Object.fromEntries(given) as ReleaseRequest
    try {
      signed = this.sign(request)
    } catch (error) {
      return failed(error)
    }
    return this.send(signed, request)
  }

  /** Sends bytes as they are; follows the sequence as the custodian tells it. */
  async send(
    signed: SignedForm,
    request: ReleaseRequest,
    claimed: string = HOSPITALS[this.#from],
  ): Promise<Outcome> {
    const { at, net, context } = this.#scenario
    const { chainId } = context
    const custodian = HOSPITALS[this.#to]
    const { organisation } = net.node(custodian)
    let reply: SignedForm
    try {
      const body = tuple(claimed, signed.bytes, signed.sig)
      const answer = await send(at[this.#to], 'POST', '/org/release', { raw: { type: CBOR, body } })
      reply = pair(decode(answer.body, { maxBytes: 64 * 1024 * 1024 }))
    } catch (error) {
      return failed(error)
    }
    const requestHash = sha256(signed.bytes)
    try {
      const refusal = openRefusal(organisation.sign.publicKey, chainId, reply)
      if (refusal.last !== undefined) this.#last = refusal.last
      return { released: 0, code: refusal.code }
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'BAD_SIGNATURE') throw error
    }
    const origin = factLogOrigin(chainId, custodian)
    const content = openReply(reply, {
      request,
      requestHash,
      termsHash: termsHashOf(this.#grant.draft.encoded),
      replyKey: this.#key,
      custodianKey: organisation.sign.publicKey,
      log: { origin, key: verifierKey(origin, organisation.log.publicKey) },
      chainId,
      requestHashIn: (event) => readEvent(event).grant?.requestHash,
    })
    this.#last = { seq: request.seq, request: requestHash }
    // How long the proof is depends on the log alone.
    const proofBytes = content.opening.proof.length * 34 + content.opening.checkpoint.length
    return {
      released: content.items.length,
      code: 'RELEASED',
      sizeBytes: reply.bytes.length - proofBytes,
      ...(content.marked === undefined ? {} : { marked: content.marked }),
    }
  }
}

function failed(error: unknown): Outcome {
  if (!(error instanceof AppError)) throw error
  return { released: 0, code: error.code }
}

function pair(answer: CborValue): SignedForm {
  const [bytes, sig] = Array.isArray(answer) ? answer : []
  if (!(bytes instanceof Uint8Array) || !(sig instanceof Uint8Array))
    throw new Error('the answer is no signed form')
  return { bytes, sig }
}
