import type { ExactJson, ParsedJson } from '../fhir/index.ts'

/**
 * Finds for a resource of a request the tree with numbers as they were written (`1.50`). The router copies the
 * resources of a bundle to put references in, which would lose the digits; the copy differs in texts only, so its
 * shape and its numbers find the original.
 */
export class ExactNumbers {
  readonly #originals: { readonly value: object; readonly exact: ExactJson; used: boolean }[] = []

  /** Notes a parsed request body: a resource, or a bundle of them. */
  note({ value, exact }: ParsedJson): void {
    if (value === exact || !isObject(value) || !isObject(exact)) return
    const entries = value['resourceType'] === 'Bundle' ? value['entry'] : undefined
    if (!Array.isArray(entries)) {
      this.#originals.push({ value, exact, used: false })
      return
    }
    for (const [at, entry] of entries.entries()) {
      const resource: unknown = (entry as { resource?: unknown } | null)?.resource
      const original = (exact['entry'] as ({ resource?: unknown } | null)[])[at]?.resource
      if (isObject(resource) && resource !== original)
        this.#originals.push({ value: resource, exact: original, used: false })
    }
  }

  /** The exact tree of a resource, with the texts that it has now. The resource itself where nothing was lost. */
  of(resource: object): ExactJson {
    const known =
      this.#originals.find(({ value }) => value === resource) ??
      this.#originals.find(({ value, used }) => !used && sameShape(value, resource))
    if (known === undefined) return resource
    known.used = true
    return grafted(resource, known.value, known.exact)
  }
}

/** Same members in the same places with the same numbers; texts may differ, and `id` and `meta` may come and go. */
function sameShape(a: unknown, b: unknown, isRoot = true): boolean {
  if (typeof a === 'string') return typeof b === 'string'
  if (!isObject(a) || !isObject(b)) return Object.is(a, b)
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = membersOf(a, isRoot)
  return (
    keys.length === membersOf(b, isRoot).length &&
    keys.every((key) => key in b && sameShape(a[key], b[key], false))
  )
}

function grafted(now: unknown, original: unknown, exact: unknown): unknown {
  if (typeof now === 'number') return Object.is(now, original) ? exact : now
  if (!isObject(now) || !isObject(original) || !isObject(exact)) return now
  if (Array.isArray(now))
    return now.map((item, at) =>
      grafted(item, (original as unknown as unknown[])[at], (exact as unknown as unknown[])[at]),
    )
  return Object.fromEntries(
    Object.entries(now).map(([key, value]) => [key, grafted(value, original[key], exact[key])]),
  )
}

function membersOf(node: Record<string, unknown>, isRoot: boolean): string[] {
  const keys = Object.keys(node)
  return isRoot ? keys.filter((key) => key !== 'id' && key !== 'meta') : keys
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
