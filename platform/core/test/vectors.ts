import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'

const root = new URL('../../../', import.meta.url)

/** A file of `vectors/`, read with JSON.parse so that a member named `__proto__` stays a member. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`vectors/${name}`, root), 'utf8')) as T
}

/** Every JSON file below a folder of the third-party data set, or undefined, said aloud, when it is not there. */
export function readShared<T>(folder: string): { readonly path: string; readonly json: T }[] | undefined {
  const base = new URL(`../shared/data/${folder}/`, root)
  if (!existsSync(base)) {
    console.warn(`skipped: third-party vectors are not at ../shared/data/${folder}`)
    return undefined
  }
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((path) => path.endsWith('.json') && statSync(new URL(encodeURI(path), base)).isFile())
    .map((path) => ({ path, json: JSON.parse(readFileSync(new URL(encodeURI(path), base), 'utf8')) as T }))
}
