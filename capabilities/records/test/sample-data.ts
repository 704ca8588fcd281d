import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe } from 'vitest'
import { directoryOf } from '../src/fhir/directory.ts'
import type { SourceFile } from '../src/fhir/file-entries.ts'
import { type FoundResource, isSourceName, type Rejection, readFile, scanFile } from '../src/fhir/files.ts'

/** For tests only: the shipped samples, and third-party data that lies beside the repository or is skipped. */
export const SHIPPED = new URL('../../../samples/', import.meta.url)

export const DATA_SETS = {
  'synthea-2019': new URL('../../../../shared/data/synthea-2019/', import.meta.url),
  'synthea-2020': new URL('../../../../shared/data/synthea-2020/', import.meta.url),
  'bulk-10': new URL('../../../../shared/data/bulk-10/', import.meta.url),
  'hl7-r4-examples': new URL('../../../../shared/data/hl7-r4-examples/instances_dev/', import.meta.url),
} as const

export function sourceFiles(folder: URL): SourceFile[] {
  return readdirSync(folder)
    .filter(isSourceName)
    .sort()
    .map((name) => ({ name, text: readFileSync(new URL(encodeURIComponent(name), folder), 'utf8') }))
}

export function readAll(files: readonly SourceFile[]): (FoundResource | Rejection)[] {
  const directory = directoryOf(files.map(scanFile))
  return files.flatMap((file) => [...readFile(file, directory)])
}

export function resourcesIn(folder: URL): FoundResource[] {
  return readAll(sourceFiles(folder)).filter((item) => item.kind === 'resource')
}

/** A describe block that is skipped, and says so, where its data is not there. */
export function describeWithData(name: keyof typeof DATA_SETS, body: (folder: URL) => void): void {
  const folder = DATA_SETS[name]
  const isThere = existsSync(folder)
  if (!isThere) console.warn(`SKIPPED: ../shared/data/${name} is not there`)
  describe.skipIf(!isThere)(name, () => body(folder))
}
