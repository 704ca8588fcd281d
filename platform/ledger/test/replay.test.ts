import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { CODES } from '../src/index.ts'
import { type ReplayVector, replayScenario } from './replay-scenario.ts'

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const vectorFile = pathOf('../../../vectors/ledger-replay.json')
const vector = JSON.parse(readFileSync(vectorFile, 'utf8')) as ReplayVector

const runtimes = [
  ['24', process.execPath],
  ['22', pathOf('../../../node_modules/node22/bin/node')],
] as const

describe('the pinned blocks', () => {
  test('are what the scenario makes today: genesis, results and roots have not moved', () => {
    expect(replayScenario()).toEqual(vector)
  })

  test('show every runtime code', () => {
    const seen = new Set(vector.blocks.flatMap(({ bundleCodes, codes }) => [...bundleCodes, ...codes]))
    expect(Object.values(CODES).filter((code) => !seen.has(code))).toEqual([])
  })

  test.each(runtimes)('give the same leaves on Node %s', (major, binary) => {
    expect(execFileSync(binary, ['-p', 'process.versions.node'], { encoding: 'utf8' })).toMatch(`${major}.`)
    const args = ['--no-warnings', '--experimental-strip-types', pathOf('replay.ts'), vectorFile]
    const printed = execFileSync(binary, args, { encoding: 'utf8' }).trim().split('\n')
    expect(printed[0]).toContain(vector.genesisRoot)
    expect(printed.slice(1)).toEqual(vector.blocks.map(({ leaf }) => leaf))
  })
})
