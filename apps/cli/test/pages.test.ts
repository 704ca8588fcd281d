import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { salus } from './in-process.ts'

const ROOT = join(import.meta.dirname, '../../..')

/** A command line that a page shows. */
interface Shown {
  readonly page: string
  readonly words: readonly string[]
}

const shown: Shown[] = globSync('{*.md,{docs,platform,capabilities,apps,tools}/**/*.md}', {
  cwd: ROOT,
  exclude: (path) => path.split('/').includes('node_modules'),
})
  .sort()
  .flatMap((page) => commandsIn(readFileSync(join(ROOT, page), 'utf8')).map((words) => ({ page, words })))

describe('commands that the pages show', () => {
  const byCommand = Map.groupBy(shown, ({ words }) => commandOf(words).join(' '))

  test('are many', () => expect(byCommand.size).toBeGreaterThan(10))

  test.each([...byCommand])('salus %s exists and has the flags that they give it', async (command, uses) => {
    const { code, out } = await salus([...command.split(' ').filter(Boolean), '--help'])
    expect(code).toBe(0)
    const known = new Set([...out.matchAll(/--[a-z][a-z0-9-]*/g)].map(([flag]) => flag).concat('--help'))
    const unknown = uses.flatMap(({ page, words }) =>
      words
        .map((word) => word.split('=')[0] ?? word)
        .filter((word) => word.startsWith('--') && !known.has(word))
        .map((flag) => `${page}: ${flag}`),
    )
    expect(unknown).toEqual([])
  })
})

/** In shell blocks and in running text, as words; `npm start -- …` is `salus demo …`. */
function commandsIn(text: string): string[][] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) => block.split('\n'))
  const inline = [
    ...text.replaceAll(/^```.*?^```/gms, '').matchAll(/`((?:npx )?salus [^`]+|npm start[^`]*)`/g),
  ]
  return [...blocks, ...inline.map(([, line = '']) => line)].flatMap((line) =>
    line
      .replace(/\s#.*$/, '')
      .split('&&')
      .flatMap((part) => {
        const [program, ...words] = part.trim().replace(/^npx /, '').split(/\s+/)
        if (program === 'salus' && words.length > 0) return [words]
        return program === 'npm' && words[0] === 'start'
          ? [['demo', ...words.slice(1).filter((word) => word !== '--')]]
          : []
      }),
  )
}

/** The words that choose the help page: name of the command; contract and call too where flags depend on them. */
function commandOf(words: readonly string[]): string[] {
  const names = words.filter((word) => /^[a-z][a-zA-Z-]*$/.test(word))
  const [first = ''] = names
  if (first === 'call' || first === 'query') return names.slice(0, 3)
  return ['node', 'log', 'key', 'record', 'grant'].includes(first) ? names.slice(0, 2) : names.slice(0, 1)
}
