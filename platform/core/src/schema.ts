import * as z from 'zod'
import { assert } from './errors.ts'

// The kinds a contract, an API or a form may use: every one has exactly one DAG-CBOR form and one JSON form, and a
// bound on its size. A schema is plain data (kind, doc, limits, fields) with the zod type that checks it beside it.

// zod tries to compile its checks with `new Function`. A page whose policy forbids that would report a violation on
// every load, so the browser does without; the checks are the same.
if (!('process' in globalThis)) z.config({ jitless: true })

interface Base<T> {
  readonly zod: z.ZodType<T>
}

export interface TextSchema extends Base<string> {
  readonly kind: 'text'
  readonly doc: string
  /** Unicode code points. */
  readonly min: number
  readonly max: number
}

export interface BytesSchema extends Base<Uint8Array> {
  readonly kind: 'bytes'
  readonly doc: string
  /** Bytes; equal for a fixed length. */
  readonly min: number
  readonly max: number
}

export interface UintSchema extends Base<number> {
  readonly kind: 'uint'
  readonly doc: string
  readonly max: number
}

export interface BoolSchema extends Base<boolean> {
  readonly kind: 'bool'
  readonly doc: string
}

export interface OneOfSchema<V extends string = string> extends Base<V> {
  readonly kind: 'oneOf'
  readonly doc: string
  readonly values: readonly V[]
}

export interface ListSchema<I extends Schema = Schema> extends Base<Infer<I>[]> {
  readonly kind: 'list'
  readonly doc: string
  readonly item: I
  readonly min: number
  readonly max: number
}

export type Fields = { readonly [name: string]: Schema | OptionalSchema }

export interface ObjectSchema<F extends Fields = Fields> extends Base<InferFields<F>> {
  readonly kind: 'object'
  readonly doc: string
  readonly fields: F
}

/** One of several objects, told apart by the text in the member `tag`. */
export interface VariantSchema<
  Tag extends string = string,
  C extends { readonly [name: string]: Fields } = { readonly [name: string]: Fields },
> extends Base<InferVariant<Tag, C>> {
  readonly kind: 'variant'
  readonly doc: string
  readonly tag: Tag
  readonly cases: { readonly [K in keyof C]: ObjectSchema<C[K]> }
}

/** Marks an object's member that may be absent; not a schema by itself. */
export interface OptionalSchema<S extends Schema = Schema> {
  readonly kind: 'optional'
  readonly inner: S
}

// biome-ignore lint/suspicious/noExplicitAny: any instance of the generic kinds is a schema
type AnyObject = ObjectSchema<any>
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyVariant = VariantSchema<any, any>
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyList = ListSchema<any>
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyOneOf = OneOfSchema<any>

export type Schema =
  | TextSchema
  | BytesSchema
  | UintSchema
  | BoolSchema
  | AnyOneOf
  | AnyList
  | AnyObject
  | AnyVariant

/** The TypeScript type of a schema's values: bytes are Uint8Array, an optional member is an optional property. */
export type Infer<S> = S extends Base<infer T> ? T : never

type OptionalNames<F> = { [K in keyof F]: F[K] extends OptionalSchema ? K : never }[keyof F]
type Simplify<T> = { [K in keyof T]: T[K] }
export type InferFields<F> = Simplify<
  { [K in Exclude<keyof F, OptionalNames<F>>]: Infer<F[K]> } & {
    [K in OptionalNames<F>]?: F[K] extends OptionalSchema<infer S> ? Infer<S> : never
  }
>
export type InferVariant<Tag extends string, C> = {
  [K in keyof C]: Simplify<{ [T in Tag]: K } & InferFields<C[K]>>
}[keyof C]

/** Well-formed text of at most `max` Unicode code points. */
export function text(doc: string, { min = 0, max }: { min?: number; max: number }): TextSchema {
  checkBounds(min, max)
  const size = min === 0 ? `at most ${max}` : `${min} to ${max}`
  const zod = z.string({ error: 'must be text' }).refine((value) => isText(value, min, max), {
    error: `must be well-formed text of ${size} characters, not beginning with U+FEFF`,
  })
  return { kind: 'text', doc, min, max, zod }
}

/** Bytes of exactly `length`, or of at most `max`. */
export function bytes(doc: string, size: { length: number } | { min?: number; max: number }): BytesSchema {
  const { min, max } =
    'length' in size ? { min: size.length, max: size.length } : { min: size.min ?? 0, max: size.max }
  checkBounds(min, max)
  const error = min === max ? `must be exactly ${max} bytes` : `must be ${min} to ${max} bytes`
  const zod = z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length >= min && value.length <= max,
    { error },
  )
  return { kind: 'bytes', doc, min, max, zod }
}

