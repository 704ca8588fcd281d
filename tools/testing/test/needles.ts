import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Something that must not be found, under a name for the report. */
export interface Needle {
  readonly name: string
  readonly bytes: Uint8Array
}

/** A secret as somebody might write it down: raw, hex, base64, base64url. At least eight bytes. */
export function needlesOf(name: string, secret: Uint8Array): Needle[] {
  const buffer = Buffer.from(secret)
  const text = (form: 'hex' | 'base64' | 'base64url') => ({
    name: `${name} as ${form}`,
    bytes: Buffer.from(buffer.toString(form).replace(/=+$/, '')),
  })
  return [{ name, bytes: buffer }, text('hex'), text('base64'), text('base64url')]
}

/** Text as it stands in files: UTF-8, UTF-16, base64, hex. */
export function textNeedles(name: string, value: string): Needle[] {
  return [
    ...needlesOf(name, Buffer.from(value)),
    { name: `${name} in UTF-16`, bytes: Buffer.from(value, 'utf16le') },
  ]
}

/** Looks for every needle in every byte. Three bytes at a time, so that thousands of needles cost one pass. */
export class Haystack {
  readonly #starts = new Uint8Array(1 << 24)
  readonly #needles = new Map<number, Needle[]>()
  bytesSearched = 0

  constructor(needles: readonly Needle[]) {
    for (const needle of needles) {
      if (needle.bytes.length < 8) throw new Error(`${needle.name}: too short to mean anything`)
      const start = startOf(needle.bytes, 0)
      this.#starts[start] = 1
      this.#needles.set(start, [...(this.#needles.get(start) ?? []), needle])
    }
  }

  /** Names of the needles in `bytes`. */
  search(bytes: Uint8Array): string[] {
    const found = new Set<string>()
    this.bytesSearched += bytes.length
    for (let at = 0; at + 3 <= bytes.length; at += 1) {
      const start = startOf(bytes, at)
      if (this.#starts[start] === 0) continue
      for (const needle of this.#needles.get(start) ?? [])
        if (Buffer.compare(bytes.subarray(at, at + needle.bytes.length), needle.bytes) === 0)
          found.add(needle.name)
    }
    return [...found]
  }

  /** `file: needle` for every hit below a directory, in names of files too. */
  searchFiles(dir: string): string[] {
    return readdirSync(dir, { withFileTypes: true, recursive: true }).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name)
      const inName = this.search(Buffer.from(entry.name))
      const inside = entry.isFile() ? this.search(readFileSync(path)) : []
      return [...inName, ...inside].map((name) => `${path.slice(dir.length + 1)}: ${name}`)
    })
  }
}

function startOf(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
}
