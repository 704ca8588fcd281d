import { equal, type SigningKey, toBase64url } from '@salus/core'
import type { Keyring } from '@salus/keys'
import { type Connection, sendForJson } from '@salus/sdk'
import { encodeTerms } from '../terms.ts'
import { signTermsLink } from '../terms-link.ts'
import { grantsAt } from './list-grants.ts'

/** At most this many in one request. */
const LINKS_PER_REQUEST = 500

/**
 * After a link key was replaced: signs the terms of the person's own grants at a custodian with the new one (`key`, of
 * the session that `connection` has there), so that they go on. What her keyring does not control stays behind: a grant
 * that somebody made with the old key ends with it. Returns how many go on.
 */
export async function relinkGrants(
  connection: Connection,
  input: { readonly keyring: Keyring; readonly key: SigningKey; readonly chainId: Uint8Array },
): Promise<number> {
  const { keyring, key, chainId } = input
  const held = await grantsAt(connection)
  const links = held
    .filter(({ g, terms, withdrawn }) => {
      const hers = keyring.controllers.some(({ id }) => equal(id, g))
      return hers && !withdrawn && terms.mandate === undefined
    })
    .map(({ g, terms }) => ({
      g: toBase64url(g),
      sig: toBase64url(signTermsLink(key, chainId, encodeTerms(terms))),
    }))
  for (let from = 0; from < links.length; from += LINKS_PER_REQUEST)
    await sendForJson(connection, 'POST', '/me/grants/links', {
      json: { links: links.slice(from, from + LINKS_PER_REQUEST) },
    })
  return links.length
}
