import { AppError, bool, fromBase64url, object, type Random, type Schema, toBase64url } from '@salus/core'
import type { Clock } from '@salus/host'
import { governance, signBody } from '@salus/ledger'
import { json, type Route, route } from '@salus/server'
import type { LedgerAccess } from '../ledger-access.ts'
import type { Organisation } from '../organisation.ts'

const BODY_LIFE_MS = 5 * 60_000

/** Proposals and votes in the name of this organisation, signed with its `sign` key at an admin's word. */
export function governanceRoutes(parts: {
  readonly access: LedgerAccess
  readonly organisation: Organisation
  readonly clock: Clock
  readonly random: Random
}): Route[] {
  const { access, organisation, clock, random } = parts
  const change: Schema = governance.calls.propose.input.fields.change
  const execute = (call: string, args: Parameters<typeof signBody>[0]['args']) =>
    access.execute(
      signBody({
        chainId: access.chainId,
        call,
        args,
        untilMs: Math.max(clock.now(), access.head().timeMs) + BODY_LIFE_MS,
        keys: [organisation.sign],
        random,
      }),
    )
  return [
    route<{ change: never }>({
      method: 'POST',
      path: '/governance/proposals',
      summary:
        'Propose a change of members, quotas, parameters or contracts; counts as this organisation’s yes',
      audience: 'admin',
      body: object('A proposal', { change }),
      async handle({ body }) {
        const p = random(16)
        const { height } = await execute('governance/propose', { p, change: body.change })
        return json({ p: toBase64url(p), height }, 201)
      },
    }),
    route<{ yes: boolean }>({
      method: 'POST',
      path: '/governance/proposals/:p/votes',
      summary: 'Vote on a proposal, once',
      audience: 'admin',
      body: object('A vote', { yes: bool('For the proposal') }),
      async handle({ params, body }) {
        const p = fromBase64url(params['p'] ?? '')
        if (p.length !== 16)
          throw new AppError('BAD_REQUEST', 'p: must be the id that the proposal was answered with')
        const { height } = await execute('governance/vote', { p, yes: body.yes })
        return json({ height })
      },
    }),
  ]
}
