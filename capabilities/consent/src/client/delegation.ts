import { toBase64url } from '@salus/core'
import { type Connection, sendForJson } from '@salus/sdk'
import type { SignedMandate } from '../terms.ts'

/** A delegate shows her mandate at a custodian (a session there with her own link key): it says what she may see. */
export async function showMandate(
  connection: Connection,
  { mandate }: { readonly mandate: SignedMandate },
): Promise<void> {
  await sendForJson(connection, 'POST', '/me/mandate', {
    json: {
      mandate: toBase64url(mandate.mandate),
      salt: toBase64url(mandate.salt),
      k: toBase64url(mandate.k),
      sig: toBase64url(mandate.sig),
    },
  })
}
