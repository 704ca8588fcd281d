import { AppError, decode, fromUtf8, parseNote, signingKey, verifierKey } from '@salus/core'
import type { Clock, Disk, Random } from '@salus/host'
import { openSql } from '@salus/host/system'
import {
  type Keystore,
  openRoot,
  organisationKey,
  type RootChoice,
  restoreKeystore,
} from '@salus/keys/organisation'
import { factLogOrigin, verifyLog } from '@salus/log'
import { CustodyStore } from '@salus/records'
import { Vault } from '@salus/vault'
import { LAYOUT } from '../audit/layout.ts'
import { copyFile, filesBelow } from './files.ts'
import { decodeManifest, MANIFEST, type Manifest } from './manifest.ts'

export interface RestoreOptions {
  /** Rooted at the backup. */
  readonly from: Disk
  /** How messages name it. */
  readonly shown: string
  /** The keystore's backup. */
  readonly keys: Uint8Array
  /** Rooted at an empty folder that becomes the data directory. */
  readonly disk: Disk
  /** The same folder as a path of the machine, for the stores that do their own I/O. */
  readonly folder: string
  /** Rooted above the newest fact log, where it survived; taken instead of the backup's. */
  readonly newer: { readonly disk: Disk; readonly path: string } | undefined
  readonly root: RootChoice
  readonly clock: Clock
  readonly random: Random
  readonly progress: (line: string) => void
}

export interface Restored {
  readonly manifest: Manifest
  /** Opaque ids in the log of what was erased, also since the backup. */
  readonly tombstones: number
  /** Versions that the backup brought back, and that are gone again. */
  readonly erasedAgain: number
}

/**
 * Makes a data directory from a backup; what was erased since is erased again before anything can be served
 * (protocol §7). Everything is checked against the manifest.
 * @throws {AppError} BACKUP naming the file, LOG_DIFFERS, those of the keystore (BACKUP_EXPIRED, ROOT_KEY_WRONG, …)
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { from, shown, disk, newer, root: choice, clock, random, progress } = options
  const manifest = decodeManifest(await from.read(MANIFEST), shown)
  for (const { path, sizeBytes, sha256 } of manifest.files) {
    progress(path)
    if ((await from.stat(path)) === undefined) throw new AppError('BACKUP', `${shown}/${path}: is missing`)
    const copied = await copyFile(from, path, disk)
    if (copied.sizeBytes !== sizeBytes || copied.sha256 !== sha256)
      throw new AppError(
        'BACKUP',
        `${shown}/${path}: is not what was backed up; use another copy of the backup`,
      )
  }
  const root = await openRoot({ choice, disk, path: LAYOUT.keystore, random })
  try {
    const { keys: backup } = options
    const keystore = await restoreKeystore({ disk, path: LAYOUT.keystore, root, random, clock, backup })
    try {
      if (newer !== undefined) await takeNewerLog(disk, newer, keystore, manifest)
      const tombstones = await tombstonesIn(disk, logKey(keystore, manifest))
      const erasedAgain = await eraseAgain(options, tombstones)
      // What deleted pages and the backup's keystore hold opens to nothing under the new generation.
      await keystore.rotate()
      return { manifest, tombstones: tombstones.length, erasedAgain }
    } finally {
      await keystore.close()
    }
  } finally {
    root.close()
  }
}

const originOf = ({ chain, org }: Manifest): string => factLogOrigin(hexBytes(chain), org)
const hexBytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

/** The key under which the organisation's log is verified: the newest that the keystore holds. */
function logKey(keystore: Keystore, manifest: Manifest) {
  let number = 1
  while (keystore.has(organisationKey('log', number + 1))) number += 1
  const seed = keystore.get(organisationKey('log', number))
  if (seed === undefined)
    throw new AppError('BACKUP', 'keys: hold no log key; this is the backup of another keystore')
  return verifierKey(originOf(manifest), signingKey(seed).publicKey)
}

/** Puts the newer log in the place of the backup's, if it is sound and goes on from it. */
async function takeNewerLog(
  disk: Disk,
  newer: { readonly disk: Disk; readonly path: string },
  keystore: Keystore,
  manifest: Manifest,
): Promise<void> {
  const note = await disk.read(`${LAYOUT.log}/checkpoint`)
  const held = note === undefined ? [] : [fromUtf8(note)]
  for (const one of held) parseNote(one)
  const { ok, problems } = await verifyLog(newer.disk, newer.path, logKey(keystore, manifest), { held })
  if (!ok)
    throw new AppError(
      'LOG_DIFFERS',
      `--log: ${problems[0]?.file ?? ''} ${problems[0]?.what ?? ''}; it does not go on from the backup’s log`,
    )
  await disk.remove(LAYOUT.log)
  for (const path of await filesBelow(newer.disk, newer.path)) {
    const name = path.slice(newer.path.length + 1)
    if (name !== 'lock') await copyFile(newer.disk, path, disk, `${LAYOUT.log}/${name}`)
  }
}

/** Opaque ids of the tombstones in the log: leaves in clear, `tuple(4, oid)`. */
async function tombstonesIn(disk: Disk, key: ReturnType<typeof verifierKey>): Promise<Uint8Array[]> {
  const found: Uint8Array[] = []
  const { ok, problems } = await verifyLog(disk, LAYOUT.log, key, {
    onLeaf(leaf) {
      if (leaf.length !== TOMBSTONE_BYTES) return
      const parts = decode(leaf)
      if (Array.isArray(parts) && parts[0] === 4 && parts[1] instanceof Uint8Array) found.push(parts[1])
    },
  })
  if (!ok)
    throw new AppError(
      'BACKUP',
      `${problems[0]?.file ?? LAYOUT.log}: ${problems[0]?.what ?? 'does not verify'}`,
    )
  return found
}

/** Array head, the number 4, head of a byte string, 16 bytes. */
const TOMBSTONE_BYTES = 19

async function eraseAgain(options: RestoreOptions, tombstones: readonly Uint8Array[]): Promise<number> {
  const { disk, folder, clock } = options
  if ((await disk.stat(LAYOUT.custody)) === undefined) return 0
  const custody = new CustodyStore(openSql(`${folder}/${LAYOUT.custody}`, { durable: true }))
  const vault = await Vault.open({ disk, path: LAYOUT.vault, clock })
  try {
    const rows = tombstones.flatMap((oid) => custody.version(oid) ?? [])
    await vault.erase(rows.map(({ address }) => address))
    custody.sql.transaction(() =>
      custody.removeVersions(
        rows.map(({ oid }) => oid),
        clock.now(),
      ),
    )
    return rows.length
  } finally {
    await vault.close()
    custody.sql.close()
    // A projection that may still find what is gone; the next start builds it again.
    for (const suffix of ['', '-wal', '-shm']) await disk.remove(`${LAYOUT.index}${suffix}`)
  }
}
