import { AppError, type SigningKey, toBase64url } from '@salus/core'
import { type Keyring, linkKey, linkSub, makeLink } from '@salus/keys'
import { type Connection, sendFor, withToken } from '@salus/sdk'
import { type enrolmentForm, sessionForm, signedJson, wrappedForm } from './forms.ts'
import { changeKeyring, storeKeyring } from './home.ts'
import { signSessionRequest } from './link-session.ts'
import { type DeviceContext, linkPapers, type Person } from './person.ts'

/** Opens a session at `org` with a link key. Returns the connection with it. Throws AppError `UNAUTHENTICATED`. */
export async function openSession(
  connection: Connection,
  input: { readonly org: string; readonly key: SigningKey; readonly context: DeviceContext },
): Promise<Connection> {
  const { org, key, context } = input
  const { chainId, clock, random } = context
  const request = signSessionRequest(key, { org, chainId, timeMs: clock.now(), random })
  const { token } = await sendFor(connection, 'POST', '/sessions/link', sessionForm, {
    json: {
      linkKey: toBase64url(request.linkKey),
      timeMs: request.timeMs,
      nonce: toBase64url(request.nonce),
      sig: toBase64url(request.sig),
    },
  })
  return withToken(connection, token)
}

/** A session with the person's own link key there. Throws AppError `KEYRING_LINK` when she is not enrolled there. */
export async function openOwnSession(
  connection: Connection,
  input: { readonly org: string; readonly person: Person; readonly context: DeviceContext },
): Promise<Connection> {
  const { org, person, context } = input
  const key = linkKey(person.keyring, org)
  if (key === undefined)
    throw new AppError('KEYRING_LINK', 'org: the keyring has no link key for it; enrol there first', { org })
  return openSession(connection, { org, key, context })
}

/**
 * Enrols at an organisation with a code from its desk: registers a link key and hands over the write card, so that
 * what it holds, and what it writes from now on, opens to her keys. The keyring is stored at home before the key is
 * used, except when this is home and the account's first place: then right after.
 */
export function enrolAt(connection: Connection, input: Enrolment): Promise<Enrolled> {
  return register(connection, '/enrolments', input)
}

/**
 * Enrols anew where the person was enrolled, with an account that she had to make again: the code is for one who lost
 * every way into the old. The old key ends there, and with it her delegates' keys and the grants that it signed.
 */
export function enrolAgainAt(connection: Connection, input: Enrolment): Promise<Enrolled> {
  return register(connection, '/re-enrolments', input)
}

export interface Enrolment {
  readonly org: string
  readonly code: string
  readonly person: Person
  readonly context: DeviceContext
  /** Session at home; left out for the first enrolment, at home itself. */
  readonly home?: Connection
}

export interface Enrolled {
  readonly person: Person
  readonly session: Connection
  readonly sub: Uint8Array
  readonly wrapped: number
}

async function register(connection: Connection, path: string, input: Enrolment): Promise<Enrolled> {
  const { org, code, context, home } = input
  const made = makeLink(input.person.keyring, org, context.random)
  // The same key in every attempt, on top of whatever another device stored meanwhile.
  const addKey = (keyring: Keyring): Keyring => ({
    ...keyring,
    links: [...keyring.links.filter((each) => each.org !== org), { org, seed: made.key.seed }],
  })
  let person: Person =
    home === undefined
      ? { ...input.person, keyring: made.keyring }
      : await changeKeyring(home, { person: input.person, context, change: addKey })
  const papers = linkPapers(context, { keyring: person.keyring, home: person.home, org })
  const { wrapped } = await sendFor(connection, 'POST', path, wrappedForm, {
    json: {
      code,
      statement: signedJson(papers.statement),
      card: signedJson(papers.card),
    } satisfies { [K in keyof (typeof enrolmentForm)['fields']]: unknown },
  })
  const session = await openSession(connection, { org, key: made.key, context })
  if (home === undefined) person = await storeKeyring(session, { person, context })
  return { person, session, sub: linkSub(person.keyring, org), wrapped }
}
