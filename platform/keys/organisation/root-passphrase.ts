import { argon2 } from 'node:crypto'
import { promisify } from 'node:util'
import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  equal,
  hmac,
  object,
  type Random,
  uint,
  utf8,
} from '@salus/core'
import type { Disk } from '@salus/host'
import { type RootProvider, rootFromKey } from './root-provider.ts'

const VERSION = 1
/** RFC 9106 §4, second choice, with one lane: 64 MiB, 3 passes. Some 0.2 s. */
const COST = { memoryKib: 65_536, passes: 3, lanes: 1 }
const MIN_CHARS = 12
const MAX_CHARS = 1_024

const saltForm = object('How the root key is made from the passphrase', {
  v: uint('Form version'),
  salt: bytes('Salt', { length: 16 }),
  memoryKib: uint('Argon2id memory', { max: 4 * 1024 * 1024 }),
  passes: uint('Argon2id passes', { max: 100 }),
  lanes: uint('Argon2id lanes', { max: 16 }),
  check: bytes('Tells a wrong passphrase', { length: 16 }),
})

export interface PassphraseOptions {
  readonly disk: Disk
  /** File for salt and cost; no secret, so it may lie in the data directory. */
  readonly path: string
  /** 12 to 1,024 characters. */
  readonly passphrase: string
  readonly random: Random
}

/**
 * The root key made from a passphrase by Argon2id. With no file at `path` it makes one.
 * Errors: PASSPHRASE_SHORT, PASSPHRASE_WRONG, UNKNOWN_VERSION.
 */
export async function passphraseRoot({
  disk,
  path,
  passphrase,
  random,
}: PassphraseOptions): Promise<RootProvider> {
  const text = passphrase.normalize('NFC')
  const chars = [...text].length
  if (chars < MIN_CHARS || chars > MAX_CHARS) {
    throw new AppError(
      'PASSPHRASE_SHORT',
      `passphrase: ${MIN_CHARS} to ${MAX_CHARS} characters; four random words do`,
      {},
    )
  }
  const stored = await disk.read(path)
  const found = stored && decodeForm(saltForm, stored, { maxBytes: 1_024, version: VERSION })
  const how = found ?? { v: VERSION, salt: random(16), ...COST }
  const key = await derive(text, how)
  const check = hmac(key, 'salus/root-check/v1').slice(0, 16)
  if (found === undefined) await disk.write(path, encodeForm(saltForm, { ...how, check }))
  else if (!equal(found.check, check)) {
    throw new AppError(
      'PASSPHRASE_WRONG',
      'passphrase: is not the one this node was made with; type it again',
      {},
    )
  }
  return rootFromKey(
    {
      kind: 'passphrase',
      protects: 'protects a stolen machine that is switched off, as far as the passphrase is hard to guess',
      servesNetworks: true,
    },
    key,
    random,
  )
}

const argon2Async = promisify(argon2)

async function derive(
  text: string,
  { salt, memoryKib, passes, lanes }: { salt: Uint8Array; memoryKib: number; passes: number; lanes: number },
): Promise<Uint8Array> {
  const derived = await argon2Async('argon2id', {
    message: utf8(text),
    nonce: salt,
    memory: memoryKib,
    passes,
    parallelism: lanes,
    tagLength: 32,
  })
  return new Uint8Array(derived)
}
