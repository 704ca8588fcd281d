/** One small file that only its owner may read, kept outside the data directory. The real one is in `system/`. */
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
      bytes ??= made.slice()
    },
  }
}
