import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  gcmOpen,
  gcmSeal,
  list,
  object,
  oneOf,
  type Random,
  text,
  tuple,
  uint,
} from '@salus/core'
import { Keystore, type KeystoreOptions, makeGeneration } from './keystore.ts'
import { keystoreExists } from './keystore-files.ts'
import { ROOT_KINDS, type RootProvider } from './root-provider.ts'

const VERSION = 1
const DAY_MS = 86_400_000
/** A backup of keys may live this long, so that what was erased is gone from backups too (protocol §7). */
export const BACKUP_MAX_AGE_MS = 35 * DAY_MS
/** A backup dated further ahead than this is refused: one of the clocks is wrong. */
const AHEAD_MAX_MS = DAY_MS
const MAX_BYTES = 512 * 1024 * 1024

const backupForm = object('A keystore backup', {
  v: uint('Form version'),
  keystoreId: bytes('Keystore', { length: 16 }),
  generation: uint('Generation it was made from'),
  madeMs: uint('Made, ms UTC'),
  root: oneOf('Root provider', ROOT_KINDS),
  wrapped: bytes('Backup key under the root key', { max: 4_096 }),
  sealed: bytes('Entries under the backup key', { max: MAX_BYTES }),
})
const entriesForm = list(
  object('', { name: text('Name', { min: 1, max: 200 }), key: bytes('Key', { min: 1, max: 4_096 }) }),
  { max: 2_000_000 },
)

/**
 * All living keys as one file of its own, under a fresh key that `root` wraps (the keystore's provider unless told).
 * Destroy it within 35 days; `restoreKeystore` refuses it afterwards.
 */
export async function exportBackup(options: {
  readonly keystore: Keystore
  readonly random: Random
  readonly nowMs: number
  readonly root?: RootProvider
}): Promise<Uint8Array> {
  const { keystore, random, nowMs: madeMs, root = keystore.root } = options
  const { keystoreId, generation } = keystore
  const entries = keystore.names().flatMap((name) => {
    const key = keystore.get(name)
    return key === undefined ? [] : [{ name, key }]
  })
  const context = contextOf({ keystoreId, generation, madeMs })
  const backupKey = random(32)
  const plaintext = encodeForm(entriesForm, entries)
  const wrapped = await root.wrap(backupKey, context)
  const sealed = gcmSeal({ key: backupKey, aad: context, plaintext, random })
  plaintext.fill(0)
  backupKey.fill(0)
  return encodeForm(backupForm, {
    v: VERSION,
    keystoreId,
    generation,
    madeMs,
    root: root.kind,
    wrapped,
    sealed,
  })
}

/**
 * Makes a keystore from a backup, where there is none, and opens it. `backupRoot`: the provider the backup was made
 * under, if another. Before anything is served the caller replays the tombstones with `delete` and rotates.
 * Errors: KEYSTORE_EXISTS, BACKUP_EXPIRED, BACKUP_AHEAD, ROOT_KEY_WRONG, OPEN_FAILED, UNKNOWN_VERSION.
 */
export async function restoreKeystore(
  options: KeystoreOptions & { readonly backup: Uint8Array; readonly backupRoot?: RootProvider },
): Promise<Keystore> {
  const { disk, path, clock, root, backupRoot = root } = options
  if (await keystoreExists(disk, path)) {
    throw new AppError('KEYSTORE_EXISTS', `${path}: has a keystore; restore into an empty folder`, { path })
  }
  const backup = decodeForm(backupForm, options.backup, { maxBytes: MAX_BYTES, version: VERSION })
  const ageMs = clock.now() - backup.madeMs
  if (ageMs > BACKUP_MAX_AGE_MS) {
    throw new AppError('BACKUP_EXPIRED', 'backup: older than 35 days; use a newer one and destroy this one', {
      madeMs: backup.madeMs,
    })
  }
  if (ageMs < -AHEAD_MAX_MS) {
    throw new AppError('BACKUP_AHEAD', 'backup: its date is in the future; set the clock of this machine', {
      madeMs: backup.madeMs,
    })
  }
  const context = contextOf(backup)
  const key = await backupRoot.unwrap(backup.wrapped, context)
  const entries = decodeForm(entriesForm, gcmOpen({ key, aad: context, sealed: backup.sealed }), {
    maxBytes: MAX_BYTES,
  })
  const made = await makeGeneration({
    ...options,
    keystoreId: backup.keystoreId,
    number: backup.generation + 1,
    entries,
  })
  await made.file.close()
  return Keystore.open(options)
}

const contextOf = (fields: { keystoreId: Uint8Array; generation: number; madeMs: number }): Uint8Array =>
  tuple('salus/keystore-backup/v1', fields.keystoreId, fields.generation, fields.madeMs)
