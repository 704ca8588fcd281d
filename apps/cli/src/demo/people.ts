import type { Connection } from '@salus/sdk'
import { expectThat } from './story.ts'
import type { DemoPerson, World } from './world.ts'

export function personOf(world: World, as: string): DemoPerson {
  const person = world.people.get(as)
  expectThat(person !== undefined, `${as} has an account`)
  return person
}

export function sessionOf(person: DemoPerson, org: string): Connection {
  const session = person.sessions.get(org)
  expectThat(session !== undefined, `a session at ${org}`)
  return session
}
