import { AppError } from '@salus/core'

/** Outgoing HTTP. Answers of any status resolve; no answer at all is `AppError UNREACHABLE`. */
export interface Network {
  /** As the platform's fetch, with an absolute `url`. An aborted `init.signal` rejects with its reason. */
  fetch(url: string, init?: RequestInit): Promise<Response>
}

/** Answers requests for one origin. */
export type Serve = (request: Request) => Response | Promise<Response>

/** A network inside one process: the twin for tests and simulation. */
export interface MemoryNetwork extends Network {
  /** Answers for `origin` (`http://name`), until the returned function is called. One server per origin. */
  serve(origin: string, handler: Serve): () => void
  /** The same network seen from a place, so that links can be cut by name. */
  from(place: string): Network
  /** Cuts the link between a place and an origin, both ways of speaking of it; requests become `UNREACHABLE`. */
  cut(place: string, origin: string): void
  /** Cuts everything to `origin`, from every place. */
  stop(origin: string): void
  /** Joins again what was cut or stopped; without arguments everything. */
  join(place?: string, origin?: string): void
}

/** `UNREACHABLE` with the origin only: paths and queries may name a patient. */
export function unreachable(url: string, cause?: unknown): AppError {
  const origin = URL.canParse(url) ? new URL(url).origin : 'an invalid URL'
  return new AppError(
    'UNREACHABLE',
    `no answer from ${origin}; check its address and that it runs`,
    { origin },
    { cause },
  )
}

const EVERYWHERE = '*'

export function memoryNetwork(): MemoryNetwork {
  const servers = new Map<string, Serve>()
  const cuts = new Set<string>()
  const link = (place: string, origin: string) => JSON.stringify([place, new URL(origin).origin])

  async function send(place: string, url: string, init: RequestInit = {}): Promise<Response> {
    init.signal?.throwIfAborted()
    if (!URL.canParse(url)) throw unreachable(url)
    const { origin } = new URL(url)
    const reachable = () => !cuts.has(link(place, origin)) && !cuts.has(link(EVERYWHERE, origin))
    const handler = servers.get(origin)
    if (!handler || !reachable()) throw unreachable(url)
    const request = new Request(url, init)
    const response = await answer(handler, request, url, init.signal ?? undefined)
    // A link cut while the server worked loses the answer, though the work is done.
    if (!reachable()) throw unreachable(url)
    return response
  }

  return {
    fetch: (url, init) => send('', url, init),
    from: (place) => ({ fetch: (url, init) => send(place, url, init) }),
    serve(origin, handler) {
      const name = new URL(origin).origin
      if (servers.has(name))
        throw new AppError('NETWORK_TAKEN', `a server already answers for ${name}`, { origin: name })
      servers.set(name, handler)
      return () => {
        if (servers.get(name) === handler) servers.delete(name)
      }
    },
    cut: (place, origin) => void cuts.add(link(place, origin)),
    stop: (origin) => void cuts.add(link(EVERYWHERE, origin)),
    join(place, origin) {
      if (place === undefined) cuts.clear()
      else if (origin !== undefined) cuts.delete(link(place, origin)) || cuts.delete(link(EVERYWHERE, origin))
    },
  }
}

async function answer(
  handler: Serve,
  request: Request,
  url: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const work = Promise.resolve(request).then(handler)
  if (!signal) return work.catch((cause: unknown) => Promise.reject(unreachable(url, cause)))
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    work
      .then(resolve, (cause: unknown) => reject(unreachable(url, cause)))
      .finally(() => signal.removeEventListener('abort', aborted))
  })
}
