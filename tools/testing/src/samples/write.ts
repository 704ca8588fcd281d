/**
 * Writes the samples into `samples/`. Run by hand after a change of the generator; `samples.test.ts` fails while the
 * two disagree.
 *
 *   node tools/testing/src/samples/write.ts
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { sampleFiles } from './index.ts'

export const SAMPLES_FOLDER = new URL('../../../../samples/', import.meta.url)

if (import.meta.main) {
  mkdirSync(SAMPLES_FOLDER, { recursive: true })
  for (const file of sampleFiles()) writeFileSync(new URL(file.name, SAMPLES_FOLDER), file.text)
}
