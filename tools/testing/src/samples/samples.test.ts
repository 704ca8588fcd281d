import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { sampleFiles } from './index.ts'
import { SAMPLES_FOLDER } from './write.ts'

const MOST_BYTES = 3 * 1024 * 1024

test('the committed samples are what the generator writes', () => {
  const files = sampleFiles()
  expect(
    readdirSync(SAMPLES_FOLDER)
      .filter((name) => name.endsWith('.json'))
      .sort(),
  ).toEqual(files.map((f) => f.name).sort())
  for (const file of files) {
    // Compared as a flag: a failing comparison of these texts would print them.
    expect(
      readFileSync(new URL(file.name, SAMPLES_FOLDER), 'utf8') === file.text,
      `${file.name} differs`,
    ).toBe(true)
  }
})

test('the same seed gives the same bytes, another seed other ones', () => {
  const [first, again, other] = [sampleFiles('a'), sampleFiles('a'), sampleFiles('b')]
  expect(first).toEqual(again)
  expect(first.map((f) => f.text)).not.toEqual(other.map((f) => f.text))
})

test('samples are small and every resource says that it is made up', () => {
  const files = sampleFiles()
  expect(files.reduce((sum, f) => sum + f.text.length, 0)).toBeLessThan(MOST_BYTES)
  for (const file of files) {
    const bundle = JSON.parse(file.text) as { entry: { resource: { meta: { tag: { code: string }[] } } }[] }
    for (const { resource } of bundle.entry) expect(resource.meta.tag.map((t) => t.code)).toContain('HTEST')
  }
})
