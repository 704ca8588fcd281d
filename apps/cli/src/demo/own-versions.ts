import type { HeldVersion } from '@salus/consent'
import { heldVersion, listOwnVersions, openOwnVersions } from '@salus/records/client'
import { sessionOf } from './people.ts'
import type { DemoPerson, World } from './world.ts'

/** Her current versions at an organisation, opened on her device with her own keys, as a decision sees them. */
export async function ownVersions(world: World, person: DemoPerson, org: string): Promise<HeldVersion[]> {
  const session = sessionOf(person, org)
  const listed = (await listOwnVersions(session)).filter(({ current }) => current)
  const opened = await openOwnVersions(session, {
    keyring: person.person.keyring,
    chainId: world.context.chainId,
    versions: listed,
  })
  return opened.map((version) => heldVersion(version, person.patient))
}
