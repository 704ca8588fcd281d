import { AppError } from '@salus/core'
import type { Network } from '@salus/host'
import { BLOCKS_MAX_BYTES } from './blocks-answer.ts'

/** How a follower reaches the operator. */
export interface OperatorTransport {
  /**
   * Blocks from a height on (`BlocksAnswer`); the operator may wait up to `waitMs` for one, or for a cosigned checkpoint
   * of more than `cosignedSize` blocks.
   */
  blocks(from: number, waitMs: number, signal: AbortSignal, cosignedSize: number): Promise<Uint8Array>
  /** Gives a bundle to be ordered. The operator's own refusal comes out as it went in. */
  submit(bundle: Uint8Array): Promise<void>
  /** Hands in a cosignature: a note of a checkpoint of the block log. */
  cosign(note: string): Promise<void>
}

/** The operator's routes over HTTP: `GET /ledger/blocks`, `POST /ledger/bundles`, `POST /ledger/cosign`. */
export function httpTransport({ network, url }: { network: Network; url: string }): OperatorTransport {
  const base = url.replace(/\/+$/, '')

  async function send(path: string, init: RequestInit): Promise<Response> {
    const response = await network.fetch(`${base}${path}`, init)
    if (response.ok) return response
    throw await problemOf(response)
  }

  return {
    async blocks(from, waitMs, signal, cosignedSize) {
      const response = await send(`/ledger/blocks?from=${from}&waitMs=${waitMs}&cosigned=${cosignedSize}`, {
        signal,
      })
      const bytes = new Uint8Array(await response.arrayBuffer())
      if (bytes.length > 2 * BLOCKS_MAX_BYTES)
        throw new AppError('BLOCKS_ANSWER', `blocks answer: more than ${2 * BLOCKS_MAX_BYTES} bytes`)
      return bytes
    },
    async submit(bundle) {
      const headers = { 'content-type': 'application/cbor' }
      await send('/ledger/bundles', { method: 'POST', headers, body: bundle as Uint8Array<ArrayBuffer> })
    },
    async cosign(note) {
      await send('/ledger/cosign', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: note })
    },
  }
}

/** The operator's problem+json as the AppError that it was; anything else is UNREACHABLE with the status. */
async function problemOf(response: Response): Promise<AppError> {
  const text = (await response.text()).slice(0, 10_000)
  try {
    const { code, detail, data } = JSON.parse(text) as { code?: unknown; detail?: unknown; data?: unknown }
    if (typeof code === 'string')
      return new AppError(
        code,
        String(detail ?? code),
        typeof data === 'object' && data !== null ? { ...data } : {},
      )
  } catch {}
  return new AppError('UNREACHABLE', `the operator answered ${response.status}; try again later`, {
    status: response.status,
  })
}
