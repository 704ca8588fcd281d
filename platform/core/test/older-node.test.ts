import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import * as here from './self-check.ts'
import { system } from './system-random.ts'

const NODE22 = fileURLToPath(new URL('../../../node_modules/node22/bin/node', import.meta.url))
const present = existsSync(NODE22)
if (!present) console.warn('SKIPPED: no Node 22 in node_modules; core was run on one major only')

const SELF_CHECK = new URL('./self-check.ts', import.meta.url).href

/** Runs an expression over the self-check's exports there and gives its JSON value. */
function there(expression: string): unknown {
  const script = `const salus = await import(${JSON.stringify(SELF_CHECK)}); console.log(JSON.stringify(${expression}))`
  return JSON.parse(
    execFileSync(
      NODE22,
      ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script],
      {
        encoding: 'utf8',
      },
    ),
  )
}

describe.skipIf(!present)('on Node 22', () => {
  test('which has no ML-KEM of its own, every result is the same, Ed25519 edge cases included', () => {
    expect(there(`[process.versions.node.split('.')[0], salus.transcript()]`)).toEqual([
      '22',
      here.transcript(),
    ])
  })

  test('each opens what the other sealed', () => {
    expect(here.openParcel(there(`salus.makeParcelHere('x')`) as here.Parcel)).toEqual({
      sealed: 'x',
      object: 'x',
      signed: true,
    })
    const parcel = JSON.stringify(here.makeParcel('y', system))
    expect(there(`salus.openParcel(${parcel})`)).toEqual({ sealed: 'y', object: 'y', signed: true })
  })
})
