import {
  AppError,
  concat,
  decodeForm,
  encodeForm,
  equal,
  gcmOpen,
  gcmSeal,
  hkdf,
  openSealed,
  type Random,
  type SealKeyPair,
  SUITE,
  sealTo,
  sha256,
  tuple,
  utf8,
} from '@salus/core'
import { combine, split } from 'shamir-secret-sharing'
import type { GuardianKey, Unlocker } from '../keyring-types.ts'
import {
  type GuardianEnvelope,
  type GuardianPart,
  guardianEnvelopeForm,
  guardianPartForm,
} from './guardians-form.ts'

export type GuardiansUnlocker = Extract<Unlocker, { kind: 'guardians' }>

const VERSION = 1
const MAX_BYTES = 4 * 1024
/** Index of the home half among the parts. */
const HOME = 0

/** What is handed out: the envelope to home, each share to its guardian, the home half to home and its second. */
export interface GuardianSetup {
  readonly envelope: Uint8Array
  /** In the order of the guardians. */
  readonly shares: readonly Uint8Array[]
  /** In the order of the homes; both hold the same half. */
  readonly homeHalves: readonly Uint8Array[]
}

/** Guardians as the keyring lists them; 3 of 5 unless told. `homes`: home, and a second organisation. Errors: GUARDIANS. */
export function guardiansUnlocker(options: {
  readonly id: Uint8Array
  readonly label: string
  readonly guardians: readonly GuardianKey[]
  readonly homes: readonly GuardianKey[]
  readonly nowMs: number
  readonly threshold?: number
}): GuardiansUnlocker {
  const { id, label, guardians, homes, nowMs: addedMs, threshold = 3 } = options
  if (
    threshold < 2 ||
    threshold > guardians.length ||
    guardians.length > 10 ||
    homes.length < 1 ||
    homes.length > 2
  ) {
    throw new AppError(
      'GUARDIANS',
      'guardians: 2 to 10, threshold: 2 to their number, homes: 1 or 2; name more guardians or lower the threshold',
      { guardians: guardians.length, threshold, homes: homes.length },
    )
  }
  return { kind: 'guardians', id, label, threshold, guardians, homes, addedMs }
}

/** Splits a way to `krk` among guardians and home. Protocol §6. Share splitting draws from the platform's generator. */
export async function wrapForGuardians(options: {
  readonly krk: Uint8Array
  readonly krkGeneration: number
  readonly keyringId: Uint8Array
  readonly unlocker: GuardiansUnlocker
  readonly random: Random
}): Promise<GuardianSetup> {
  const { krk, unlocker, random } = options
  const head = {
    v: VERSION,
    suite: SUITE,
    id: unlocker.id,
    keyringId: options.keyringId,
    krkGeneration: options.krkGeneration,
  }
  const guardianSecret = random(32)
  const homeSecret = random(32)
  const parts = await split(guardianSecret, unlocker.guardians.length, unlocker.threshold)
  const key = bothHalves(guardianSecret, homeSecret, unlocker.id)
  const envelope = encodeForm(guardianEnvelopeForm, {
    ...head,
    threshold: unlocker.threshold,
    check: checkOf(guardianSecret, unlocker.id),
    wrapped: gcmSeal({ key, aad: aadOf(head), plaintext: krk, random }),
  })
  const seal = ({ publicKey }: GuardianKey, index: number, plaintext: Uint8Array) => {
    const sealed = sealTo({ to: publicKey, info: partInfo({ ...head, index }), plaintext, random })
    return encodeForm(guardianPartForm, { ...head, index, sealed })
  }
  const shares = unlocker.guardians.map((guardian, i) => {
    const share = parts[i]
    if (share === undefined) throw new AppError('GUARDIANS', 'guardians: a share is missing', {})
    return seal(guardian, i + 1, share)
  })
  const homeHalves = unlocker.homes.map((home) => seal(home, HOME, homeSecret))
  guardianSecret.fill(0)
  homeSecret.fill(0)
  for (const share of parts) share.fill(0)
  return { envelope, shares, homeHalves }
}

/**
 * What a guardian, or home with its half, does once the ledger says that the recovery may go on: opens the part and
 * seals it to the recovering device alone. `recovery` is the ledger's `r` (16 B), `newKey` the seal key that
 * the recovery named. The caller checks the ledger first (start + 72 h, not cancelled). Errors: OPEN_FAILED.
 */
export function passOnPart(options: {
  readonly part: Uint8Array
  readonly key: SealKeyPair
  readonly recovery: Uint8Array
  readonly newKey: Uint8Array
  readonly random: Random
}): Uint8Array {
  const part = decodeForm(guardianPartForm, options.part, { maxBytes: MAX_BYTES, version: VERSION })
  const plaintext = openSealed({ key: options.key, info: partInfo(part), sealed: part.sealed })
  const info = passedInfo(part, options.recovery, options.newKey)
  const sealed = sealTo({ to: options.newKey, info, plaintext, random: options.random })
  plaintext.fill(0)
  return encodeForm(guardianPartForm, { ...part, sealed })
}

