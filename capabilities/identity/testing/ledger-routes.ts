import { AppError, fromJson, toBase64url, toJson, utf8 } from '@salus/core'
import type { Item } from '@salus/ledger'
import type { TestLedger } from '@salus/ledger/testing'
import { itemForm } from '@salus/sdk'
import { json, type Route, route } from '@salus/server'

/** The ledger's routes, as small as devices need them: a body is final when it is taken. */
export function ledgerRoutes({
  chain,
  block,
}: {
  readonly chain: TestLedger
  readonly block: (items: readonly Item[]) => ReturnType<TestLedger['block']>
}): Route[] {
  const done = new Map<string, unknown>()
  return [
    route<Item & { auth: Uint8Array[] }>({
      method: 'POST',
      path: '/tx',
      summary: 'Submit',
      audience: 'anyone',
      body: itemForm,
      handle({ body }) {
        const [result] = block([body]).results
        if (result === undefined) throw new AppError('TX_REFUSED', 'tx: refused')
        const txId = toBase64url(result.txId)
        const { height } = chain.ledger.head
        done.set(txId, { state: 'final', height, index: 0, code: result.code, name: String(result.code) })
        return json({ txId, acceptance: toBase64url(utf8('a')), sig: toBase64url(new Uint8Array(64)) }, 202)
      },
    }),
    {
      method: 'GET',
      path: '/tx/:txId',
      summary: 'Status',
      audience: 'anyone',
      handle: ({ params }) => json(done.get(params['txId'] ?? '') ?? { state: 'unknown' }),
    },
    {
      method: 'GET',
      path: '/ledger/head',
      summary: 'Head',
      audience: 'anyone',
      handle: () => {
        const { height, timeMs, stateRoot } = chain.ledger.head
        return json({ height, timeMs, stateRoot: toBase64url(stateRoot) })
      },
    },
    {
      method: 'POST',
      path: '/ledger/query/:contract/:name',
      summary: 'Query',
      audience: 'anyone',
      rawBody: 'application/json',
      handle({ params, body }) {
        const { contract = '', name = '' } = params
        const form = chain.ledger.active.get(contract)?.schema.queries[name]
        if (form === undefined) throw new AppError('NOT_FOUND', 'query')
        const given = JSON.parse(new TextDecoder().decode(body)) as Record<string, string>
        const input = fromJson(form.input, given)
        const answer = chain.ledger.queryByName(contract, name, input)
        const { output } = form
        return json(
          answer === undefined
            ? null
            : toJson(output.kind === 'optional' ? output.inner : output, answer as never),
        )
      },
    },
  ]
}
