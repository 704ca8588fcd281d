import { AppError, gcmOpen, gcmSeal, type Random } from '@salus/core'

/** The kinds of root provider, in the order in which to prefer them (protocol §8). */
export const ROOT_KINDS = ['kms', 'pkcs11', 'systemd-creds', 'passphrase', 'file'] as const
export type RootKind = (typeof ROOT_KINDS)[number]

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

/** A provider whose root key (32 B) is in this process's memory. */
export function rootFromKey(
  facts: Pick<RootProvider, 'kind' | 'protects' | 'servesNetworks'>,
  rootKey: Uint8Array,
  random: Random,
): RootProvider {
  const key = rootKey.slice()
  let closed = false
  const check = () => {
    if (closed) throw new AppError('ROOT_CLOSED', 'the root provider is closed; open it again', {})
  }
  return {
    ...facts,
    destroys: 'rewritten',
    async wrap(plaintext, context) {
      check()
      return gcmSeal({ key, aad: context, plaintext, random })
    },
    async unwrap(wrapped, context) {
      check()
      try {
        return gcmOpen({ key, aad: context, sealed: wrapped })
      } catch (cause) {
        throw new AppError(
          'ROOT_KEY_WRONG',
          `root key: that of the ${facts.kind} provider does not open this keystore; use the one it was made with`,
          { kind: facts.kind },
          { cause },
        )
      }
    },
    close() {
      closed = true
      key.fill(0)
    },
  }
}

export interface ServingPlan {
  /** True if the node listens on loopback addresses only. */
  readonly loopbackOnly: boolean
  /** True if the node is one of several organisations. */
  readonly consortium: boolean
  /** Root kinds that the configuration allows by name although they do not protect a served machine. */
  readonly allowed: readonly RootKind[]
}

/** Refuses to serve a network with a root key that lies beside the data. Errors: ROOT_PROVIDER_WEAK. */
export function checkServing(root: RootProvider, plan: ServingPlan): void {
  if (root.servesNetworks || plan.allowed.includes(root.kind)) return
  if (plan.loopbackOnly && !plan.consortium) return
  throw new AppError(
    'ROOT_PROVIDER_WEAK',
    `root provider "${root.kind}" ${root.protects}; for a served network use passphrase or stronger, or allow "${root.kind}" by name`,
    { kind: root.kind },
  )
}
