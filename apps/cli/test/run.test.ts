import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PATHS } from '@salus/node'
import { describe, expect, test } from 'vitest'
import { LAYOUT } from '../src/audit/layout.ts'
import { helpOf } from '../src/command.ts'
import { TABLE } from '../src/table.ts'
import { salus } from './in-process.ts'

const bin = fileURLToPath(new URL('../bin/salus.js', import.meta.url))

test('the auditor looks where the node writes', () => {
  expect(LAYOUT).toEqual(PATHS)
})

test('the overview lists every command; without one the exit code is 2', async () => {
  const { code, out } = await salus(['--help'])
  expect(code).toBe(0)
  for (const { name, summary } of TABLE)
    expect(out).toMatch(new RegExp(`^  ${name} +${summary.slice(0, 20)}`, 'm'))
  expect((await salus([])).code).toBe(2)
})

describe('every command', () => {
  test.each(TABLE.map((entry) => [entry.name, entry] as const))('%s explains itself', async (name, entry) => {
    const command = await entry.load()
    expect([command.name, command.summary]).toEqual([entry.name, entry.summary])
    const { code, out } = await salus([...name.split(' '), '--help'])
    expect([code, out]).toEqual([0, helpOf(command)])
    expect(command.examples.length).toBeGreaterThan(0)
    for (const example of command.examples) expect(example).toContain(`salus ${name}`)
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(160)
  })
})

test('an unknown command is one line and 2; with --json a document says so too', async () => {
  const plain = await salus(['frobnicate'])
  expect(plain).toEqual({
    code: 2,
    out: '',
    err: 'salus USAGE: “frobnicate”: there is no such command; salus --help lists them\n',
  })
  const { out } = await salus(['frobnicate', '--json'])
  expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: 'USAGE' } })
})

test('completion knows every command and flag, and each shell accepts the script', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'salus-completion-'))
  try {
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const { code, out } = await salus(['completion', shell])
      expect(code).toBe(0)
      for (const { name } of TABLE) expect(out).toContain(name.split(' ').at(-1))
      expect(out).toContain('genesis')
      const script = join(folder, shell)
      writeFileSync(script, out)
      const checked = spawnSync(shell, ['-n', script], { encoding: 'utf8' })
      // A shell that is not installed here cannot check it.
      if (checked.error === undefined) expect([checked.status, checked.stderr]).toEqual([0, ''])
    }
    const complete = (...typed: string[]) =>
      execFileSync(
        'bash',
        [
          '-c',
          `. ${folder}/bash; COMP_WORDS=(salus ${typed.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${typed.length}; _salus; echo "\${COMPREPLY[*]}"`,
        ],
        { encoding: 'utf8' },
      ).trim()
    expect(complete('ver')).toBe('verify')
    expect(complete('verify', '--gen')).toBe('--genesis')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('as a program: the overview starts fast, and an older Node hands over to the pinned one', () => {
  const help = spawnSync(process.execPath, [bin, '--help'], { encoding: 'utf8' })
  expect([help.status, help.stderr]).toEqual([0, ''])
  expect(help.stdout).toContain('salus COMMAND --help')
  const older = fileURLToPath(new URL('../../../node_modules/node22/bin/node', import.meta.url))
  const handed = spawnSync(older, [bin, 'verify'], { encoding: 'utf8' })
  expect([handed.status, handed.stderr]).toEqual([
    2,
    'salus verify: USAGE: FILE: name at least one *.receipt.json\n',
  ])
})
