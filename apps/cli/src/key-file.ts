import { dirname, join } from 'node:path'
import {
  AppError,
  fromBase64url,
  fromUtf8,
  type SigningKey,
  signingKey,
  toBase64url,
  utf8,
} from '@salus/core'
import { secretFile } from '@salus/host/system'
import { type Io, pathOf } from './io.ts'

const HEAD = 'salus-key 1'

/** The secret file at a path that a person named. It may lie anywhere; no data directory is near. */
const fileAt = (io: Io, path: string) => {
  const at = pathOf(io, path)
  return secretFile({ path: at, dataDir: join(dirname(at), `${at}.none`) })
}

/** Makes an Ed25519 key and its file, mode 0600. Throws AppError `SECRET_FILE_EXISTS`. */
export async function makeKeyFile(io: Io, path: string): Promise<SigningKey> {
  const seed = io.random(32)
  await (await fileAt(io, path)).create(utf8(`${HEAD}\n${toBase64url(seed)}\n`))
  return signingKey(seed)
}

/** Reads a key file. Throws AppError `FILE_NOT_FOUND`, `KEY_FILE_OPEN` (others may read it), `KEY_FILE`. */
export async function readKeyFile(io: Io, path: string): Promise<SigningKey> {
  const found = await (await fileAt(io, path)).read()
  if (found === undefined)
    throw new AppError('FILE_NOT_FOUND', `${path}: there is no such file; salus key new makes one`)
  if (found.openToOthers)
    throw new AppError('KEY_FILE_OPEN', `${path}: others may read it; set its mode to 0600`)
  try {
    const [head, text, rest] = fromUtf8(found.bytes).split('\n')
    const seed = fromBase64url(text ?? '')
    if (head === HEAD && rest === '' && seed.length === 32) return signingKey(seed)
  } catch {
    // Said below, without the content.
  }
  throw new AppError('KEY_FILE', `${path}: is not a key file of version 1`)
}
