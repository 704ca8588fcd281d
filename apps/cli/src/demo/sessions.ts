import { openOwnSession } from '@salus/identity/client'
import { sendForJson, withToken } from '@salus/sdk'
import { ORGS, type World } from './world.ts'

const DAY_MS = 86_400_000

/**
 * The story moves time by years, and sessions end with it: everybody signs in again, so that the tokens that the demo
 * prints are good. Administrators sign in at their node's console, staff through them, people with their own keys.
 */
export async function renewSessions(world: World): Promise<void> {
  const running = world.net.running()
  for (const [key, admin] of world.admins) {
    if (!running.includes(ORGS[key])) continue
    const { staff } = world.net.node(ORGS[key]).identity
    const member = staff.list().find(({ name }) => name === admin.name)
    if (member === undefined) continue
    const { token } = staff.openSession(member.practitioner, 30 * DAY_MS)
    world.admins.set(key, { ...admin, token, connection: withToken(world.connections[key], token) })
  }
  for (const [as, one] of world.staff) {
    const key = one.org === ORGS.a ? 'a' : one.org === ORGS.b ? 'b' : 'c'
    const admin = world.admins.get(key)
    if (admin === undefined || !running.includes(one.org)) continue
    const path = `/staff/${encodeURIComponent(one.practitioner)}/sessions`
    const { token } = (await sendForJson(admin.connection, 'POST', path, { json: {} })) as { token: string }
    world.staff.set(as, { ...one, token, connection: withToken(world.connections[key], token) })
  }
  for (const person of world.people.values())
    for (const key of ['a', 'b', 'c'] as const) {
      if (!person.sessions.has(ORGS[key]) || !running.includes(ORGS[key])) continue
      try {
        const { context } = world
        const session = await openOwnSession(world.connections[key], {
          org: ORGS[key],
          person: person.person,
          context,
        })
        person.sessions.set(ORGS[key], session)
      } catch {
        // Her link there ended with the story: the token that is printed is the one of an organisation that knows her.
        person.sessions.delete(ORGS[key])
      }
    }
}
