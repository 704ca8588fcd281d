import { relinkGrants } from '@salus/consent/client'
import { consentSchema } from '@salus/consent/contract'
import {
  AppError,
  equal,
  isAppError,
  type SigningKey,
  signAs,
  signingKey,
  toBase64url,
  toHex,
} from '@salus/core'
import {
  type DeviceKeys,
  deviceUnlocker,
  type Keyring,
  linkKey,
  openKeyring,
  renewAll,
  withUnlocker,
} from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, execute, sendFor } from '@salus/sdk'
import { openSession } from './enrol.ts'
import { type replaceLinkForm, signedJson, wrappedForm } from './forms.ts'
import { changeKeyring, fetchKeyring, storeKeyring } from './home.ts'
import { type DeviceContext, linkPapers, type Person } from './person.ts'

const ATTEMPTS = 3
const BODY_LIFE_MS = 5 * 60_000

/**
 * Begins to replace everything that somebody else may know: after a claim the host, after a loss the finder. New `KRK`
 * at once; new epochs; new controller and link keys stand *before* the old ones in the keyring, which keeps both until
 * ledger and organisations have taken the new. So an interruption at any point loses nothing: `finishRenewal` goes on.
 */
export function beginRenewal(
  person: Person,
  { random, clock }: Pick<DeviceContext, 'random' | 'clock'>,
): Person {
  const before = person.keyring
  // An earlier renewal may be unfinished: then the newest keys are renewed, and all older ones are kept to try.
  const newest = {
    ...before,
    controllers: firstOf(before.controllers, ({ id }) => toHex(id)),
    links: firstOf(before.links, ({ org }) => org),
  }
  const renewed = renewAll(newest, { keep: [person.device.id], random, nowMs: clock.now() })
  const controllers = renewed.keyring.controllers.flatMap((made) => {
    const older = before.controllers.filter((each) => equal(each.id, made.id))
    // The ledger cannot replace a delegation's key, nor a recovery's: the owner ends the one and arms the other anew.
    return made.kind === 'grant' ? [made, ...older] : made.kind === 'delegation' ? older : []
  })
  const links = renewed.keyring.links.flatMap((made) => [
    made,
    ...before.links.filter((each) => each.org === made.org),
  ])
  return { ...person, krk: renewed.krk, keyring: { ...renewed.keyring, controllers, links } }
}

/**
 * Takes an account whose `KRK` came to this device: the device becomes its only unlocker, and the renewal begins. Again
 * when somebody changed the keyring in between. `home` is a connection without a session.
 */
export async function takeOver(
  home: Connection,
  input: {
    readonly org: string
    readonly krk: Uint8Array
    readonly keyring: Uint8Array
    readonly keyringId: Uint8Array
    readonly device: DeviceKeys
    readonly deviceLabel: string
    readonly context: DeviceContext
  },
): Promise<Person> {
  const { org, krk, device, context } = input
  let bytes = input.keyring
  for (let left = ATTEMPTS; ; left -= 1) {
    const opened = openKeyring({ bytes, krk })
    const unlocker = deviceUnlocker(device, { label: input.deviceLabel, nowMs: context.clock.now() })
    const keyring = withUnlocker(opened, unlocker)
    const session = await openSession(home, { org, key: linkAt(opened, org), context })
    try {
      const person = beginRenewal({ device, krk, keyring, home: org }, context)
      return await storeKeyring(session, { person, context })
    } catch (error) {
      if (!isAppError(error, 'KEYRING_CONFLICT') || left <= 1) throw error
      bytes = (await fetchKeyring(home, input.keyringId)).keyring
    }
  }
}

/** What a renewal has still to do: keys that stand more than once in the keyring, newest first. */
export function openSteps(keyring: Keyring): {
  readonly links: readonly { readonly org: string; readonly oldKeys: readonly SigningKey[] }[]
  readonly controllers: readonly {
    readonly id: Uint8Array
    readonly newKey: SigningKey
    readonly oldKeys: readonly SigningKey[]
  }[]
} {
  const links = firstOf(keyring.links, ({ org }) => org).flatMap(({ org }) => {
    const [, ...older] = keyring.links.filter((each) => each.org === org)
    return older.length === 0 ? [] : [{ org, oldKeys: older.map(({ seed }) => signingKey(seed)) }]
  })
  const controllers = firstOf(keyring.controllers, ({ id }) => toHex(id)).flatMap(({ id, seed }) => {
    const [, ...older] = keyring.controllers.filter((each) => equal(each.id, id))
    if (older.length === 0) return []
    return [{ id, newKey: signingKey(seed), oldKeys: older.map((each) => signingKey(each.seed)) }]
  })
  return { links, controllers }
}

/** What `finishRenewal` could not do now; calling it again goes on with these. */
export interface Unfinished {
  readonly org?: string
  readonly g?: Uint8Array
  readonly code: string
}

/**
 * Goes on with a renewal: link keys at each organisation (old sessions end there, everything is wrapped to the new
 * epochs, her own grants go on and nobody else's), controllers on the ledger. What cannot be reached stays for the next call. `home` needs no session: one is
 * opened with whichever link key is registered there by then.
 */
