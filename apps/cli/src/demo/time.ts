import { openOwnSession } from '@salus/identity/client'
import { head, sendForJson, withToken } from '@salus/sdk'
import { adminOf } from './steps/enrol.ts'
import { ORGS, type World } from './world.ts'

const POLL_MS = 10

/**
 * Moves the network's time on. People's and staff's sessions live for half a day, so everybody who has one signs in
 * again, as on any other morning.
 */
export async function letTimePass(world: World, ms: number): Promise<void> {
  await world.net.advance(ms)
  await signInAgain(world)
}

export async function signInAgain(world: World): Promise<void> {
  const { context, people, staff } = world
  const holders = [...people.values()].flatMap(({ person, sessions }) =>
    [...sessions.keys()].map(async (org) => {
      sessions.set(org, await openOwnSession(connectionTo(world, org), { org, person, context }))
    }),
  )
  const members = [...staff].map(async ([as, member]) => {
    const path = `/staff/${encodeURIComponent(member.practitioner)}/sessions`
    const { token } = (await sendForJson(adminOf(world, keyOf(member.org)), 'POST', path)) as {
      token: string
    }
    staff.set(as, { ...member, token, connection: withToken(connectionTo(world, member.org), token) })
  })
  await Promise.all([...holders, ...members])
}

/** Waits until every running node has executed what the first one has: what comes next may ask any of them. */
export async function everybodyKnows(world: World): Promise<void> {
  const { height } = await head(world.connections.a)
  for (const org of world.net.running())
    while ((await head(connectionTo(world, org))).height < height)
      await new Promise<void>((resolve) => void world.context.clock.schedule(POLL_MS, resolve))
}

/** An organisation's node, without a session. */
export function connectionTo(world: World, org: string) {
  return world.connections[keyOf(org)]
}

function keyOf(org: string): 'a' | 'b' | 'c' {
  return org === ORGS.a ? 'a' : org === ORGS.b ? 'b' : 'c'
}
