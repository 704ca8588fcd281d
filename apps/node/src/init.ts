import { Keystore, openRoot } from '@salus/keys/organisation'
import type { MemberForm } from '@salus/ledger'
import type { NodeHost } from './host.ts'
import { memberCard, openOrganisation } from './organisation.ts'
import { PATHS } from './stores.ts'

/**
 * Makes (or opens) an organisation's keystore and returns its public card, by which a genesis or a vote admits it.
 * Done before the first start, because a node needs the genesis and the genesis needs the card.
 */
export async function initOrganisation(
  host: Pick<NodeHost, 'disk' | 'root' | 'random' | 'clock'>,
  { org, name, url }: { readonly org: string; readonly name: string; readonly url: string },
): Promise<MemberForm> {
  const { disk, random, clock } = host
  const root = await openRoot({ choice: host.root, disk, path: PATHS.keystore, random })
  try {
    const keystore = await Keystore.open({ disk, path: PATHS.keystore, root, random, clock })
    try {
      return memberCard(await openOrganisation(keystore, org), { name, url })
    } finally {
      await keystore.close()
    }
  } finally {
    root.close()
  }
}
