import { consentSchema } from '@salus/consent/contract'
import { fromJson, type Infer, type Schema, toJson } from '@salus/core'
import { organisations } from '@salus/ledger'
import { type Connection, head, sendForJson } from '@salus/sdk'
import { identitySchema } from '../../contract/schema.ts'

/**
 * What devices ask the ledger. Whoever answers can lie, so a guardian asks a node that she trusts, or several; a proof
 * under cosigned blocks is the stronger answer and comes through the same interface.
 */
export interface LedgerReader {
  headTimeMs(): Promise<number>
  recovery(r: Uint8Array): Promise<RecoveryState | undefined>
  delegation(d: Uint8Array): Promise<DelegationState | undefined>
  /** Registered public keys; undefined for no organisation of this network. */
  keysOf(org: string): Promise<{ readonly sign: Uint8Array; readonly seal: Uint8Array } | undefined>
}

export type RecoveryState = Infer<(typeof identitySchema)['queries']['recovery']['output']['inner']>
export type DelegationState = Infer<(typeof consentSchema)['queries']['delegation']['output']['inner']>

/** The ledger as one node shows it. */
export function ledgerReader(connection: Connection): LedgerReader {
  const { recovery } = identitySchema.queries
  const { delegation } = consentSchema.queries
  const { keys } = organisations.queries
  return {
    headTimeMs: async () => (await head(connection)).timeMs,
    recovery: (r) => ask(connection, 'identity/recovery', recovery.input, { r }, recovery.output.inner),
    delegation: (d) =>
      ask(connection, 'consent/delegation', delegation.input, { d }, delegation.output.inner),
    async keysOf(org) {
      const row = await ask(connection, 'organisations/keys', keys.input, { org }, keys.output.inner)
      return row && { sign: row.keys.sign, seal: row.keys.seal }
    },
  }
}

async function ask<I extends Schema, O extends Schema>(
  connection: Connection,
  query: string,
  input: I,
  value: Infer<I>,
  output: O,
): Promise<Infer<O> | undefined> {
  const path = `/ledger/query/${query}`
  const answer = await sendForJson(connection, 'POST', path, { json: toJson(input, value) })
  return answer === null ? undefined : fromJson(output, answer)
}
