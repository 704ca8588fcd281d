import { AppError, fromBase64url, type Infer, toBase64url } from '@salus/core'
import { type Holder, json, type Route, route } from '@salus/server'
import {
  keyringForm,
  keyringStoredForm,
  ownKeyringForm,
  putKeyringForm,
  relayedForm,
  relayForm,
  unlockersForm,
} from '../client/forms.ts'
import type { Home, StoredKeyring } from './home.ts'
import type { Notices } from './notices.ts'
import { type RelayParts, relayPackages } from './relay.ts'

/** A sealed keyring of 4 MiB and its envelopes, as base64url in JSON. */
const MAX_KEYRING_BODY_BYTES = 6 * 1024 * 1024
const MAX_RELAY_BODY_BYTES = 8 * 1024 * 1024

export interface HomeRoutesParts {
  readonly home: Home
  readonly notices: Notices
  readonly relay: RelayParts
}

/** What home does for a person: keeps her keyring, brings her terms, tells her what happened. */
export function homeRoutes({ home, notices, relay }: HomeRoutesParts): Route[] {
  return [
    route<Infer<typeof putKeyringForm>>({
      method: 'PUT',
      path: '/home/keyring',
      summary: 'Store the next version of my keyring; refused when another device was first',
      audience: 'holder',
      body: putKeyringForm,
      maxBodyBytes: MAX_KEYRING_BODY_BYTES,
      reply: keyringStoredForm,
      async handle({ actor, body }) {
        const owner = ownerOnly(actor as Holder)
        const { version, leaf } = await home.put(owner, {
          bytes: body.keyring,
          ...(body.envelopes === undefined ? {} : { envelopes: body.envelopes }),
        })
        return json({ version, salt: toBase64url(leaf.salt), leafIndex: leaf.index })
      },
    }),
    {
      method: 'GET',
      path: '/home/keyring',
      summary: 'My keyring, its envelopes, and the leaf of this version in home’s log',
      audience: 'holder',
      reply: ownKeyringForm,
      handle({ actor }) {
        const stored = found(home.ofOwner(ownerOnly(actor as Holder)))
        const { salt, index } = stored.leaf
        return json({ ...sealedJson(stored), salt: toBase64url(salt), leafIndex: index })
      },
    },
    {
      method: 'GET',
      path: '/home/keyrings/:id',
      summary: 'A sealed keyring by its id: for a device without a session, and for delegates’ sections',
      audience: 'anyone',
      reply: keyringForm,
      handle: ({ params }) => json(sealedJson(found(home.byId(idIn(params['id']))))),
    },
    {
      method: 'GET',
      path: '/home/unlockers',
      summary: 'The devices and other ways that open my keyring, as far as home can tell',
      audience: 'holder',
      reply: unlockersForm,
      handle: ({ actor }) =>
        json({
          unlockers: home
            .unlockers(ownerOnly(actor as Holder))
            .map(({ id, kind, addedMs }) => ({ id: toBase64url(id), kind, addedMs })),
        }),
    },
    route<Infer<typeof relayForm>>({
      method: 'POST',
      path: '/home/grants',
      summary: 'Bring terms that my device sealed to custodian and grantee, and return their answers',
      audience: 'holder',
      body: relayForm,
      maxBodyBytes: MAX_RELAY_BODY_BYTES,
      reply: relayedForm,
      async handle({ body }) {
        const results = await relayPackages(relay, body.packages)
        return json({
          results: results.map(({ answer, ...told }) => ({
            ...told,
            ...(answer === undefined ? {} : { answer: toBase64url(answer) }),
          })),
        })
      },
    }),
    {
      method: 'GET',
      path: '/me/notices',
      summary: 'What happened around my account here; pages by `after`',
      audience: 'holder',
      query: { after: 'The `seq` of the last notice seen' },
      handle({ actor, query }) {
        const after = Number(query['after'] ?? 0)
        if (!Number.isSafeInteger(after) || after < 0)
          throw new AppError('BAD_REQUEST', 'after: must be the seq of a notice')
        const list = notices.list(ownerOnly(actor as Holder), after)
        return json({ notices: list.map(({ about, ...rest }) => ({ ...rest, about: aboutJson(about) })) })
      },
    },
  ]
}

/** The owner herself. Throws AppError `FORBIDDEN` for a delegate: the account is not hers to manage. */
export function ownerOnly(holder: Holder): Uint8Array {
  if (holder.delegation !== undefined)
    throw new AppError('FORBIDDEN', 'session: is a delegate’s; this is for the person herself')
  return holder.owner
}

/** A 16-byte id in a path. Throws AppError `BAD_REQUEST`. */
export function idIn(param: string | undefined): Uint8Array {
  try {
    const id = fromBase64url(param ?? '')
    if (id.length === 16) return id
  } catch {
    // Told below, like any other wrong id.
  }
  throw new AppError('BAD_REQUEST', 'id: must be 16 bytes, base64url')
}

function found(stored: StoredKeyring | undefined): StoredKeyring {
  if (stored === undefined) throw new AppError('NOT_FOUND', 'keyring: none is kept here')
  return stored
}

function sealedJson({ bytes, envelopes }: StoredKeyring) {
  return { keyring: toBase64url(bytes), envelopes: envelopes.map(toBase64url) }
}

function aboutJson(about: Readonly<Record<string, string | number | Uint8Array>>) {
  return Object.fromEntries(
    Object.entries(about).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? toBase64url(value) : value,
    ]),
  )
}
