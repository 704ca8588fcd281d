import { AppError, type VerifierKey } from '@salus/core'
import type { Clock, Network } from '@salus/host'
import type { TileLog } from './tile-log.ts'
import { formatAddCheckpoint, readSize } from './witness-request.ts'

export interface WitnessAddress {
  /** The cosigner's key, type 0x04. */
  readonly key: VerifierKey
  /** Submission prefix, without the slash at its end. */
  readonly url: string
}

export type WitnessOutcome =
  | { readonly status: 'cosigned'; readonly size: number }
  /** The witness has cosigned a larger log than this one: it was rolled back, here or in a copy. */
  | { readonly status: 'rolled-back'; readonly size: number }
  /** The witness holds another history of the same log. */
  | { readonly status: 'forked' }
  | { readonly status: 'refused'; readonly httpStatus: number }
  | { readonly status: 'unreachable' }

const TIMEOUT_MS = 10_000
const ANSWER_MAX_BYTES = 64 * 1024

/** Asks one witness after another for cosignatures; it remembers how far each is, so that one request is enough. */
export class WitnessClient {
  readonly #log: TileLog
  readonly #network: Network
  readonly #clock: Clock
  readonly #sizes = new Map<string, number>()

  constructor({
    log,
    network,
    clock,
  }: { readonly log: TileLog; readonly network: Network; readonly clock: Clock }) {
    this.#log = log
    this.#network = network
    this.#clock = clock
  }

  /** Has the present checkpoint cosigned and stores what comes back. A witness that fails does not hold up the others. */
  collect(witnesses: readonly WitnessAddress[]): Promise<WitnessOutcome[]> {
    const { size } = this.#log
    return Promise.all(witnesses.map((witness) => this.#ask(witness, size)))
  }

  async #ask({ key, url }: WitnessAddress, size: number): Promise<WitnessOutcome> {
    let oldSize = Math.min(this.#sizes.get(url) ?? 0, size)
    // A second try covers a witness that is further than remembered, a third one that moved in between.
    for (let attempt = 0; attempt < 3; attempt++) {
      const checkpoint = await this.#log.checkpointAt(size)
      const body = formatAddCheckpoint({
        oldSize,
        proof: await this.#log.consistency(oldSize, size),
        checkpoint,
      })
      const answer = await this.#post(`${url}/add-checkpoint`, body)
      if (!answer) return { status: 'unreachable' }
      if (answer.status === 200) {
        try {
          await this.#log.addCosignatures(checkpoint + answer.text, [key])
        } catch (error) {
          if (error instanceof AppError && error.code.startsWith('NOTE'))
            return { status: 'refused', httpStatus: 200 }
          throw error
        }
        this.#sizes.set(url, size)
        return { status: 'cosigned', size }
      }
      if (answer.status === 422 && oldSize > 0) return { status: 'forked' }
      const known = answer.status === 409 ? readSize(answer.text.trimEnd()) : undefined
      if (known === undefined) return { status: 'refused', httpStatus: answer.status }
      if (known === oldSize) return { status: 'forked' }
      if (known > this.#log.size) return { status: 'rolled-back', size: known }
      // Another request of ours, or of a copy, went ahead: what it cosigned covers this size.
      if (known > size) return this.#ask({ key, url }, this.#log.size)
      oldSize = known
      this.#sizes.set(url, known)
    }
    return { status: 'refused', httpStatus: 409 }
  }

  async #post(url: string, body: string): Promise<{ status: number; text: string } | undefined> {
    const control = new AbortController()
    const timer = this.#clock.schedule(TIMEOUT_MS, () => control.abort())
    try {
      const response = await this.#network.fetch(url, { method: 'POST', body, signal: control.signal })
      const text = await boundedText(response)
      return text === undefined ? undefined : { status: response.status, text }
    } catch {
      return undefined
    } finally {
      timer.cancel()
    }
  }
}

async function boundedText(response: Response): Promise<string | undefined> {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  for (let part = await reader?.read(); reader && part && !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true })
    if (text.length > ANSWER_MAX_BYTES) {
      await reader.cancel()
      return undefined
    }
  }
  return text + decoder.decode()
}
