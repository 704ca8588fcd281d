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

// ECMAScript 2025: in Node 22, Chromium 114, Firefox 135, Safari 18.4; not yet in TypeScript's es2024 library.
const exactNumbers = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown
  rawJSON(text: string): object
}

/** Parses JSON text once. Throws AppError NOT_JSON, TOO_BIG, TOO_DEEP or DUPLICATE_MEMBER. */
export function parseJson(
  text: string,
  limits: { readonly characters?: number; readonly depth?: number } = {},
): ParsedJson {
  const characters = limits.characters ?? LIMITS.resourceBytes
  if (text.length > characters) {
    throw new AppError('TOO_BIG', `The JSON text is longer than ${characters} characters. Split it.`)
  }
  const depth = limits.depth ?? LIMITS.depth
  const scan = scanText(text, depth)
  if (scan.depth > depth) {
    throw new AppError('TOO_DEEP', `The JSON nests deeper than ${depth} levels. Flatten it.`)
  }
  const value = parsePlain(text)
  // JSON.parse keeps the last of two members of one name without a word, so compare the counts.
  if (countMembers(value) !== scan.members) {
    throw new AppError('DUPLICATE_MEMBER', 'An object has two members of the same name. Keep one.')
  }
  return { value, exact: scan.numbersChange ? parseExact(text) : value }
}

function parsePlain(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The engine's own message quotes the text, which is health data.
    throw new AppError(
      'NOT_JSON',
      'The text is not JSON (RFC 8259). Check that the file is complete and in UTF-8.',
    )
  }
}

function parseExact(text: string): ExactJson {
  return exactNumbers.parse(text, (_key, value, context) =>
    typeof value === 'number' && context.source !== undefined && String(value) !== context.source
      ? exactNumbers.rawJSON(context.source)
      : value,
  )
}

const QUOTE = 34
const BACKSLASH = 92
const COLON = 58
const OPEN_OBJECT = 123
const CLOSE_OBJECT = 125
const OPEN_LIST = 91
const CLOSE_LIST = 93
const MINUS = 45
const NINE = 57
const ZERO = 48

/** One pass that needs no well-formed text: depth, members, and whether some number would print differently. */
function scanText(
  text: string,
  maxDepth: number,
): { depth: number; members: number; numbersChange: boolean } {
  let depth = 0
  let deepest = 0
  let members = 0
  let numbersChange = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === QUOTE) {
      i = endOfString(text, i)
    } else if (c === COLON) {
      members++
    } else if (c === OPEN_OBJECT || c === OPEN_LIST) {
      if (++depth > deepest) deepest = depth
      if (deepest > maxDepth) break
    } else if (c === CLOSE_OBJECT || c === CLOSE_LIST) {
      depth--
    } else if ((c >= ZERO && c <= NINE) || c === MINUS) {
      const start = i
      while (i + 1 < text.length && isNumberPart(text.charCodeAt(i + 1))) i++
      numbersChange ||= !printsTheSame(text, start, i + 1)
    }
  }
  return { depth: deepest, members, numbersChange }
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

/** 0–9 + - . e E */
function isNumberPart(c: number): boolean {
  return (c >= ZERO && c <= NINE) || c === 46 || c === 101 || c === 69 || c === 43 || c === MINUS
}

function printsTheSame(text: string, start: number, end: number): boolean {
  const source = text.slice(start, end)
  return String(Number(source)) === source
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value) count += countMembers(item)
    return count
  }
  for (const key in value) {
    count += 1 + countMembers((value as Record<string, unknown>)[key])
  }
  return count
}

/** JSON text of an exact tree: no white space, members in order, numbers as they came. */
export function serialise(exact: ExactJson): string {
  return JSON.stringify(exact)
}

/**
 * The text to store, seal and digest (protocol §3 step 1): made once, after `id` and `meta` are set, never made again.
 * `id` follows `resourceType` and `meta` follows `id` where the resource had none; else they keep their place.
 * `meta` replaces the members it names and keeps the others (tags, security, profile).
 */
export function storedText(
  exact: ExactJson,
  set: { readonly id: string; readonly meta?: Readonly<Record<string, unknown>> },
): string {
  const resource = exact as Record<string, unknown>
  const out: Record<string, unknown> = {}
  const meta = set.meta
    ? { ...(resource['meta'] as Record<string, unknown> | undefined), ...set.meta }
    : resource['meta']
  const hasId = Object.hasOwn(resource, 'id')
  const hasMeta = Object.hasOwn(resource, 'meta')
  const first = Object.hasOwn(resource, 'resourceType') ? 'resourceType' : undefined
  const fill = (): void => {
    if (!hasId) out['id'] = set.id
    if (!hasMeta && hasId === false && meta !== undefined) out['meta'] = meta
  }
  if (first === undefined) fill()
  for (const key in resource) {
    out[key] = key === 'id' ? set.id : key === 'meta' ? meta : resource[key]
    if (key === first) fill()
    if (key === 'id' && !hasMeta && meta !== undefined) out['meta'] = meta
  }
  return serialise(out)
}