export async function finishRenewal(
  home: Connection,
  input: {
    readonly person: Person
    readonly context: DeviceContext
    /** Another organisation's node, without a session. */
    readonly connectionTo: (org: string) => Connection
    /** Any node that sponsors ledger bodies. */
    readonly sponsor: Connection
  },
): Promise<{ readonly person: Person; readonly unfinished: readonly Unfinished[] }> {
  const { context, connectionTo, sponsor } = input
  const { links, controllers } = openSteps(input.person.keyring)
  const unfinished: Unfinished[] = []
  const gone: Uint8Array[] = []
  for (const { org, oldKeys } of links) {
    const code = await firstThatWorks(oldKeys, async (oldKey) => {
      await replaceLink(connectionTo(org), { org, oldKey, person: input.person, context })
      await takeGrantsAlong(connectionTo(org), { org, person: input.person, context })
    })
    if (code === undefined) gone.push(...seeds(oldKeys))
    else unfinished.push({ org, code })
  }
  for (const { id, oldKeys, newKey } of controllers) {
    const code = await firstThatWorks(oldKeys, (oldKey) => rotate(sponsor, { id, oldKey, newKey, context }))
    if (code === undefined) gone.push(...seeds(oldKeys))
    else if (code === 'ended') gone.push(...seeds(oldKeys), newKey.seed)
    else unfinished.push({ g: id, code })
  }
  const session = await sessionAtHome(home, { ...input, unfinished })
  const left = (seed: Uint8Array) => !gone.some((each) => equal(each, seed))
  const person = await changeKeyring(session, {
    person: input.person,
    context,
    change: (keyring) => ({
      ...keyring,
      links: keyring.links.filter(({ seed }) => left(seed)),
      controllers: keyring.controllers.filter(({ seed }) => left(seed)),
    }),
  })
  return { person, unfinished }
}

/** With the link key that home knows by now. */
async function sessionAtHome(
  home: Connection,
  input: {
    readonly person: Person
    readonly context: DeviceContext
    readonly unfinished: readonly Unfinished[]
  },
): Promise<Connection> {
  const { person, context, unfinished } = input
  const org = person.home
  const keys = person.keyring.links.filter((each) => each.org === org).map(({ seed }) => signingKey(seed))
  const candidates = unfinished.some((each) => each.org === org) ? keys.slice(1) : keys.slice(0, 1)
  let session: Connection | undefined
  const code = await firstThatWorks(candidates, async (key) => {
    session = await openSession(home, { org, key, context })
  })
  if (session !== undefined) return session
  throw new AppError('KEYRING_LINK', 'home: knows no link key of this keyring; enrol there again', { code })
}

/** Registers the keyring's link key for an organisation in place of `oldKey`, with a new card. */
export async function replaceLink(
  connection: Connection,
  input: {
    readonly org: string
    readonly oldKey: SigningKey
    readonly person: Person
    readonly context: DeviceContext
  },
): Promise<{ readonly wrapped: number }> {
  const { org, oldKey, person, context } = input
  const { keyring, home } = person
  const { statement, card } = linkPapers(context, { keyring, home, org, replaces: oldKey.publicKey })
  const endorsement = signAs(oldKey, 'statement', context.chainId, statement.bytes)
  return sendFor(connection, 'POST', '/links', wrappedForm, {
    json: {
      statement: signedJson(statement),
      endorsement: toBase64url(endorsement),
      card: signedJson(card),
    } satisfies { [K in keyof (typeof replaceLinkForm)['fields']]: unknown },
  })
}

/** The grants that her keyring controls go on under the new link key; one that a finder made with the old key does not. */
async function takeGrantsAlong(
  connection: Connection,
  {
    org,
    person,
    context,
  }: { readonly org: string; readonly person: Person; readonly context: DeviceContext },
): Promise<void> {
  const key = linkAt(person.keyring, org)
  const session = await openSession(connection, { org, key, context })
  await relinkGrants(session, { keyring: person.keyring, key, chainId: context.chainId })
}

async function rotate(
  sponsor: Connection,
  {
    id,
    oldKey,
    newKey,
    context,
  }: {
    readonly id: Uint8Array
    readonly oldKey: SigningKey
    readonly newKey: SigningKey
    readonly context: DeviceContext
  },
): Promise<void> {
  const { chainId, clock, random } = context
  await execute(
    sponsor,
    signBody({
      chainId,
      call: 'consent/rotate',
      args: { g: id, k2: newKey.publicKey },
      untilMs: clock.now() + BODY_LIFE_MS,
      keys: [oldKey, newKey],
      random,
    }),
  )
}

/** Tries keys in turn, the newest first. Undefined when one worked; otherwise why the last did not. */
async function firstThatWorks(
  keys: readonly SigningKey[],
  work: (key: SigningKey) => Promise<unknown>,
): Promise<string | undefined> {
  let code: string | undefined = 'NO_KEY'
  for (const key of keys) {
    code = await codeOf(() => work(key))
    if (code === undefined || code === 'ended' || code === 'UNREACHABLE') return code
  }
  return code
}

/** Undefined when it worked; otherwise why not. `sameKey`: an interrupted attempt had done it. */
async function codeOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code !== 'TX_REJECTED') return error.code
    const { sameKey, revoked, notFound } = consentSchema.rejects
    const rejection = error.data['code']
    if (rejection === sameKey) return undefined
    return rejection === revoked || rejection === notFound ? 'ended' : error.code
  }
}

const seeds = (keys: readonly SigningKey[]): Uint8Array[] => keys.map(({ seed }) => seed)

function firstOf<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [nameOf(item), item] as const).reverse()).values()].reverse()
}

function linkAt(keyring: Keyring, org: string) {
  const key = linkKey(keyring, org)
  if (key === undefined) throw new AppError('KEYRING_LINK', 'org: the keyring has no link key for its home')
  return key
}
