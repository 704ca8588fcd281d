import { AppError } from '@salus/core'

/** Limits on what is read. Characters are UTF-16 units; a resource's bytes are those of its UTF-8 text. */
export const LIMITS = {
  resourceBytes: 5 * 1024 * 1024,
  depth: 64,
  fileCharacters: 256 * 1024 * 1024,
} as const

/** Like the value `JSON.parse` gives, but a number that JavaScript would print differently is a `JSON.rawJSON`. */
export type ExactJson = unknown

export interface ParsedJson {
  /** Plain values: validate, label and index this one. */
  readonly value: unknown
  /** The same tree with numbers as they came: serialise this one. Same object where no number needs it. */
  readonly exact: ExactJson
}

/** Parses JSON text once. Throws AppError NOT_JSON, TOO_BIG, TOO_DEEP or DUPLICATE_MEMBER. */
export function parseJson(_text: string, _limits?: { readonly characters?: number; readonly depth?: number }): ParsedJson {
  throw new AppError('NOT_JSON', 'not yet')
}

/** JSON text of an exact tree: no white space, members in order, numbers as they came. */
export function serialise(_exact: ExactJson): string {
  throw new AppError('NOT_JSON', 'not yet')
}

/**
 * The text to store, seal and digest (protocol §3 step 1): made once, after `id` and `meta` are set, never made again.
 * `id` follows `resourceType` and `meta` follows `id` where the resource had none; else they keep their place.
 * `meta` replaces the members it names and keeps the others (tags, security, profile).
 */
export function storedText(_exact: ExactJson, _set: { readonly id: string; readonly meta?: Readonly<Record<string, unknown>> }): string {
  throw new AppError('NOT_JSON', 'not yet')
}
