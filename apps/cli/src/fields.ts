import {
  AppError,
  describe,
  type FieldDescription,
  fromBase64url,
  fromHex,
  fromJson,
  type Schema,
  toBase64url,
} from '@salus/core'
import { type Args, type Flags, usage } from './command.ts'

/** `newKey`, `next.sign` → `new-key`, `next-sign`. */
const flagOf = (name: string): string =>
  name.replaceAll('.', '-').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

const VALUE: Readonly<Record<FieldDescription['kind'], string>> = {
  text: 'TEXT',
  bytes: 'BYTES',
  uint: 'N',
  bool: 'true|false',
  oneOf: 'CHOICE',
  json: 'JSON',
}

/** The flags of a schema's fields: the schema is the only place where they are written down. */
export function fieldFlags(schema: Schema): Flags {
  return Object.fromEntries(
    describe(schema).map((field) => [
      flagOf(field.name),
      {
        doc: `${field.doc}${limit(field)}${field.required ? '' : ' (may be left out)'}`,
        value: VALUE[field.kind],
        ...(field.list ? { multiple: true as const } : {}),
        ...(field.values === undefined ? {} : { values: field.values }),
      },
    ]),
  )
}

function limit({ kind, min, max }: FieldDescription): string {
  if (kind === 'bytes') return `, hex or base64url, ${min === max ? `${max} B` : `at most ${max} B`}`
  return ''
}

/** The value that the flags give, checked against the schema. Throws AppError `USAGE` naming the flag, or `SCHEMA`. */
export function readFields<S extends Schema>(schema: S, args: Args): ReturnType<typeof fromJson<S>> {
  const json: Record<string, unknown> = {}
  for (const field of describe(schema)) {
    const given = args.all(flagOf(field.name))
    if (given.length === 0) {
      if (field.required && !field.list) throw usage(`--${flagOf(field.name)}: is needed (${field.doc})`)
      if (field.required) set(json, field.name, [])
      continue
    }
    const values = given.map((text) => readValue(field, text))
    set(json, field.name, field.list ? values : values.at(-1))
  }
  try {
    return fromJson(schema, json)
  } catch (error) {
    throw error instanceof AppError && error.code === 'SCHEMA' ? usage(error.message) : error
  }
}

function set(into: Record<string, unknown>, name: string, value: unknown): void {
  const [first = '', ...rest] = name.split('.')
  if (rest.length === 0) into[first] = value
  else {
    const inner = (into[first] ?? {}) as Record<string, unknown>
    into[first] = inner
    set(inner, rest.join('.'), value)
  }
}

function readValue({ name, kind, min, max }: FieldDescription, text: string): unknown {
  const flag = `--${flagOf(name)}`
  switch (kind) {
    case 'text':
    case 'oneOf':
      return text
    case 'uint':
      if (!/^\d{1,16}$/.test(text)) throw usage(`${flag}: must be a whole number`)
      return Number(text)
    case 'bool':
      if (text !== 'true' && text !== 'false') throw usage(`${flag}: must be true or false`)
      return text === 'true'
    case 'json':
      try {
        return JSON.parse(text)
      } catch {
        throw usage(`${flag}: must be JSON`)
      }
    case 'bytes':
      return toBase64url(readBytes(flag, text, min ?? 0, max ?? Number.MAX_SAFE_INTEGER))
  }
}

/** Hex where its length fits, else base64url; `hex:` and `b64:` in front decide. */
export function readBytes(flag: string, text: string, minBytes: number, maxBytes: number): Uint8Array {
  const fits = (length: number) => length >= minBytes && length <= maxBytes
  const attempts: (() => Uint8Array)[] = text.startsWith('hex:')
    ? [() => fromHex(text.slice(4))]
    : text.startsWith('b64:')
      ? [() => fromBase64url(text.slice(4))]
      : [() => fromHex(text), () => fromBase64url(text)]
  for (const attempt of attempts) {
    try {
      const bytes = attempt()
      if (fits(bytes.length)) return bytes
    } catch {
      // The other spelling is tried, then it is said.
    }
  }
  const size = minBytes === maxBytes ? `${maxBytes} bytes` : `${minBytes} to ${maxBytes} bytes`
  throw usage(`${flag}: must be ${size} in hex or base64url`)
}
