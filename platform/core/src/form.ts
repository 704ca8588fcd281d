import { type CborValue, decode, encode } from './cbor.ts'
import { AppError } from './errors.ts'
import type { Infer, Schema } from './schema.ts'
import { check } from './schema-check.ts'
import { type SignatureType, type SigningKey, signAs, verifyAs } from './sign.ts'

/** Checks a value against its schema and gives its strict DAG-CBOR bytes. Throws AppError `SCHEMA`. */
export function encodeForm<S extends Schema>(schema: S, value: Infer<S>): Uint8Array {
  return encode(check(schema, value) as CborValue)
}

/**
 * Reads bytes as a form of `schema`: strict DAG-CBOR, at most `maxBytes`, every member known. A form carries its
 * version in the member `v`; where `version` is given, another one is refused before anything else is looked at.
 * Throws AppError `CBOR`, `UNKNOWN_VERSION` or `SCHEMA`. Protocol §13.
 */
export function decodeForm<S extends Schema>(
  schema: S,
  bytes: Uint8Array,
  { maxBytes, version }: { readonly maxBytes: number; readonly version?: number },
): Infer<S> {
  const value = decode(bytes, { maxBytes })
  if (version !== undefined) {
    const found =
      typeof value === 'object' && value !== null && 'v' in value ? (value as { v: CborValue }).v : undefined
    if (found !== version) {
      throw new AppError(
        'UNKNOWN_VERSION',
        `v: this program knows version ${version}; update it or the sender`,
      )
    }
  }
  return check(schema, value)
}

/** A form with the signature over its bytes. */
export interface SignedForm {
  readonly bytes: Uint8Array
  /** Ed25519, 64 bytes. */
  readonly sig: Uint8Array
}

/** Encodes a form and signs it for one purpose on one chain. Throws AppError `SCHEMA`. */
export function signForm<S extends Schema>(
  schema: S,
  value: Infer<S>,
  {
    key,
    type,
    chainId,
  }: { readonly key: SigningKey; readonly type: SignatureType; readonly chainId: Uint8Array },
): SignedForm {
  const bytes = encodeForm(schema, value)
  return { bytes, sig: signAs(key, type, chainId, bytes) }
}

/** Checks the signature first, then reads the form. Throws AppError `BAD_SIGNATURE` or as `decodeForm`. */
export function openForm<S extends Schema>(
  schema: S,
  signed: SignedForm,
  options: {
    readonly publicKey: Uint8Array
    readonly type: SignatureType
    readonly chainId: Uint8Array
    readonly maxBytes: number
    readonly version?: number
  },
): Infer<S> {
  if (!verifyAs(options.publicKey, options.type, options.chainId, signed.bytes, signed.sig)) {
    throw new AppError('BAD_SIGNATURE', `sig: is not a ${options.type} signature of these bytes by this key`)
  }
  return decodeForm(schema, signed.bytes, options)
}
