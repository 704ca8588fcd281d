import { type Random, type SignedForm, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import {
  currentEpoch,
  type DeviceKeys,
  deviceUnlocker,
  type Keyring,
  type KeyringLeaf,
  linkSub,
  makeLink,
  makeWriteCard,
  newKeyring,
  newKrk,
  newRecoveryCode,
  linkKey as ownLinkKey,
  recoveryCodeUnlocker,
  withUnlocker,
} from '@salus/keys'
import { signLinkStatement } from '../enrolment.ts'

/** A write card is good for this long; devices renew them. */
export const CARD_LIFE_MS = 400 * 86_400_000

/** What every function on a device needs and none takes for itself. */
export interface DeviceContext {
  readonly chainId: Uint8Array
  readonly random: Random
  readonly clock: Clock
}

/** A person's secrets on a device, as one immutable value: every function that changes them returns a new one. */
export interface Person {
  readonly device: DeviceKeys
  readonly krk: Uint8Array
  readonly keyring: Keyring
  /** Organisation that keeps the keyring. */
  readonly home: string
}

/** What a device remembers of the stored keyring, so that home cannot show it an older one. */
export const knownLeaf = ({ keyringId, version, prev }: Keyring): KeyringLeaf | undefined =>
  version === 0 || prev === undefined ? undefined : { keyringId, version, digest: prev }

/**
 * A new account on a new device. Nothing is stored anywhere yet: enrol at home, then `storeKeyring`. `recoveryCode`
 * is given where asked for: show it once, it is kept nowhere.
 */
export async function createAccount(
  context: DeviceContext,
  options: {
    readonly device: DeviceKeys
    readonly deviceLabel: string
    readonly home: string
    readonly withRecoveryCode: boolean
  },
): Promise<{ readonly person: Person; readonly recoveryCode: string | undefined }> {
  const { random } = context
  const nowMs = context.clock.now()
  const { device, home } = options
  let keyring = newKeyring({ random, nowMs })
  keyring = withUnlocker(keyring, deviceUnlocker(device, { label: options.deviceLabel, nowMs }))
  const krk = newKrk(random)
  if (!options.withRecoveryCode) return { person: { device, krk, keyring, home }, recoveryCode: undefined }
  const recoveryCode = newRecoveryCode(random)
  const unlocker = await recoveryCodeUnlocker({
    id: random(16),
    code: recoveryCode,
    label: 'Recovery code',
    nowMs,
  })
  return { person: { device, krk, keyring: withUnlocker(keyring, unlocker), home }, recoveryCode }
}

/** What a device hands to an organisation when it registers a link key: the statement and the write card. */
export interface LinkPapers {
  readonly statement: SignedForm
  readonly card: SignedForm
}

/** Makes a link key for an organisation, with its papers. The keyring must be stored before the papers are used. */
export function prepareLink(
  context: DeviceContext,
  { keyring, home, org }: { readonly keyring: Keyring; readonly home: string; readonly org: string },
): LinkPapers & { readonly keyring: Keyring } {
  const made = makeLink(keyring, org, context.random)
  return { keyring: made.keyring, ...linkPapers(context, { keyring: made.keyring, home, org }) }
}

/** Statement and card for the link key that the keyring has; `replaces` names the key that ends. */
export function linkPapers(
  { chainId, clock }: DeviceContext,
  input: {
    readonly keyring: Keyring
    readonly home: string
    readonly org: string
    readonly replaces?: Uint8Array
  },
): LinkPapers {
  const { keyring, home, org, replaces } = input
  const card = writeCard({ chainId, clock }, keyring, org)
  const key = ownLinkKey(keyring, org)
  if (key === undefined) throw new Error('unreachable: makeWriteCard refuses first')
  const statement = signLinkStatement(key, chainId, {
    v: 1,
    org,
    sub: linkSub(keyring, org),
    linkKey: key.publicKey,
    home,
    ...(replaces === undefined ? {} : { replaces }),
    time: clock.now(),
  })
  return { statement, card }
}

/** The person's card for an organisation, with the newest epochs. Throws AppError `KEYRING_LINK`. */
export function writeCard(
  { chainId, clock }: Pick<DeviceContext, 'chainId' | 'clock'>,
  keyring: Keyring,
  org: string,
): SignedForm {
  return makeWriteCard({ keyring, org, chainId, untilMs: clock.now() + CARD_LIFE_MS })
}

/** A short text that two devices can compare: which keyring, which version, which epoch. */
export const fingerprint = (keyring: Keyring): string =>
  `${toHex(keyring.keyringId).slice(0, 8)}/${keyring.version}/${currentEpoch(keyring, 'general').epoch}`