/**
 * `KRK` from the passed-on shares and home half, on the recovering device. More shares than needed may be given; wrong
 * ones among them are left out. Errors: GUARDIANS_TOO_FEW, GUARDIANS_WRONG_SHARE (names the guardians' indexes),
 * OPEN_FAILED (home half or envelope).
 */
export async function recoverKrk(options: {
  readonly envelope: Uint8Array
  readonly shares: readonly Uint8Array[]
  readonly homeHalf: Uint8Array
  readonly newKey: SealKeyPair
  readonly recovery: Uint8Array
}): Promise<Uint8Array> {
  const envelope = decodeForm(guardianEnvelopeForm, options.envelope, {
    maxBytes: MAX_BYTES,
    version: VERSION,
  })
  const open = (bytes: Uint8Array) => {
    const part = decodeForm(guardianPartForm, bytes, { maxBytes: MAX_BYTES, version: VERSION })
    if (!sameSetup(part, envelope)) return undefined
    const info = passedInfo(part, options.recovery, options.newKey.publicKey)
    return { index: part.index, secret: openSealed({ key: options.newKey, info, sealed: part.sealed }) }
  }
  const opened = new Map<number, Uint8Array>()
  for (const bytes of options.shares) {
    const part = open(bytes)
    if (part !== undefined && part.index !== HOME) opened.set(part.index, part.secret)
  }
  const home = open(options.homeHalf)
  if (home?.index !== HOME) {
    throw new AppError(
      'OPEN_FAILED',
      'homeHalf: is not the home half of this envelope; ask home or its second again',
      {},
    )
  }
  const guardianSecret = await combineShares(opened, envelope)
  const key = bothHalves(guardianSecret, home.secret, envelope.id)
  return gcmOpen({ key, aad: aadOf(envelope), sealed: envelope.wrapped })
}

/** Tries the shares in groups of the threshold (252 groups at most) until one meets the check value. */
async function combineShares(
  shares: ReadonlyMap<number, Uint8Array>,
  envelope: GuardianEnvelope,
): Promise<Uint8Array> {
  const indexes = [...shares.keys()].sort((a, b) => a - b)
  if (indexes.length < envelope.threshold) {
    throw new AppError(
      'GUARDIANS_TOO_FEW',
      `shares: ${indexes.length} of ${envelope.threshold} needed; ask more guardians`,
      { have: indexes.length, need: envelope.threshold },
    )
  }
  for (const group of choose(indexes, envelope.threshold)) {
    const parts = group.flatMap((index) => shares.get(index) ?? []).map((share) => Uint8Array.from(share))
    const secret = await combine(parts).catch(() => undefined)
    if (secret !== undefined && equal(checkOf(secret, envelope.id), envelope.check)) return secret
  }
  throw new AppError(
    'GUARDIANS_WRONG_SHARE',
    `shares: those of guardians ${indexes.join(', ')} do not fit together; ask another guardian`,
    { indexes },
  )
}

function* choose(from: readonly number[], count: number): Generator<number[]> {
  if (count === 0) {
    yield []
    return
  }
  for (let i = 0; i + count <= from.length; i++) {
    for (const rest of choose(from.slice(i + 1), count - 1)) yield [from[i] ?? 0, ...rest]
  }
}

type Head = Pick<GuardianPart, 'suite' | 'id' | 'keyringId' | 'krkGeneration'>

const sameSetup = (a: Head, b: Head): boolean =>
  equal(a.id, b.id) && equal(a.keyringId, b.keyringId) && a.krkGeneration === b.krkGeneration

const bothHalves = (guardians: Uint8Array, home: Uint8Array, id: Uint8Array): Uint8Array =>
  hkdf({ ikm: concat(guardians, home), salt: id, info: utf8('salus/guardians/v1'), lengthBytes: 32 })

/** Reveals nothing: the secret has 256 random bits. */
const checkOf = (secret: Uint8Array, id: Uint8Array): Uint8Array =>
  sha256(tuple('salus/guardians-check/v1', id, secret)).slice(0, 16)

const aadOf = ({ suite, id, keyringId, krkGeneration }: Head): Uint8Array =>
  tuple('salus/guardians/v1', suite, id, keyringId, krkGeneration)

const partInfo = ({
  suite,
  id,
  keyringId,
  krkGeneration,
  index,
}: Head & { readonly index: number }): Uint8Array =>
  tuple('salus/guardian-part/v1', suite, id, keyringId, krkGeneration, index)

const passedInfo = (
  part: Head & { readonly index: number },
  recovery: Uint8Array,
  newKey: Uint8Array,
): Uint8Array => tuple('salus/recovery-part/v1', recovery, newKey, partInfo(part))
