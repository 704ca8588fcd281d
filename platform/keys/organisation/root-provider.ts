/** The kinds of root provider, in the order in which to prefer them (protocol §8). */
export type RootKind = 'kms' | 'pkcs11' | 'systemd-creds' | 'passphrase' | 'file'

/** Wraps the keystore's key. The root key itself never leaves the provider. */
export interface RootProvider {
  readonly kind: RootKind
  /** One honest sentence for people: what this provider protects against and what not. */
  readonly protects: string
  /** Whether a node may serve a network with it without an override by name. */
  readonly servesNetworks: boolean
  /** How a receipt describes the end of a key under this provider. */
  readonly destroys: 'destroyed-in-KMS' | 'rewritten'
  /** Seals 32 B; `context` is bound and must be given again. */
  wrap(key: Uint8Array, context: Uint8Array): Promise<Uint8Array>
  /** Opens what `wrap` made. Errors: ROOT_KEY_WRONG. */
  unwrap(wrapped: Uint8Array, context: Uint8Array): Promise<Uint8Array>
  /** Forgets the root key in memory. */
  close(): void
}
