import { AppError, type Random } from '@salus/core'
import type { Disk } from '@salus/host'
import { keystoreExists } from './keystore-files.ts'
import { makeFileRoot, openFileRoot } from './root-file.ts'
import { passphraseRoot } from './root-passphrase.ts'
import type { RootKind, RootProvider } from './root-provider.ts'
import type { SecretFile } from './secret-file.ts'

/** What the configuration says about the root key. */
export type RootChoice =
  | { readonly kind: 'file'; readonly file: SecretFile }
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: Exclude<RootKind, 'file' | 'passphrase'> }

const NOT_YET: Record<Exclude<RootKind, 'file' | 'passphrase'>, string> = {
  kms: 'no KMS adapter is built in',
  pkcs11: 'no PKCS#11 adapter is built in',
  'systemd-creds': 'sealing through systemd-creds (TPM2) is not built in',
}

/**
 * Opens the chosen provider; makes its key only where there is no keystore yet.
 * Errors: ROOT_PROVIDER_UNAVAILABLE, ROOT_KEY_MISSING, and those of the providers.
 */
export async function openRoot(options: {
  readonly choice: RootChoice
  readonly disk: Disk
  /** Folder of the keystore. */
  readonly path: string
  readonly random: Random
}): Promise<RootProvider> {
  const { choice, disk, path, random } = options
  if (choice.kind === 'passphrase') {
    return passphraseRoot({ disk, path: `${path}/passphrase`, passphrase: choice.passphrase, random })
  }
  if (choice.kind !== 'file') {
    throw new AppError(
      'ROOT_PROVIDER_UNAVAILABLE',
      `root provider "${choice.kind}": ${NOT_YET[choice.kind]}; choose "passphrase", or "file" for a machine nobody else can reach`,
      { kind: choice.kind },
    )
  }
  const known = await openFileRoot(choice.file, random)
  if (known !== undefined) return known
  if (await keystoreExists(disk, path)) {
    throw new AppError(
      'ROOT_KEY_MISSING',
      `root file: ${choice.file.where} is missing and the keystore cannot be opened without it; restore it`,
      { where: choice.file.where },
    )
  }
  return makeFileRoot(choice.file, random)
}
