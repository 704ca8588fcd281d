import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatVerifierKey, parseVerifierKey, sha256, signingKey, utf8, verifierKey } from '@salus/core'
import { memoryDisk } from '@salus/host'
import { systemClock, systemNetwork } from '@salus/host/system'
import { TileLog, WitnessClient } from '@salus/log'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { salus } from './in-process.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'salus-witness-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const origin = 'log.example/facts'
const key = signingKey(sha256(utf8('witness test')))
const logFlag = `${origin}=${formatVerifierKey(verifierKey(origin, key.publicKey))}`

test('a witness with a key of its own cosigns a log over HTTP, and remembers it after a restart', async () => {
  const printed = await salus(['witness', '--dir', dir, '--name', 'w.example', '--print-key'])
  expect(printed.code).toBe(0)
  const vkey = parseVerifierKey(printed.out.trim())
  expect([vkey.name, vkey.type]).toEqual(['w.example', 4])
  expect(statSync(join(dir, 'key')).mode & 0o777).toBe(0o600)

  const log = await TileLog.open({ disk: memoryDisk(), path: 'log', origin, key })
  for (const round of [1, 2]) {
    await log.append(utf8(`leaf ${round}`))
    let stop = () => {}
    const stopped = new Promise<void>((resolve) => {
      stop = resolve
    })
    let started = (_: { url: string; verifierKey: string }) => {}
    const ready = new Promise<{ url: string; verifierKey: string }>((resolve) => {
      started = resolve
    })
    const running = run(
      ['witness', '--dir', dir, '--name', 'w.example', '--log', logFlag, '--json'],
      stopped,
      started,
    )
    const { url, verifierKey: shown } = await ready
    expect(shown).toBe(printed.out.trim())
    const client = new WitnessClient({ log, network: systemNetwork(), clock: systemClock() })
    expect(await client.collect([{ key: vkey, url }])).toEqual([{ status: 'cosigned', size: round }])
    stop()
    expect(await running).toBe(0)
  }
  expect(log.cosignedCheckpoint()).toMatchObject({ size: 2, isSufficient: true })
  await log.close()
})

test('a witness whose key is gone does not start as another under the same memory', async () => {
  await salus(['witness', '--dir', dir, '--print-key'])
  rmSync(join(dir, 'key'))
  const { systemDisk } = await import('@salus/host/system')
  await systemDisk(dir).write('state/x.last', utf8('something'))
  const { code, err } = await salus(['witness', '--dir', dir, '--print-key'])
  expect(code).toBe(1)
  expect(err).toMatch(/^salus witness: WITNESS_KEY: key: is missing beside the memory/)
})

test('wrong flags name themselves', async () => {
  for (const [argv, line] of [
    [[], '--dir: is needed (Its memory and key); see salus witness --help'],
    [['--dir', dir], '--log: name at least one log, ORIGIN=VKEY'],
    [['--dir', dir, '--log', 'x'], '--log: must be ORIGIN=VKEY'],
    [['--dir', dir, '--log', logFlag, '--port', '70000'], '--port: must be 0 to 65535'],
  ] as const)
    expect(await salus(['witness', ...argv])).toEqual({
      code: 2,
      out: '',
      err: `salus witness: USAGE: ${line}\n`,
    })
})

/** Runs until stopped; tells the document that it prints at the start. */
async function run(
  argv: readonly string[],
  stopped: Promise<void>,
  started: (document: { url: string; verifierKey: string }) => void,
): Promise<number> {
  const { run: runLine } = await import('../src/main.ts')
  const { systemDisk, systemRandom } = await import('@salus/host/system')
  return runLine(argv, {
    out: (text) => started(JSON.parse(text) as { url: string; verifierKey: string }),
    err: () => {},
    env: {},
    cwd: dir,
    clock: systemClock(),
    random: systemRandom,
    network: systemNetwork(),
    disk: systemDisk,
    stopped: () => stopped,
  })
}
