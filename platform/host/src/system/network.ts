import { type Network, unreachable } from '../network.ts'

/** The machine's network. Redirects are not followed: a member's address is what the ledger says. */
export function systemNetwork(): Network {
  return {
    async fetch(url, init = {}) {
      try {
        return await globalThis.fetch(url, { redirect: 'manual', ...init })
      } catch (error) {
        if (init.signal?.aborted) throw init.signal.reason
        throw unreachable(url, error)
      }
    },
  }
}
