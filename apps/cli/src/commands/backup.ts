import { existsSync } from 'node:fs'
import { basename, dirname, sep } from 'node:path'
import { AppError, dayOf } from '@salus/core'
import { secretFile } from '@salus/host/system'
import { BACKUP_MAX_AGE_MS, type RootChoice } from '@salus/keys/organisation'
import { type Args, type Command, type Flags, usage } from '../command.ts'
import { type Io, pathOf, printJson, writeFile } from '../io.ts'

const ROOT_FLAGS: Flags = {
  keys: { value: 'FILE', doc: 'Backup of the keys (default: OUT.keys); destroy it within 35 days' },
  'root-file': {
    value: 'FILE',
    doc: 'File of the root key (default: DIR-keys/root); or set SALUS_PASSPHRASE',
  },
}

export const backup: Command = {
  name: 'backup',
  summary: 'Back up a stopped node: all stores in one folder, its keys in a file of their own',
  positionals: 'DIR OUT',
  positionalsMax: 2,
  about:
    'OUT holds ciphertext, wraps and logs, and opens to nothing without the keys. The keys’ backup is sealed under the\nroot key and is refused after 35 days, so that what was erased is gone from backups too. The root key itself is in\nneither: keep it elsewhere.',
  flags: ROOT_FLAGS,
  examples: [
    'salus backup /var/lib/salus /backup/2026-11-22',
    'salus backup ./anna ./backup --keys ./elsewhere/anna.keys',
  ],
  async run(args, io) {
    const [dir, out] = args.positionals
    if (dir === undefined || out === undefined)
      throw usage('DIR OUT: name the data directory and the folder to make')
    const from = pathOf(io, dir)
    const to = pathOf(io, out)
    if (!existsSync(from)) throw usage(`${dir}: there is no such directory`)
    if (`${to}${sep}`.startsWith(`${from}${sep}`)) throw usage('OUT: must not lie inside DIR')
    const keysFile = args.text('keys') ?? `${out}.keys`
    const { makeBackup } = await import('../backup/make-backup.ts')
    const progress = (path: string) => io.err(`salus backup: ${path}\n`)
    const { clock, random } = io
    const root = await rootChoice(args, io, from)
    const { manifest, keys } = await makeBackup({
      disk: io.disk(from),
      out: io.disk(to),
      root,
      clock,
      random,
      progress,
    })
    await writeFile(io, keysFile, keys)
    const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0)
    const destroyBy = dayOf(manifest.madeMs + BACKUP_MAX_AGE_MS)
    if (args.is('json'))
      printJson(io, {
        ok: true,
        org: manifest.org,
        files: manifest.files.length,
        sizeBytes,
        out: to,
        keys: keysFile,
        destroyBy,
      })
    else
      io.out(
        `${manifest.org}: ${manifest.files.length} files, ${sizeBytes} bytes in ${out}\n  keys  ${keysFile}, sealed under the root key; destroy it by ${destroyBy}\n`,
      )
    return 0
  },
}

export const restore: Command = {
  name: 'restore',
  summary: 'Make a data directory from a backup; what was erased since is erased again first',
  positionals: 'IN DIR',
  positionalsMax: 2,
  about:
    'DIR must not exist. Every file is compared with the manifest. Erasures are replayed from the markers in the log\nbefore anything can be served; give the newest copy of the log with --log where it survived, or erasures since the\nbackup are not known, and the ledger will refuse the older log as rolled back.',
  flags: {
    ...ROOT_FLAGS,
    keys: { value: 'FILE', doc: 'Backup of the keys (default: IN.keys)' },
    log: { value: 'DIR', doc: 'The newest fact log, if it survived: taken instead of the backup’s' },
  },
  examples: [
    'salus restore /backup/2026-11-22 /var/lib/salus',
    'salus restore ./backup ./anna --log ./old/log',
  ],
  async run(args, io) {
    const [source, dir] = args.positionals
    if (source === undefined || dir === undefined)
      throw usage('IN DIR: name the backup and the data directory to make')
    const from = pathOf(io, source)
    const folder = pathOf(io, dir)
    if (!existsSync(from)) throw usage(`${source}: there is no such backup`)
    if (existsSync(folder)) throw usage(`${dir}: is there already; a backup is restored into a new directory`)
    const { readFile } = await import('../io.ts')
    const keys = await readFile(io, args.text('keys') ?? `${source}.keys`, 512 << 20)
    const log = args.text('log')
    const { restoreBackup } = await import('../backup/restore-backup.ts')
    const root = await rootChoice(args, io, folder)
    // Opening a root key makes one where there is none; it would not open this backup.
    if (root.kind === 'file' && (await root.file.read()) === undefined)
      throw new AppError(
        'ROOT_KEY_MISSING',
        `${root.file.where}: the root key is needed to open the backup of the keys`,
      )
    const above = io.disk(dirname(folder))
    // Under another name until it is whole: a half-restored directory is never taken for a node's.
    const temporary = `${basename(folder)}.restoring`
    await above.remove(temporary)
    const { clock, random } = io
    try {
      const at = `${dirname(folder)}${sep}${temporary}`
      const { manifest, removed, restricted } = await restoreBackup({
        from: io.disk(from),
        shown: source,
        keys,
        disk: io.disk(at),
        folder: at,
        newer:
          log === undefined
            ? undefined
            : { disk: io.disk(dirname(pathOf(io, log))), path: basename(pathOf(io, log)) },
        root,
        clock,
        random,
        progress: (path) => io.err(`salus restore: ${path}\n`),
      })
      await above.rename(temporary, basename(folder))
      if (args.is('json'))
        printJson(io, {
          ok: true,
          org: manifest.org,
          dir: folder,
          files: manifest.files.length,
          removed,
          restricted,
        })
      else
        io.out(
          `${manifest.org}: restored into ${dir}\n  ${manifest.files.length} files; ${removed} record versions erased again, ${restricted} hidden again\n  next: salus audit ${dir}\n`,
        )
      return 0
    } catch (error) {
      await above.remove(temporary)
      throw error
    }
  },
}

async function rootChoice(args: Args, io: Io, dataDir: string): Promise<RootChoice> {
  const passphrase = io.env['SALUS_PASSPHRASE']
  if (passphrase !== undefined && args.text('root-file') === undefined)
    return { kind: 'passphrase', passphrase }
  const path = args.text('root-file') ?? io.env['SALUS_ROOT_FILE'] ?? `${dataDir}-keys/root`
  return { kind: 'file', file: await secretFile({ path: pathOf(io, path), dataDir }) }
}
