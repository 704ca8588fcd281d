import { AppError, check, fromUtf8, type Infer, list, object, text, uint, utf8 } from '@salus/core'

/** The file that says what a backup holds; it is written last, so that a backup without it is no backup. */
export const MANIFEST = 'manifest.json'

const manifestForm = object('A backup of one organisation’s stores, without its keys', {
  v: uint('Version: 1', { max: 1 }),
  org: text('Organisation', { min: 1, max: 63 }),
  chain: text('Genesis id, hex', { min: 64, max: 64 }),
  madeMs: uint('Made, ms UTC'),
  files: list(
    object('A file', {
      path: text('Path below the data directory', { min: 1, max: 1_024 }),
      sizeBytes: uint('Size'),
      sha256: text('SHA-256, hex', { min: 64, max: 64 }),
    }),
    { max: 1_000_000 },
  ),
})
export type Manifest = Infer<typeof manifestForm>

export const encodeManifest = (manifest: Manifest): Uint8Array =>
  utf8(`${JSON.stringify(check(manifestForm, manifest), null, 1)}\n`)

/** Throws AppError `BACKUP`. */
export function decodeManifest(bytes: Uint8Array | undefined, where: string): Manifest {
  if (bytes === undefined)
    throw new AppError('BACKUP', `${where}: has no ${MANIFEST}, so it is no backup or was not finished`)
  try {
    return check(manifestForm, JSON.parse(fromUtf8(bytes)))
  } catch (cause) {
    throw new AppError('BACKUP', `${where}/${MANIFEST}: is not that of a backup of version 1`, {}, { cause })
  }
}
