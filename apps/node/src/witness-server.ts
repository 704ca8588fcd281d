import type { SigningKey } from '@salus/core'
import { formatVerifierKey, type VerifierKey } from '@salus/core'
import type { Clock, Disk } from '@salus/host'
import { serveHttp } from '@salus/host/system'
import { Witness } from '@salus/log'

export interface WitnessServerOptions {
  /** Rooted at the witness's own directory. */
  readonly disk: Disk
  /** Name in its cosignatures. */
  readonly name: string
  readonly key: SigningKey
  /** Logs that it cosigns: origin and key of each. */
  readonly logs: readonly { readonly origin: string; readonly key: VerifierKey }[]
  readonly clock: Clock
  readonly port: number
  readonly address?: string
}

export interface WitnessServer {
  readonly url: string
  readonly verifierKey: VerifierKey
  /** Lets another log in. */
  addLog(origin: string, key: VerifierKey): Promise<void>
  close(): Promise<void>
}

/** A witness after C2SP tlog-witness, over HTTP: `POST /add-checkpoint`; `GET /` says who it is. */
export async function startWitness(options: WitnessServerOptions): Promise<WitnessServer> {
  const { disk, name, key, logs, clock, port, address } = options
  const witness = await Witness.open({ disk, path: 'state', signer: { name, key }, clock })
  try {
    for (const log of logs) await witness.addLog(log.origin, log.key)
    const listener = await serveHttp(
      async (request) => {
        const { pathname } = new URL(request.url)
        if (request.method === 'POST' && pathname === '/add-checkpoint') {
          const answer = await witness.addCheckpoint(new Uint8Array(await request.arrayBuffer()))
          return new Response(answer.body, {
            status: answer.status,
            headers: { 'content-type': answer.contentType },
          })
        }
        if (request.method === 'GET' && pathname === '/')
          return new Response(`${formatVerifierKey(witness.verifierKey)}\n`, {
            headers: { 'content-type': 'text/plain; charset=utf-8' },
          })
        return new Response('not found\n', { status: 404 })
      },
      { port, ...(address === undefined ? {} : { address }) },
    )
    return {
      url: listener.url,
      verifierKey: witness.verifierKey,
      addLog: (origin, logKey) => witness.addLog(origin, logKey),
      async close() {
        await listener.close()
        await witness.close()
      },
    }
  } catch (error) {
    await witness.close()
    throw error
  }
}
