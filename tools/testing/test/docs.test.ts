import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')

const PAGES = globSync('{*.md,{docs,platform,capabilities,apps,tools}/**/*.md}', {
  cwd: ROOT,
  exclude: (path) => path.split('/').includes('node_modules'),
}).sort()
const textOf = (page: string): string => readFileSync(join(ROOT, page), 'utf8')
const namesIn = (folder: string, ending: string): string[] =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(ending))
    .sort()

describe.each(PAGES)('%s', (page) => {
  const text = textOf(page)
  const prose = withoutCode(text)

  test('every relative link leads to a file, and to a heading where it names one', () => {
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
    const broken = links.filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(page, link))
    expect(broken).toEqual([])
  })

  test('every path that it names exists', () => {
    const paths = [...prose.matchAll(/`([\w@.*-]+(?:\/[\w.*-]+)*\/?)`/g)].map(([, path = '']) => path)
    expect(paths.filter((path) => !pathExists(page, path))).toEqual([])
  })

  test('every route that it names is served', () => {
    const named = [...text.matchAll(/`(GET|POST|PUT|DELETE) (\/[\w/*:-]*)`/g)]
    const unknown = named.filter(([, method, path]) => !ROUTES.has(`${method} ${path}`)).map(([name]) => name)
    expect(unknown).toEqual([])
  })
})

describe('README', () => {
  const text = textOf('README.md')

  test('has fewer than 200 lines and the two commands as they are typed', () => {
    expect(text.split('\n').length).toBeLessThan(200)
    expect(text).toContain('npm ci && npm start ')
    expect(text).toContain('npm ci && npm test ')
  })

  test('tells every step that the demonstration plays, in its order', () => {
    const told = /<!-- steps -->(.*)<!-- \/steps -->/s.exec(text)?.[1] ?? ''
    const names = [...told.matchAll(/\*\*([^*]+)\*\*/g)].map(([, name]) => name)
    expect(names).toEqual(playedSteps())
  })
})

describe('indexes', () => {
  test('every vector is in the index of normative pages and read by a test or a check', () => {
    const index = textOf('docs/spec/README.md')
    const readers = globSync('{platform,capabilities}/**/*.ts', {
      cwd: ROOT,
      exclude: (path) => path.split('/').includes('node_modules'),
    }).map(textOf)
    const vectors = namesIn('vectors', '.json')
    expect(vectors.filter((name) => !index.includes(`\`${name}\``))).toEqual([])
    const isRead = (name: string) =>
      readers.some((text) => text.includes(name) || text.includes(`'${name.slice(0, -'.json'.length)}'`))
    expect(vectors.filter((name) => !isRead(name))).toEqual([])
  })

  test.each(['docs/spec', 'docs/decisions', 'docs/guides'])('%s/README.md links every page', (folder) => {
    const index = textOf(`${folder}/README.md`)
    const pages = namesIn(folder, '.md').filter((name) => name !== 'README.md')
    expect(pages.filter((name) => !index.includes(`](${name})`))).toEqual([])
  })

  test('every decision says context, decision, alternatives and what would change it', () => {
    const parts = ['**Context.**', '**Decision.**', '**Alternatives', '**What would change our mind.**']
    const lacking = namesIn('docs/decisions', '.md')
      .filter((name) => name !== 'README.md')
      .flatMap((name) => {
        const text = textOf(`docs/decisions/${name}`)
        return parts.filter((part) => !text.includes(part)).map((part) => `${name}: ${part}`)
      })
    expect(lacking).toEqual([])
  })

  test('every package has a page', () => {
    const packages = globSync('{platform,capabilities,apps,tools}/*/package.json', { cwd: ROOT }).map(dirname)
    expect(packages.length).toBeGreaterThan(10)
    expect(packages.filter((folder) => !existsSync(join(ROOT, folder, 'README.md')))).toEqual([])
  })
})

/** Every route in the code, in the form `METHOD /path`, and each family of FHIR routes. */
const ROUTES = new Set(
  globSync('{capabilities,apps,platform}/**/*.ts', {
    cwd: ROOT,
    exclude: (path) => path.split('/').includes('node_modules'),
  })
    .map(textOf)
    .flatMap((text) => [
      ...[...text.matchAll(/method: '([A-Z]+)',\s+path: '([^']+)'/g)].map(([, m, p]) => `${m} ${p}`),
      ...[...text.matchAll(/#app\.get\('([^']+)'/g)].map(([, path]) => `GET ${path}`),
    ]),
)

function withoutCode(text: string): string {
  return text.replaceAll(/^```.*?^```/gms, '')
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path)
  if (relative(ROOT, file).startsWith('..') || !existsSync(file)) return false
  return anchor === undefined || headingsOf(readFileSync(file, 'utf8')).includes(anchor)
}

function headingsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Paths are told from names of calls by their first part: a folder of the repository or of the page. */
function pathExists(page: string, path: string): boolean {
  const [first = ''] = path.split('/')
  if (path.includes('NAME')) return true
  const here = join(ROOT, dirname(page))
  if (!path.includes('/')) {
    if (!path.endsWith('.md') || path.startsWith('*')) return true
    return existsSync(join(here, path)) || existsSync(join(ROOT, path))
  }
  const bases = [ROOT, here].filter((base) => first.length > 0 && existsSync(join(base, first)))
  if (bases.length === 0) return true
  return bases.some((base) =>
    path.includes('*') ? globSync(path, { cwd: base }).length > 0 : existsSync(join(base, path)),
  )
}

/** Names of the story's steps, read from the program that plays them. */
function playedSteps(): string[] {
  const play = textOf('apps/cli/src/demo/play.ts')
  const steps = textOf('apps/cli/src/demo/steps/index.ts')
  return [
    ...[...play.matchAll(/story\.step\('([^']+)'/g)].map(([, name = '']) => name),
    ...[...steps.matchAll(/^ {2}\['([^']+)',/gm)].map(([, name = '']) => name),
  ]
}
