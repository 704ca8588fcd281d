import { AppError, toBase64url, toHex } from '@salus/core'
import { json, type Route } from '@salus/server'
import type { FactLog } from '../fact-log.ts'
import type { LedgerPart } from '../ledger-part.ts'
import type { Organisation } from '../organisation.ts'
import { tile } from './ledger.ts'

export interface PublicRoutesParts {
  readonly organisation: Organisation
  readonly genesis: Uint8Array
  readonly url: () => string
  readonly ledger: LedgerPart
  readonly factLog: FactLog
  readonly rootProvider: { readonly kind: string; readonly protects: string }
  readonly version: string
  readonly isReady: () => boolean
  readonly figures: () => Promise<Readonly<Record<string, number>>>
}

/** What anybody may know of a node: that it works, who it is, its log. */
export function publicRoutes(parts: PublicRoutesParts): Route[] {
  const { organisation, ledger, factLog } = parts
  const chain = toHex(ledger.ledger.chainId)
  return [
    {
      method: 'GET',
      path: '/health',
      summary: 'Whether this node works, and what a person must look at',
      audience: 'anyone',
      handle() {
        const { head, headAgeMs, alarms, ...health } = ledger.engine.health()
        return json({
          organisation: organisation.org,
          version: parts.version,
          genesisId: chain,
          engine: { ...health, height: head.height, timeMs: head.timeMs, headAgeMs },
          alarms: alarms.map(({ code, message, height }) => ({ code, message, height })),
          log: {
            size: factLog.tiles.size,
            anchoredSize: factLog.anchor()?.size ?? 0,
            problem: factLog.problem ?? null,
          },
          rootKey: parts.rootProvider,
        })
      },
    },
    {
      method: 'GET',
      path: '/ready',
      summary: '200 when this node takes requests',
      audience: 'anyone',
      handle() {
        if (!parts.isReady()) throw new AppError('UNAVAILABLE', 'node: is starting or stopping; try again')
        return json({ ready: true })
      },
    },
    {
      method: 'GET',
      path: '/genesis',
      summary: 'The genesis of this network; its SHA-256 is the genesis id',
      audience: 'anyone',
      handle: () => json({ genesisId: chain, genesis: toBase64url(parts.genesis) }),
    },
    {
      method: 'GET',
      path: '/organisation',
      summary: 'Who runs this node, and its public keys',
      audience: 'anyone',
      handle() {
        const { org, sign, seal, log } = organisation
        return json({
          org,
          url: parts.url(),
          fhirBase: `${parts.url()}/fhir`,
          sign: toBase64url(sign.publicKey),
          seal: toBase64url(seal.publicKey),
          log: toBase64url(log.publicKey),
          logOrigin: factLog.tiles.origin,
        })
      },
    },
    {
      method: 'GET',
      path: '/log/*',
      summary: 'This organisation’s fact log as C2SP tlog-tiles: salted leaves only',
      audience: 'anyone',
      async handle({ params }) {
        const path = params['*'] ?? ''
        return tile(await factLog.tiles.resource(path), path)
      },
    },
    {
      method: 'GET',
      path: '/figures',
      summary: 'Counts and sizes of this node’s stores',
      audience: 'admin',
      async handle() {
        return json(await parts.figures())
      },
    },
  ]
}
