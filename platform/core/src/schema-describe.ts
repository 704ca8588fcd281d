import { caseFields, type Fields, type Schema } from './schema.ts'
import type { JsonValue } from './schema-json.ts'

/** JSON Schema 2020-12 of the schema's JSON form, as OpenAPI 3.1 takes it. */
export function jsonSchema(schema: Schema): { readonly [key: string]: JsonValue } {
  const description: { description?: string } = schema.doc === '' ? {} : { description: schema.doc }
  switch (schema.kind) {
    case 'text':
      return { type: 'string', ...description, minLength: schema.min, maxLength: schema.max }
    case 'bytes':
      return {
        type: 'string',
        ...description,
        contentEncoding: 'base64url',
        pattern: '^[A-Za-z0-9_-]*$',
        minLength: Math.ceil((schema.min * 4) / 3),
        maxLength: Math.ceil((schema.max * 4) / 3),
      }
    case 'uint':
      return { type: 'integer', ...description, minimum: 0, maximum: schema.max }
    case 'bool':
      return { type: 'boolean', ...description }
    case 'oneOf':
      return { type: 'string', ...description, enum: [...schema.values] }
    case 'list':
      return {
        type: 'array',
        ...description,
        items: jsonSchema(schema.item),
        minItems: schema.min,
        maxItems: schema.max,
      }
    case 'object':
      return { ...description, ...objectJsonSchema(schema.fields, {}) }
    case 'variant':
      return {
        ...description,
        oneOf: Object.keys(schema.cases).map((name) =>
          objectJsonSchema(caseFields(schema, name), { [schema.tag]: { const: name } }),
        ),
      }
  }
}

function objectJsonSchema(
  fields: Fields,
  tag: { readonly [name: string]: JsonValue },
): { readonly [key: string]: JsonValue } {
  const properties: { [name: string]: JsonValue } = { ...tag }
  const required = Object.keys(tag)
  for (const [name, field] of Object.entries(fields)) {
    properties[name] = jsonSchema(field.kind === 'optional' ? field.inner : field)
    if (field.kind !== 'optional') required.push(name)
  }
  return { type: 'object', properties, required, additionalProperties: false }
}

/** One value a person can be asked for, on a command line or in a form. */
export interface FieldDescription {
  /** Member names joined by dots; '' for a schema that is not an object. */
  readonly name: string
  readonly doc: string
  /** `json`: a list of objects or a variant, given as one JSON text. */
  readonly kind: 'text' | 'bytes' | 'uint' | 'bool' | 'oneOf' | 'json'
  readonly required: boolean
  /** May be given several times, at most `maxItems`. */
  readonly list: boolean
  readonly maxItems?: number
  readonly values?: readonly string[]
  /** Code points of a text, bytes of bytes, the greatest uint. */
  readonly min?: number
  readonly max?: number
}

/** The schema as a flat list of fields, nested objects by dotted names. */
export function describe(schema: Schema): FieldDescription[] {
  return describeAt(schema, '', true)
}

function describeAt(schema: Schema, name: string, required: boolean): FieldDescription[] {
  if (schema.kind === 'object')
    return Object.entries(schema.fields as Fields).flatMap(([member, field]) => {
      const path = name === '' ? member : `${name}.${member}`
      return field.kind === 'optional'
        ? describeAt(field.inner, path, false)
        : describeAt(field, path, required)
    })
  if (schema.kind === 'list') {
    const item: Schema = schema.item
    const doc = schema.doc === '' ? item.doc : schema.doc
    if (item.kind === 'object' || item.kind === 'variant' || item.kind === 'list')
      return [{ name, doc, kind: 'json', required, list: false }]
    return [{ ...scalar(item, name, required), doc, list: true, maxItems: schema.max }]
  }
  if (schema.kind === 'variant') return [{ name, doc: schema.doc, kind: 'json', required, list: false }]
  return [scalar(schema, name, required)]
}

function scalar(
  schema: Exclude<Schema, { kind: 'object' | 'list' | 'variant' }>,
  name: string,
  required: boolean,
): FieldDescription {
  const base = { name, doc: schema.doc, kind: schema.kind, required, list: false } as const
  switch (schema.kind) {
    case 'text':
    case 'bytes':
      return { ...base, min: schema.min, max: schema.max }
    case 'uint':
      return { ...base, min: 0, max: schema.max }
    case 'oneOf':
      return { ...base, values: schema.values }
    case 'bool':
      return base
  }
}
