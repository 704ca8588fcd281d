import { AppError, type Random } from '@salus/core'
import type { Clock } from '@salus/host'
import { send } from '@salus/sdk'
import { signOrgMessage } from '@salus/server'
import type { IdentityKeys, OrgTransport } from './ports.ts'
import { pause, WAITS_MS } from './settle.ts'

const CBOR = 'application/cbor'

export interface RelayParts {
  readonly keys: IdentityKeys
  readonly transport: OrgTransport
  readonly clock: Clock
  readonly random: Random
}

/** Terms sealed to one organisation by the device (protocol §4, step 4); home cannot open them. */
export interface GrantPackage {
  readonly to: string
  readonly g: Uint8Array
  readonly role: 'custodian' | 'grantee'
  readonly sealed: Uint8Array
}

export interface Relayed {
  readonly to: string
  readonly role: GrantPackage['role']
  readonly delivered: boolean
  /** As the recipient answered; a grantee's signed acceptance. */
  readonly answer?: Uint8Array
  readonly code?: string
  readonly detail?: string
}

/**
 * Brings each package to its organisation, again where its node has not executed the grant's block yet; tells for each
 * how that went.
 */
export async function relayPackages(
  parts: RelayParts,
  packages: readonly GrantPackage[],
): Promise<Relayed[]> {
  return Promise.all(packages.map((each) => relayOne(parts, each)))
}

async function relayOne(parts: RelayParts, { to, g, role, sealed }: GrantPackage): Promise<Relayed> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await sendToOrg(parts, {
        to,
        path: '/org/grants',
        kind: 'grant',
        payload: { g, role, sealed },
      })
      return { to, role, delivered: true, answer }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      const notThereYet = error.code === 'TERMS_REFUSED' && error.data['path'] === 'g'
      const waitMs = notThereYet ? WAITS_MS[attempt] : undefined
      if (waitMs === undefined) return { to, role, delivered: false, code: error.code, detail: error.message }
      await pause(parts.clock, waitMs)
    }
  }
}

/** Signs a message to another organisation and sends it. Returns the answer's bytes. Throws its AppError. */
export async function sendToOrg(
  { keys, transport, clock, random }: RelayParts,
  message: {
    readonly to: string
    readonly path: string
    readonly kind: string
    readonly payload: Parameters<typeof signOrgMessage>[0]['payload']
  },
): Promise<Uint8Array> {
  const { to, kind, payload } = message
  const body = signOrgMessage(
    { from: keys.org, to, kind, payload },
    { key: keys.sign, chainId: keys.chainId, clock, random },
  )
  const answer = await send(transport.connection(to), 'POST', message.path, { raw: { type: CBOR, body } })
  return answer.body
}
