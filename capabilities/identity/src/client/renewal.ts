import { consentSchema } from '@salus/consent/contract'
import { AppError, equal, type SigningKey, signAs, signingKey, toBase64url } from '@salus/core'
import { type ControllerKey, type Keyring, type LinkKey, linkKey, renewAll } from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, execute, sendFor } from '@salus/sdk'
import { openSession } from './enrol.ts'
import { type replaceLinkForm, signedJson, wrappedForm } from './forms.ts'
import { changeKeyring } from './home.ts'
import { type DeviceContext, linkPapers, type Person } from './person.ts'

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
  const renewed = renewAll(before, { keep: [person.device.id], random, nowMs: clock.now() })
  const controllers = renewed.keyring.controllers.flatMap((made) => {
    const old = before.controllers.find((each) => equal(each.id, made.id)) as ControllerKey
    // A recovery's cancel key cannot be replaced on the ledger: the owner arms a new one.
    return made.kind === 'grant' ? [made, old] : made.kind === 'delegation' ? [old] : []
  })
  const links = renewed.keyring.links.flatMap((made) => [
    made,
    before.links.find((each) => each.org === made.org) as LinkKey,
  ])
  return { ...person, krk: renewed.krk, keyring: { ...renewed.keyring, controllers, links } }
}

/** What a renewal has still to do: keys that stand twice in the keyring, and delegations of before. */
export function openSteps(keyring: Keyring): {
  readonly links: readonly { readonly org: string; readonly oldKey: SigningKey }[]
  readonly controllers: readonly {
    readonly id: Uint8Array
    readonly newKey: SigningKey
    readonly oldKey: SigningKey
  }[]
} {
  const links = keyring.links.flatMap((one, at) => {
    const older = keyring.links.slice(at + 1).find((each) => each.org === one.org)
    return older === undefined ? [] : [{ org: one.org, oldKey: signingKey(older.seed) }]
  })
  const controllers = keyring.controllers.flatMap((one, at) => {
    const older = keyring.controllers.slice(at + 1).find((each) => equal(each.id, one.id))
    return older === undefined
      ? []
      : [{ id: one.id, newKey: signingKey(one.seed), oldKey: signingKey(older.seed) }]
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
 * epochs), controllers on the ledger. What cannot be reached stays for the next call. `home` needs no session: one is
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
  for (const { org, oldKey } of links) {
    const code = await codeOf(() =>
      replaceLink(connectionTo(org), { org, oldKey, person: input.person, context }),
    )
    if (code === undefined) gone.push(oldKey.seed)
    else unfinished.push({ org, code })
  }
  for (const { id, oldKey, newKey } of controllers) {
    const code = await codeOf(() => rotate(sponsor, { id, oldKey, newKey, context }))
    if (code === undefined) gone.push(oldKey.seed)
    else if (code === 'ended') gone.push(oldKey.seed, newKey.seed)
    else unfinished.push({ g: id, code })
  }
  const atHome = links.find(({ org }) => org === input.person.home)
  const stillOld = unfinished.some(({ org }) => org === input.person.home)
  const key = stillOld ? atHome?.oldKey : linkKey(input.person.keyring, input.person.home)
  if (key === undefined) throw new AppError('KEYRING_LINK', 'home: the keyring has no link key for it', {})
  const session = await openSession(home, { org: input.person.home, key, context })
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
