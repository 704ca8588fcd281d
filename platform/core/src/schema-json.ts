import { fromBase64url, toBase64url } from './bytes.ts'
import { caseFields, type Fields, type Infer, type Schema } from './schema.ts'
import { check, schemaError } from './schema-check.ts'

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** The JSON form of a value that the schema accepts: bytes become base64url text, all else stays. */
export function toJson<S extends Schema>(schema: S, value: Infer<S>): JsonValue {
  return jsonOf(schema, value)
}

/** Reads the JSON form and checks it. Throws AppError `SCHEMA` as `check` does. */
export function fromJson<S extends Schema>(schema: S, json: unknown): Infer<S> {
  return check(schema, valueFrom(schema, json, []))
}

function jsonOf(schema: Schema, value: unknown): JsonValue {
  switch (schema.kind) {
    case 'bytes':
      return toBase64url(value as Uint8Array)
    case 'list':
      return (value as readonly unknown[]).map((item) => jsonOf(schema.item, item))
    case 'object':
      return mapMembers(schema.fields, value as Members, jsonOf)
    case 'variant': {
      const members = value as Members
      const name = members[schema.tag] as string
      return { [schema.tag]: name, ...mapMembers(caseFields(schema, name), members, jsonOf) }
    }
    case 'text':
    case 'uint':
    case 'bool':
    case 'oneOf':
      return value as JsonValue
  }
}

// Converts what has the expected shape and leaves the rest as it is, for `check` to refuse with one voice.
function valueFrom(schema: Schema, json: unknown, path: readonly PropertyKey[]): unknown {
  switch (schema.kind) {
    case 'bytes':
      return typeof json === 'string' ? bytesOf(json, schema.max, path) : json
    case 'list':
      return Array.isArray(json) && json.length <= schema.max
        ? json.map((item, index) => valueFrom(schema.item, item, [...path, index]))
        : json
    case 'object':
      return isMembers(json) ? convertMembers(schema.fields, json, path) : json
    case 'variant': {
      if (!isMembers(json)) return json
      const name = json[schema.tag]
      if (typeof name !== 'string' || !Object.hasOwn(schema.cases, name)) return json
      return convertMembers(caseFields(schema, name), json, path)
    }
    case 'text':
    case 'uint':
    case 'bool':
    case 'oneOf':
      return json
  }
}

function bytesOf(json: string, maxBytes: number, path: readonly PropertyKey[]): Uint8Array {
  if (json.length > Math.ceil((maxBytes * 4) / 3))
    throw schemaError(path, `must be at most ${maxBytes} bytes`)
  try {
    return fromBase64url(json)
  } catch {
    throw schemaError(path, 'must be base64url without padding')
  }
}

type Members = { readonly [name: string]: unknown }

function isMembers(json: unknown): json is Members {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof Uint8Array)
}

function convertMembers(fields: Fields, json: Members, path: readonly PropertyKey[]): Members {
  return {
    ...json,
    ...mapMembers(fields, json, (schema, value, name) => valueFrom(schema, value, [...path, name])),
  }
}

function mapMembers<T>(
  fields: Fields,
  members: Members,
  convert: (schema: Schema, value: unknown, name: string) => T,
): { [name: string]: T } {
  const out: { [name: string]: T } = {}
  for (const [name, field] of Object.entries(fields)) {
    if (!Object.hasOwn(members, name)) continue
    out[name] = convert(field.kind === 'optional' ? field.inner : field, members[name], name)
  }
  return out
}
