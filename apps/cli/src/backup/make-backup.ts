import { AppError } from '@salus/core'
import type { Clock, Disk, DiskLock, Random } from '@salus/host'
import { exportBackup, Keystore, openRoot, type RootChoice } from '@salus/keys/organisation'
import { LAYOUT } from '../audit/layout.ts'
import { readLogHead } from '../audit/log-audit.ts'
import { copyFile, filesBelow } from './files.ts'
import { encodeManifest, MANIFEST, type Manifest } from './manifest.ts'

export interface BackupOptions {
  /** Rooted at the data directory. */
  readonly disk: Disk
  /** Rooted at the backup's folder. */
  readonly out: Disk
  readonly root: RootChoice
  readonly clock: Clock
  readonly random: Random
  readonly progress: (line: string) => void
}

/**
 * Copies every store of a stopped node but its keys, and makes the keystore's own backup.
 * @throws {AppError} DISK_LOCKED while the node runs, BACKUP when `out` is not empty, those of the keystore
 */
export async function makeBackup(options: BackupOptions): Promise<{ manifest: Manifest; keys: Uint8Array }> {
  const { disk, out, root: choice, clock, random, progress } = options
  if ((await out.list('')).length > 0) throw new AppError('BACKUP', 'OUT: is not empty; name a new folder')
  const head = await readLogHead(disk, LAYOUT.log)
  const [, chain = '', org = ''] = head?.origin.split('/') ?? []
  if (!/^[0-9a-f]{64}$/.test(chain))
    throw new AppError(
      'BACKUP',
      `DIR: ${LAYOUT.log}/checkpoint does not tell whose data this is; audit it first`,
    )
  const locks: DiskLock[] = []
  try {
    // The same locks that a node takes: it does not run meanwhile, nor start.
    for (const store of [LAYOUT.blockLog, LAYOUT.log, LAYOUT.vault])
      locks.push(await disk.lock(`${store}/lock`))
    const root = await openRoot({ choice, disk, path: LAYOUT.keystore, random })
    try {
      const keystore = await Keystore.open({ disk, path: LAYOUT.keystore, root, random, clock })
      try {
        const files: Manifest['files'][number][] = []
        for (const path of (await filesBelow(disk)).filter(isKept)) {
          progress(path)
          files.push({ path, ...(await copyFile(disk, path, out)) })
        }
        const keys = await exportBackup({ keystore, random, nowMs: clock.now() })
        const manifest: Manifest = { v: 1, org, chain, madeMs: clock.now(), files }
        await out.write(MANIFEST, encodeManifest(manifest))
        return { manifest, keys }
      } finally {
        await keystore.close()
      }
    } finally {
      root.close()
    }
  } finally {
    for (const lock of locks) await lock.release()
  }
}

/** Keys have a backup of their own; locks and shared memory belong to a running process. */
function isKept(path: string): boolean {
  const name = path.split('/').at(-1) ?? ''
  return (
    // How the root key follows from a passphrase is no secret, and without it the passphrase opens nothing.
    (!path.startsWith(`${LAYOUT.keystore}/`) || path === `${LAYOUT.keystore}/passphrase`) &&
    name !== 'lock' &&
    name !== 'lock.mdb' &&
    !/-(shm|journal)$/.test(name)
  )
}
