import { chmod, mkdir, open, realpath } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import { AppError } from '@salus/core'

/** A small file of mode 0600; the shape that the keystore's file root asks for. */
interface SecretFile {
  readonly where: string
  read(): Promise<{ readonly bytes: Uint8Array; readonly openToOthers: boolean } | undefined>
  create(bytes: Uint8Array): Promise<void>
}

/** More is no root key. */
const MAX_BYTES = 4_096

/**
 * A file of mode 0600 in a folder of mode 0700. Refuses a place inside `dataDir`, where a copy of the data would
 * take the key along. Errors: ROOT_FILE_PLACE, SECRET_FILE_EXISTS.
 */
export async function secretFile(options: {
  readonly path: string
  readonly dataDir: string
}): Promise<SecretFile> {
  const path = resolve(options.path)
  const dataDir = await realOf(resolve(options.dataDir))
  if (`${await realOf(dirname(path))}${sep}`.startsWith(`${dataDir}${sep}`)) {
    throw new AppError(
      'ROOT_FILE_PLACE',
      `root file: ${path} is inside the data directory, so whoever copies the data has the key; put it elsewhere`,
      { path },
    )
  }
  return {
    where: path,
    async read() {
      const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      if (handle === undefined) return undefined
      await using file = handle
      const { mode, size } = await file.stat()
      const bytes = new Uint8Array(Math.min(size, MAX_BYTES))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      // Windows has no such bits; there the folder's access list decides.
      const openToOthers = process.platform !== 'win32' && (mode & 0o077) !== 0
      return { bytes: bytes.subarray(0, bytesRead), openToOthers }
    },
    async create(bytes) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const handle = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
        throw new AppError('SECRET_FILE_EXISTS', `${path} exists; remove it only if nothing needs it`, {
          path,
        })
      })
      await using file = handle
      await file.writeFile(bytes)
      await file.sync()
      await chmod(path, 0o600)
      await using folder = await open(dirname(path), 'r')
      await folder.sync().catch(() => undefined)
    },
  }
}

/** The real path of what exists of it, so that links do not lead into the data directory. */
async function realOf(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined)
  if (real !== undefined) return real
  const parent = dirname(path)
  return parent === path
    ? path
    : resolve(await realOf(parent), path.slice(parent.length).replace(/^[\\/]+/, ''))
}
