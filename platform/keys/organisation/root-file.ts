import { AppError, fromBase64url, fromUtf8, type Random, toBase64url, utf8 } from '@salus/core'
import { type RootProvider, rootFromKey } from './root-provider.ts'
import type { SecretFile } from './secret-file.ts'

const HEAD = 'salus-root 1'
const FACTS = {
  kind: 'file',
  protects: 'protects a stolen data volume, not a stolen machine',
  servesNetworks: false,
} as const

/**
 * The root key in a file. Undefined if there is no file.
 * Errors: ROOT_FILE_OPEN (others may read it), ROOT_FILE_FORMAT.
 */
export async function openFileRoot(file: SecretFile, random: Random): Promise<RootProvider | undefined> {
  const found = await file.read()
  if (found === undefined) return undefined
  if (found.openToOthers) {
    throw new AppError('ROOT_FILE_OPEN', `root file: others may read ${file.where}; set its mode to 0600`, {
      where: file.where,
    })
  }
  return rootFromKey(FACTS, readKey(found.bytes, file.where), random)
}

/** Makes a new root key and its file. Errors: SECRET_FILE_EXISTS. */
export async function makeFileRoot(file: SecretFile, random: Random): Promise<RootProvider> {
  const key = random(32)
  await file.create(utf8(`${HEAD}\n${toBase64url(key)}\n`))
  return rootFromKey(FACTS, key, random)
}

function readKey(bytes: Uint8Array, where: string): Uint8Array {
  try {
    const [head, text, rest] = fromUtf8(bytes).split('\n')
    const key = fromBase64url(text ?? '')
    if (head === HEAD && rest === '' && key.length === 32) return key
  } catch {
    // Said below, without the content.
  }
  throw new AppError('ROOT_FILE_FORMAT', `root file: ${where} is not a root key of version 1; restore it`, {
    where,
  })
}
