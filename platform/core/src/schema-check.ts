import { AppError } from './errors.ts'
import type { Infer, Schema } from './schema.ts'

/**
 * Returns the value, typed, if the schema accepts it; lists and objects are fresh, bytes are the same array.
 * Otherwise AppError `SCHEMA`: the message and `data.path` name the member and the rule, never the value.
 */
export function check<S extends Schema>(schema: S, value: unknown): Infer<S> {
  const result = schema.zod.safeParse(value)
  if (result.success) return result.data as Infer<S>
  const issue = result.error.issues[0]
  throw schemaError(issue?.path ?? [], issue?.message ?? 'is not accepted')
}

/** Whether the schema accepts the value. */
export function accepts<S extends Schema>(schema: S, value: unknown): value is Infer<S> {
  return schema.zod.safeParse(value).success
}

/** @internal */
export function schemaError(parts: readonly PropertyKey[], rule: string): AppError {
  const path = parts.map(String).join('.')
  return new AppError('SCHEMA', `${path === '' ? 'value' : path}: ${rule}`, { path })
}
