import { AppError, equal, toBase64url } from '@salus/core'
import {
  type DeviceKeys,
  deviceUnlocker,
  type Keyring,
  type KeyringLeaf,
  type KeyUnlocker,
  openKeyring,
  readEnvelope,
  recoveryKey,
  rotateKrk,
  type SealResult,
  sealKeyring,
  unwrapKrk,
  withoutUnlocker,
  withUnlocker,
  wrapKrk,
} from '@salus/keys'
import { type Connection, sendFor } from '@salus/sdk'
import { keyringForm, keyringStoredForm, ownKeyringForm, type putKeyringForm } from './forms.ts'
import { type DeviceContext, knownLeaf, type Person } from './person.ts'

const ATTEMPTS = 8

/**
 * Stores the keyring's next version at home with the envelopes of its unlockers; `connection` has a session there.
 * Throws AppError `KEYRING_CONFLICT` when another device was first (`changeKeyring` tries again by itself).
 */
export async function storeKeyring(
  connection: Connection,
  { person, context }: { readonly person: Person; readonly context: DeviceContext },
): Promise<Person> {
  const sealed = sealKeyring({ keyring: person.keyring, krk: person.krk, random: context.random })
  await sendFor(connection, 'PUT', '/home/keyring', keyringStoredForm, {
    json: keyringJson(sealed, envelopesOf(person, context)),
  })
  return { ...person, keyring: sealed.keyring }
}

/**
 * The newest keyring. Throws AppError `KEYRING_ROLLED_BACK` when home shows an older one than this device has seen,
 * `OPEN_FAILED` when another device made a new KRK (`openAccount` then finds it, if this device is still welcome).
 */
export async function loadKeyring(
  connection: Connection,
  { person }: { readonly person: Person },
): Promise<Person> {
  const stored = await sendFor(connection, 'GET', '/home/keyring', ownKeyringForm)
  const known = knownLeaf(person.keyring)
  return { ...person, keyring: open(stored.keyring, person.krk, known) }
}

/**
 * Changes the keyring and stores it, again on top of what another device stored in between. `change` runs once per
 * attempt and must depend on nothing but the keyring it is given.
 */
export async function changeKeyring(
  connection: Connection,
  input: {
    readonly person: Person
    readonly context: DeviceContext
    readonly change: (keyring: Keyring) => Keyring
  },
): Promise<Person> {
  const { context, change } = input
  let { person } = input
  for (let left = ATTEMPTS; ; left -= 1) {
    try {
      return await storeKeyring(connection, {
        person: { ...person, keyring: change(person.keyring) },
        context,
      })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'KEYRING_CONFLICT' || left <= 1) throw error
      person = await loadKeyring(connection, { person })
    }
  }
}

/**
 * Opens the account on a device that the keyring lists: by the keyring's id, without a session. `known`: what this
 * device has seen before. Throws AppError `NOT_AN_UNLOCKER` when the device is not, or no longer, one of them.
 */
export async function openAccount(
  connection: Connection,
  input: {
    readonly keyringId: Uint8Array
    readonly device: DeviceKeys
    readonly home: string
    readonly known?: KeyringLeaf
  },
): Promise<Person> {
  const { device, home, known } = input
  const stored = await fetchKeyring(connection, input.keyringId)
  const envelope = stored.envelopes.find((each) => equal(readEnvelope(each).id, device.id))
  if (envelope === undefined) throw notAnUnlocker()
  const krk = unwrapKrk(envelope, device.seal)
  return { device, home, krk, keyring: open(stored.keyring, krk, known) }
}

/** Opens the account with the recovery code on a new device, and adds the device to the keyring (not stored yet). */
export async function openWithCode(
  connection: Connection,
  input: {
    readonly keyringId: Uint8Array
    readonly code: string
    readonly device: DeviceKeys
    readonly deviceLabel: string
    readonly home: string
    readonly context: DeviceContext
  },
): Promise<Person> {
  const stored = await fetchKeyring(connection, input.keyringId)
  const envelope = stored.envelopes.find((each) => readEnvelope(each).kind === 'recovery-code')
  if (envelope === undefined) throw notAnUnlocker()
  const krk = unwrapKrk(envelope, await recoveryKey(input.code, readEnvelope(envelope).id))
  const unlocker = deviceUnlocker(input.device, {
    label: input.deviceLabel,
    nowMs: input.context.clock.now(),
  })
  const keyring = withUnlocker(open(stored.keyring, krk), unlocker)
  return { device: input.device, home: input.home, krk, keyring }
}

/** Lets another device in: `unlocker` is what it shows of itself (`deviceUnlocker`). */
export async function addUnlocker(
  connection: Connection,
  input: { readonly person: Person; readonly context: DeviceContext; readonly unlocker: KeyUnlocker },
): Promise<Person> {
  return changeKeyring(connection, {
    ...input,
    change: (keyring) => withUnlocker(keyring, input.unlocker),
  })
}

/** Shuts a device out: it is taken off the list and everything is under a new KRK from now on. */
export async function removeUnlocker(
  connection: Connection,
  input: { readonly person: Person; readonly context: DeviceContext; readonly id: Uint8Array },
): Promise<Person> {
  const { context, id } = input
  const newest = await loadKeyring(connection, { person: input.person })
  const rotated = rotateKrk(withoutUnlocker(newest.keyring, id), context.random)
  return storeKeyring(connection, { person: { ...newest, ...rotated }, context })
}

/** The wraps of KRK for every device, passkey and code that the keyring lists. Guardians are armed apart. */
export function envelopesOf(
  { keyring, krk }: Person,
  { random }: Pick<DeviceContext, 'random'>,
): Uint8Array[] {
  const common = { krk, krkGeneration: keyring.krkGeneration, keyringId: keyring.keyringId, random }
  return keyring.unlockers.flatMap((unlocker) =>
    unlocker.kind === 'guardians' ? [] : [wrapKrk({ ...common, unlocker })],
  )
}

/** Stored bytes by keyring id; ciphertext only. */
export async function fetchKeyring(connection: Connection, keyringId: Uint8Array) {
  return sendFor(connection, 'GET', `/home/keyrings/${toBase64url(keyringId)}`, keyringForm)
}

function keyringJson(sealed: SealResult, envelopes: readonly Uint8Array[]) {
  return { keyring: toBase64url(sealed.bytes), envelopes: envelopes.map(toBase64url) } satisfies {
    [K in keyof (typeof putKeyringForm)['fields']]: unknown
  }
}

function open(bytes: Uint8Array, krk: Uint8Array, known?: KeyringLeaf): Keyring {
  return openKeyring({ bytes, krk, ...(known === undefined ? {} : { known }) })
}

function notAnUnlocker(): AppError {
  return new AppError(
    'NOT_AN_UNLOCKER',
    'device: the keyring does not list it (any more); let another device add it, or recover the account',
  )
}
