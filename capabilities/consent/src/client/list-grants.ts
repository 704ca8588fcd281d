import { bool, bytes, fromJson, type Infer, list, object, toBase64url, toJson, uint } from '@salus/core'
import type { Keyring } from '@salus/keys'
import { type Connection, sendFor, sendForJson } from '@salus/sdk'
import { consentSchema } from '../../contract/schema.ts'
import { decodeTerms, type Terms } from '../terms.ts'

const { input: grantQuery, output: grantAnswer } = consentSchema.queries.grant
type GrantRow = Infer<typeof grantAnswer.inner>

/** A grant that the keyring controls, as the ledger has it now. */
export interface OwnGrant {
  readonly g: Uint8Array
  /** Undefined where the ledger does not know it (yet). */
  readonly row: GrantRow | undefined
}

/** The grants whose controller keys are in the keyring, with their state on the ledger. */
export async function listGrants(
  connection: Connection,
  { keyring }: { readonly keyring: Keyring },
): Promise<OwnGrant[]> {
  const ids = keyring.controllers.filter(({ kind }) => kind === 'grant').map(({ id }) => id)
  return Promise.all(ids.map(async (g) => ({ g, row: await grantRow(connection, g) })))
}

/** One grant on the ledger; undefined where it does not know it. */
export async function grantRow(connection: Connection, g: Uint8Array): Promise<GrantRow | undefined> {
  const answer = await sendForJson(connection, 'POST', '/ledger/query/consent/grant', {
    json: toJson(grantQuery, { g }),
  })
  return answer === undefined || answer === null ? undefined : fromJson(grantAnswer.inner, answer)
}

export const heldGrantsForm = object('My grants at this custodian', {
  grants: list(
    object('', {
      g: bytes('Grant', { length: 16 }),
      terms: bytes('Encoded terms', { max: 256 * 1024 }),
      withdrawn: bool('A withdrawal was seen here'),
      requests: uint('Requests counted under it'),
      last: bytes('H of the last request; zeros before the first', { length: 32 }),
    }),
    { max: 20_000 },
  ),
})

/** A grant with its terms, as the custodian keeps them. */
export interface HeldGrant {
  readonly g: Uint8Array
  readonly terms: Terms
  readonly withdrawn: boolean
  /** How far the sequence of requests got: what lists of accesses must reach. */
  readonly requests: number
  readonly last: Uint8Array
}

/** What a custodian (a session there) holds of the person's grants. */
export async function grantsAt(connection: Connection): Promise<HeldGrant[]> {
  const { grants } = await sendFor(connection, 'GET', '/me/grants', heldGrantsForm)
  return grants.map(({ terms, ...rest }) => ({ ...rest, terms: decodeTerms(terms) }))
}

/** What the custodian answers at `/me/grants`. */
export const heldGrantJson = (held: {
  readonly g: Uint8Array
  readonly terms: Uint8Array
  readonly withdrawn: boolean
  readonly requests: number
  readonly last: Uint8Array
}) => ({
  ...held,
  g: toBase64url(held.g),
  terms: toBase64url(held.terms),
  last: toBase64url(held.last),
})
