import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const FOLDER = new URL('../../../../shared/data/crypto/wycheproof/', import.meta.url)
export const present = existsSync(FOLDER)
if (!present) console.warn('SKIPPED: the Wycheproof files are not at ../shared/data/crypto/wycheproof')

export interface WycheproofCase {
  readonly tcId: number
  readonly comment?: string
  readonly flags: string[]
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly [field: string]: unknown
}

export type Group = Readonly<Record<string, unknown>> & { readonly tests: WycheproofCase[] }

/** What became of one case: `pass`, or why it was not run. Anything that differs from the file throws. */
export type Outcome = 'pass' | { readonly skipped: string }

/**
 * Runs every case of every group of one file. `count` is how many cases the file must have, `skipped` how many
 * may be left out for each reason: a new reason or another number fails, so nothing is left out silently.
 */
export function runFile(options: {
  readonly file: string
  readonly layer: string
  readonly count: number
  readonly skipped?: Readonly<Record<string, number>>
  readonly run: (test: WycheproofCase, group: Group) => Outcome
}): void {
  const { file, layer, count, skipped = {}, run } = options
  describe.skipIf(!present)(`Wycheproof ${file}, ${layer}`, () => {
    const groups: Group[] = present ? JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')).testGroups : []
    const reasons: Record<string, number> = {}

    test(`${count} cases`, () => {
      const failures: string[] = []
      let ran = 0
      for (const group of groups) {
        for (const one of group.tests) {
          ran += 1
          try {
            const outcome = run(one, group)
            if (outcome !== 'pass') reasons[outcome.skipped] = (reasons[outcome.skipped] ?? 0) + 1
          } catch (error) {
            failures.push(`#${one.tcId} (${one.result}) ${one.comment ?? ''}: ${(error as Error).message}`)
          }
        }
      }
      for (const [reason, number] of Object.entries(reasons)) {
        console.info(`Wycheproof ${file}, ${layer}: ${number} not run: ${reason}`)
      }
      expect(failures).toEqual([])
      expect(ran).toBe(count)
      expect(reasons).toEqual(skipped)
    })
  })
}

/** Fails the case unless `actual` is what the file says for its result. */
export function expectResult({ result }: WycheproofCase, actual: boolean): Outcome {
  if (actual !== (result === 'valid')) throw new Error(`answered ${actual}`)
  return 'pass'
}

export function hexField(one: Readonly<Record<string, unknown>>, field: string): Uint8Array {
  const value = one[field]
  if (typeof value !== 'string') throw new Error(`no ${field}`)
  return new Uint8Array(Buffer.from(value, 'hex'))
}
