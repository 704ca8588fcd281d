import { AppError, fromHex, fromUtf8, signingKey, type VerifierKey, verifierKey } from '@salus/core'
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
import {
  CustodyStore,
  markerOf,
  RecordReader,
  replayMarkers,
  resumeRotations,
  TokenIndex,
} from '@salus/records'
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
  /** Versions that the backup brought back although they were erased since, and that are gone again. */
  readonly removed: number
  /** Versions that are hidden again until the law's date. */
  readonly restricted: number
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
      const erased = await eraseAgain(options, keystore, logKey(keystore, manifest))
      // What deleted pages of the keystore hold opens to nothing under the new generation.
      await keystore.rotate()
      return { manifest, ...erased }
    } finally {
      await keystore.close()
    }
  } finally {
    root.close()
  }
}

const originOf = ({ chain, org }: Manifest): string => factLogOrigin(fromHex(chain), org)

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

/** Holds the restored stores against the markers in the log, exactly as a node does before it serves. */
async function eraseAgain(
  { disk, folder, clock, random }: RestoreOptions,
  keystore: Keystore,
  key: VerifierKey,
): Promise<Pick<Restored, 'removed' | 'restricted'>> {
  const leaves: Uint8Array[] = []
  const { ok, problems } = await verifyLog(disk, LAYOUT.log, key, {
    onLeaf(leaf) {
      if (markerOf(leaf) !== undefined) leaves.push(leaf.slice())
    },
  })
  if (!ok)
    throw new AppError(
      'BACKUP',
      `${problems[0]?.file ?? LAYOUT.log}: ${problems[0]?.what ?? 'does not verify'}`,
    )
  if ((await disk.stat(LAYOUT.custody)) === undefined) return { removed: 0, restricted: 0 }
  const { KeystoreOwnerKeys } = await import('@salus/node')
  const custody = new CustodyStore(openSql(`${folder}/${LAYOUT.custody}`, { durable: true }))
  const index = openSql(`${folder}/${LAYOUT.index}`, { durable: false })
  const vault = await Vault.open({ disk, path: LAYOUT.vault, clock })
  try {
    const keys = new KeystoreOwnerKeys(keystore, random)
    const reader = new RecordReader({ vault, keys })
    const parts = { custody, index: new TokenIndex(index), reader, keys, vault, clock, random }
    await resumeRotations(parts)
    return await replayMarkers(parts, leaves)
  } finally {
    await vault.close()
    index.close()
    custody.sql.close()
  }
}
