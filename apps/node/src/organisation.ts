import { type SealKeyPair, type SigningKey, sealKeyPair, signingKey } from '@salus/core'
import { type Keystore, organisationKey } from '@salus/keys/organisation'
import type { MemberForm } from '@salus/ledger'

/** The organisation's own keys, opened. */
export interface Organisation {
  readonly org: string
  readonly sign: SigningKey
  readonly seal: SealKeyPair
  readonly log: SigningKey
  /** Secrets of stores: look-up of record ids, terms and links at rest, sessions. 32 B each. */
  readonly ridKey: Uint8Array
  readonly storeKey: Uint8Array
}

/** The newest number of one of the organisation's keys. */
function newest(keystore: Keystore, name: Parameters<typeof organisationKey>[0]): string {
  let number = 1
  while (keystore.has(organisationKey(name, number + 1))) number += 1
  return organisationKey(name, number)
}

/** Opens the organisation's keys; makes those that are missing, so a first start needs nothing prepared. */
export async function openOrganisation(keystore: Keystore, org: string): Promise<Organisation> {
  const seed = (name: Parameters<typeof organisationKey>[0]) => keystore.getOrMake(newest(keystore, name))
  return {
    org,
    sign: signingKey(await seed('sign')),
    seal: sealKeyPair(await seed('seal')),
    log: signingKey(await seed('log')),
    ridKey: await seed('link'),
    storeKey: await seed('session'),
  }
}

/** The public card by which a network's genesis or a vote admits the organisation. */
export function memberCard(
  organisation: Organisation,
  { name, url }: { name: string; url: string },
): MemberForm {
  return {
    org: organisation.org,
    name,
    url,
    sign: organisation.sign.publicKey,
    seal: organisation.seal.publicKey,
    log: organisation.log.publicKey,
  }
}