/** A whole number from 0 to `max`, at most 2⁵³ − 1. */
export function uint(doc: string, { max = Number.MAX_SAFE_INTEGER }: { max?: number } = {}): UintSchema {
  checkBounds(0, max)
  const error = `must be a whole number from 0 to ${max}`
  return { kind: 'uint', doc, max, zod: z.int({ error }).min(0, { error }).max(max, { error }) }
}

export function bool(doc: string): BoolSchema {
  return { kind: 'bool', doc, zod: z.boolean({ error: 'must be true or false' }) }
}

/** One of these texts. */
export function oneOf<const V extends string>(doc: string, values: readonly V[]): OneOfSchema<V> {
  assert(values.length > 0, 'oneOf needs at least one value')
  const zod = z.enum(values as readonly [V, ...V[]], { error: `must be one of ${values.join(', ')}` })
  return { kind: 'oneOf', doc, values, zod: zod as unknown as z.ZodType<V> }
}

/** A list of at most `max` items. */
export function list<I extends Schema>(
  item: I,
  { doc = '', min = 0, max }: { doc?: string; min?: number; max: number },
): ListSchema<I> {
  checkBounds(min, max)
  const error =
    min === 0 ? `must be a list of at most ${max} items` : `must be a list of ${min} to ${max} items`
  const zod = z
    .array(item.zod as z.ZodType<Infer<I>>, { error })
    .min(min, { error })
    .max(max, { error })
  return { kind: 'list', doc, item, min, max, zod: zod as unknown as z.ZodType<Infer<I>[]> }
}

/** An object with exactly these members; any other member is an error. */
export function object<const F extends Fields>(doc: string, fields: F): ObjectSchema<F> {
  return { kind: 'object', doc, fields, zod: objectType(fields, {}) as z.ZodType<InferFields<F>> }
}

/** One of several objects: member `tag` names which, the other members are that case's `fields`. */
export function variant<const Tag extends string, const C extends { readonly [name: string]: Fields }>(
  doc: string,
  tag: Tag,
  cases: C,
): VariantSchema<Tag, C> {
  const names = Object.keys(cases)
  assert(names.length > 0, 'variant needs at least one case')
  const objects: Record<string, ObjectSchema> = {}
  const types = names.map((name) => {
    const fields = cases[name] as Fields
    assert(!(tag in fields), `variant ${name} must not define its own ${tag}`)
    objects[name] = object(name, fields)
    return objectType(fields, { [tag]: z.literal(name) })
  })
  const zod = z.discriminatedUnion(tag, types as [z.ZodObject, ...z.ZodObject[]], {
    error: `must be an object whose ${tag} is one of ${names.join(', ')}`,
  })
  return {
    kind: 'variant',
    doc,
    tag,
    cases: objects as VariantSchema<Tag, C>['cases'],
    zod: zod as unknown as z.ZodType<InferVariant<Tag, C>>,
  }
}

/** A member that may be absent. Absent is absent: neither null nor undefined. */
export function optional<S extends Schema>(inner: S): OptionalSchema<S> {
  return { kind: 'optional', inner }
}

/** The members of one case of a variant, without its tag. */
export function caseFields(schema: VariantSchema, name: string): Fields {
  const found = schema.cases[name]
  assert(found !== undefined, 'variant has no such case')
  return found.fields
}

function objectType(fields: Fields, extra: Record<string, z.ZodType>): z.ZodObject {
  const shape: Record<string, z.ZodType> = { ...extra }
  for (const [name, field] of Object.entries(fields))
    shape[name] =
      field.kind === 'optional' ? z.exactOptional(field.inner.zod as z.ZodType) : (field.zod as z.ZodType)
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `has members that are not known here; known: ${known}`
        : 'must be an object',
  })
}

function isText(value: string, min: number, max: number): boolean {
  if (value.charCodeAt(0) === 0xfeff || !value.isWellFormed()) return false
  if (value.length <= max && min === 0) return true
  // At most two UTF-16 units make a code point, so counting is bounded by the limit, not by the input.
  if (value.length > 2 * max) return false
  let count = 0
  for (const _ of value) count += 1
  return count >= min && count <= max
}

function checkBounds(min: number, max: number): void {
  assert(
    Number.isSafeInteger(min) && Number.isSafeInteger(max) && min >= 0 && min <= max,
    'schema bounds must be safe integers with 0 ≤ min ≤ max',
  )
}
