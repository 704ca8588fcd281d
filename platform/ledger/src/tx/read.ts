import { AppError, type CborValue, type DecodeLimits, decode } from '@salus/core'

/** A decoded map with exactly the expected members. */
export type Fields<N extends string> = { readonly [K in N]: CborValue }

/** Strict decode of a map whose members are exactly `names`; AppError with `code` names the first that is wrong. */
export function decodeFields<const N extends string>(
  what: string,
  code: string,
  bytes: Uint8Array,
  names: readonly N[],
  limits: DecodeLimits,
): Fields<N> {
  let value: CborValue
  try {
    value = decode(bytes, limits)
  } catch (cause) {
    throw new AppError(code, `${what}: must be strict DAG-CBOR within its size limit`, {}, { cause })
  }
  return fieldsOf(what, code, value, names)
}

export function fieldsOf<const N extends string>(
  what: string,
  code: string,
  value: CborValue | undefined,
  names: readonly N[],
): Fields<N> {
  if (!isMap(value)) throw new AppError(code, `${what}: must be a map`)
  for (const name of names)
    if (!Object.hasOwn(value, name)) throw new AppError(code, `${what}.${name}: is missing`)
  if (Object.keys(value).length !== names.length)
    throw new AppError(code, `${what}: may have no members but ${names.join(', ')}`)
  return value as Fields<N>
}

export function isMap(value: CborValue | undefined): value is { readonly [key: string]: CborValue } {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

/** Throws AppError `code` naming field and rule unless `condition` holds. */
export function must(condition: unknown, code: string, rule: string): asserts condition {
  if (!condition) throw new AppError(code, rule)
}

export function isTime(value: CborValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export function isBytes(value: CborValue | undefined, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length
}
