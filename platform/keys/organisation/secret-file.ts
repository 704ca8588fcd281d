import { AppError } from '@salus/core'

/** One small file of mode 0600 outside the data directory. Injected: its adapter is the machine's affair. */
export interface SecretFile {
  /** Where it is, for messages. */
  readonly where: string
  /** Its content, and whether others than the owner could read it; undefined if there is none. */
  read(): Promise<{ readonly bytes: Uint8Array; readonly openToOthers: boolean } | undefined>
  /** Makes it, for the owner only, durably. Errors: SECRET_FILE_EXISTS. */
  create(bytes: Uint8Array): Promise<void>
}

/** The twin: a file in memory. */
export function memorySecretFile(content?: Uint8Array): SecretFile & { openToOthers: boolean } {
  let bytes = content
  return {
    where: 'memory',
    openToOthers: false,
    async read() {
      return bytes && { bytes: bytes.slice(), openToOthers: this.openToOthers }
    },
    async create(made) {
      if (bytes !== undefined)
        throw new AppError('SECRET_FILE_EXISTS', 'the file exists; remove it only if nothing needs it')
      bytes = made.slice()
    },
  }
}
