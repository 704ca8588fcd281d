import { AppError, sha256, utf8 } from '@salus/core'

/** A tree that has exactly one canonical text. */
export type CanonicalJson =
  | null
  | boolean
  | number
  | string
  | readonly CanonicalJson[]
  | { readonly [member: string]: CanonicalJson | undefined }

/**
 * JSON text as RFC 8785 writes it: no white space, members in the order of their UTF-16 units, absent members left out.
 * Numbers must be safe integers. Throws AppError `CANONICAL`.
 */
export function canonicalJson(value: CanonicalJson): string {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new AppError('CANONICAL', 'text: holds a lone surrogate')
    return JSON.stringify(value)
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new AppError('CANONICAL', 'number: must be a safe integer')
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const node = value as { readonly [member: string]: CanonicalJson | undefined }
  const members = Object.keys(node)
    .filter((name) => node[name] !== undefined)
    .sort(byUtf16)
    .map((name) => `${canonicalJson(name)}:${canonicalJson(node[name] as CanonicalJson)}`)
  return `{${members.join(',')}}`
}

function byUtf16(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The bytes that are sealed, and their digest for the leaf. */
export function canonicalBytes(value: CanonicalJson): {
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
} {
  const bytes = utf8(canonicalJson(value))
  return { bytes, digest: sha256(bytes) }
}
