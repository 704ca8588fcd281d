import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sha256, signingKey, utf8, verifierKey } from '@salus/core'
import { systemDisk } from '@salus/host/system'
import { afterAll, expect, test } from 'vitest'
import { TileLog, verifyLog } from '../src/index.ts'

const root = await mkdtemp(join(tmpdir(), 'salus-kill-9-'))
afterAll(() => rm(root, { recursive: true }))

test('a process killed in the middle of appending has kept every leaf it acknowledged', async () => {
  const disk = systemDisk(root)
  const key = signingKey(sha256(utf8('kill -9')))
  const origin = 'log.example/kill-9'
  const acknowledged = new Map<number, string>()
  for (const [run, killAfter] of [1, 100, 700, 1_500].entries()) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'appender.ts'), root, String(run)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    let seen = 0
    for await (const line of createInterface({ input: child.stdout })) {
      const [index = '', text = ''] = line.split(' ')
      // The kill may cut the last line; a whole one ends with a full stop.
      if (text.endsWith('.')) acknowledged.set(Number(index), text.slice(0, -1))
      if (++seen === killAfter) child.kill('SIGKILL')
    }
    await ended

    const log = await TileLog.open({ disk, path: 'log', origin, key })
    expect(log.size).toBeGreaterThanOrEqual(acknowledged.size)
    const leaves: Uint8Array[] = []
    for await (const leaf of log.leaves()) leaves.push(leaf)
    const lost = [...acknowledged].filter(
      ([index, text]) => Buffer.compare(leaves[index] ?? new Uint8Array(0), sha256(utf8(text))) !== 0,
    )
    expect(lost).toEqual([])
    await log.close()
  }
  expect(acknowledged.size).toBeGreaterThan(2_000)
  expect(await verifyLog(disk, 'log', verifierKey(origin, key.publicKey))).toMatchObject({
    ok: true,
    problems: [],
  })
})
