import { argon2idAsync } from '@noble/hashes/argon2.js'
import { AppError, type Random, type SealKeyPair, sealKeyPair, sha256, utf8 } from '@salus/core'
import { type KeyUnlocker, readEnvelope, unwrapKrk } from './envelope.ts'

/** Crockford's alphabet: no I, L, O, U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 100 random bits. */
const SECRET_CHARS = 20
/** 20 bits: a mistyped code passes once in a million. */
const CHECK_CHARS = 4
const GROUP_CHARS = 4

/**
 * Argon2id as OWASP's first choice: 19 MiB, 2 passes, 1 lane; 0.3 s in JavaScript. The code has 100 random bits, so
 * this is a second line: what stops guessing is the code.
 */
export const RECOVERY_ARGON2ID = { m: 19_456, t: 2, p: 1, dkLen: 32 } as const

/** A new recovery code: six groups of four, for example `7K3M-…`. Shown once, never stored. */
export function newRecoveryCode(random: Random): string {
  const secret = symbols(random(13), SECRET_CHARS)
  return `${secret}${checkOf(secret)}`.match(/.{4}/g)?.join('-') ?? ''
}

/**
 * What a person typed, in the one form that counts: upper case, without separators, look-alikes replaced.
 * Errors: RECOVERY_CODE.
 */
export function readRecoveryCode(typed: string): string {
  const code = typed
    .slice(0, 200)
    .toUpperCase()
    .replace(/[\s\-–—.]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1')
  const expected = SECRET_CHARS + CHECK_CHARS
  if (code.length !== expected) {
    throw wrong(`has ${code.length} letters and digits, must have ${expected} (six groups of ${GROUP_CHARS})`)
  }
  const stranger = [...code].findIndex((char) => !ALPHABET.includes(char))
  if (stranger >= 0)
    throw wrong(`group ${Math.floor(stranger / GROUP_CHARS) + 1} has a character that no code has`)
  if (checkOf(code.slice(0, SECRET_CHARS)) !== code.slice(SECRET_CHARS)) {
    throw wrong('does not add up: a character is mistyped or two are swapped')
  }
  return code
}

/** The key pair that a code stands for. Slow on purpose; yields to the event loop. Errors: RECOVERY_CODE. */
export async function recoveryKey(typed: string, unlockerId: Uint8Array): Promise<SealKeyPair> {
  const seed = await argon2idAsync(utf8(readRecoveryCode(typed)), unlockerId, RECOVERY_ARGON2ID)
  return sealKeyPair(seed)
}

/** The code as the keyring lists it: only its public key. `id` is random, 16 B, and the salt. */
export async function recoveryCodeUnlocker(options: {
  readonly id: Uint8Array
  readonly code: string
  readonly label: string
  readonly nowMs: number
}): Promise<KeyUnlocker> {
  const { id, label, nowMs } = options
  const { publicKey } = await recoveryKey(options.code, id)
  return { kind: 'recovery-code', id, label, publicKey, addedMs: nowMs }
}

/** `KRK` from the code's envelope. Errors: RECOVERY_CODE, OPEN_FAILED (a code, but not this one). */
export async function openWithRecoveryCode(envelope: Uint8Array, typed: string): Promise<Uint8Array> {
  return unwrapKrk(envelope, await recoveryKey(typed, readEnvelope(envelope).id))
}

const wrong = (what: string) => new AppError('RECOVERY_CODE', `code: ${what}; compare it with the sheet`, {})

const checkOf = (secret: string): string =>
  symbols(sha256(utf8(`salus/recovery-code/v1 ${secret}`)), CHECK_CHARS)

/** The first `count` five-bit groups. */
function symbols(bytes: Uint8Array, count: number): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return Array.from(
    { length: count },
    (_, i) => ALPHABET[Number.parseInt(bits.slice(5 * i, 5 * i + 5), 2)],
  ).join('')
}
