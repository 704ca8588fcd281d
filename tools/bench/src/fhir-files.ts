import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface FhirFile {
  readonly name: string
  readonly text: string
}

export interface FhirFiles {
  readonly files: readonly FhirFile[]
  /** How a note names them; says so where samples stand in. */
  readonly source: string
}

/** The JSON files of the public set `synthea-2019`, or the shipped samples where it is absent. */
export function fhirFiles({
  dataDir,
  repoDir,
}: {
  readonly dataDir: string
  readonly repoDir: string
}): FhirFiles {
  const synthea = filesOf(join(dataDir, 'synthea-2019'))
  return synthea.length > 0
    ? { files: synthea, source: `synthea-2019, ${synthea.length} files` }
    : {
        files: filesOf(join(repoDir, 'samples')),
        source: 'the shipped SAMPLES, because synthea-2019 is absent',
      }
}

/** The entries of bundles, each as compact JSON: what a store of plain text would hold. */
export function resourceTexts(files: readonly FhirFile[]): string[] {
  return files.flatMap(({ text }) => {
    const bundle = JSON.parse(text) as { readonly entry?: readonly { readonly resource?: unknown }[] }
    return (bundle.entry ?? []).flatMap(({ resource }) =>
      resource === undefined ? [] : [JSON.stringify(resource)],
    )
  })
}

function filesOf(dir: string): FhirFile[] {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => ({ name, text: readFileSync(join(dir, name), 'utf8') }))
  } catch {
    return []
  }
}
