import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { toHex, verifierKey } from '@salus/core'
import { systemDisk } from '@salus/host/system'
import { auditState } from '@salus/ledger'
import { openLmdbStore } from '@salus/ledger/lmdb'
import { testMember } from '@salus/ledger/testing'
import { blockLogOrigin, verifyLog } from '@salus/log'
import { afterEach, expect, test } from 'vitest'
import { openBlockLog } from '../embedded/index.ts'
import { openLedger, random, testChainId } from './network.ts'

const child = fileURLToPath(new URL('./kill-child.ts', import.meta.url))
/** `SALUS_KILLS=50` for the long run. */
const kills = Number(process.env['SALUS_KILLS'] ?? 6)
let folder = ''
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test(
  `killed ${kills} times under load, the operator loses nothing it said was final and needs no repair`,
  async () => {
    folder = mkdtempSync(join(tmpdir(), 'salus-kill-'))
    const said = new Map<string, number>()
    let last = 0
    for (let round = 0; round < kills; round++) {
      const { openedAt, finals } = await runAndKill(50 + (random(2)[0] ?? 0) * 3)
      // It comes up where it was, or further: a block may be durable before it is said.
      expect(openedAt).toBeGreaterThanOrEqual(last)
      last = openedAt
      for (const [txId, height] of finals) {
        expect(said.has(txId)).toBe(false)
        said.set(txId, height)
        last = Math.max(last, height)
      }
    }
    expect(said.size).toBeGreaterThan(kills)

    const chainId = testChainId()
    const store = openLmdbStore({ path: join(folder, 'ledger'), chainId })
    const ledger = openLedger(store)
    const disk = systemDisk(folder)
    const { log } = testMember('a')
    const blockLog = await openBlockLog(ledger, { disk, path: 'log', key: log })
    try {
      expect(ledger.head.height).toBeGreaterThanOrEqual(last)
      for (const [txId, height] of said)
        expect(
          ledger.outcome(height)?.results.some((result) => toHex(result.txId) === txId),
          txId,
        ).toBe(true)
      expect(blockLog.height).toBe(ledger.head.height)
      for (let height = 1; height <= ledger.head.height; height++)
        expect(await blockLog.tiles.leaf(height)).toEqual(ledger.outcome(height)?.leafBytes)
      expect(auditState(store, ledger.head.stateRoot).findings).toEqual([])
    } finally {
      await blockLog.close()
      store.close()
    }
    const verdict = await verifyLog(disk, 'log', verifierKey(blockLogOrigin(chainId), log.publicKey))
    expect(verdict.problems).toEqual([])
  },
  60_000 + kills * 3_000,
)

/** Starts the operator, lets it work for a while after it has opened, and kills it. */
async function runAndKill(
  afterMs: number,
): Promise<{ openedAt: number; finals: [txId: string, height: number][] }> {
  const running = spawn(process.execPath, [child, folder], { stdio: ['pipe', 'pipe', 'pipe'] })
  let out = ''
  let errors = ''
  running.stderr.on('data', (bytes) => {
    errors += String(bytes)
  })
  const opened = new Promise<void>((resolve, reject) => {
    running.stdout.on('data', (bytes) => {
      out += String(bytes)
      if (out.includes('\n')) resolve()
    })
    running.on('exit', () => reject(new Error(`ended by itself: ${errors}`)))
  })
  const ended = new Promise<void>((resolve) => running.on('close', () => resolve()))
  await opened
  await pass(afterMs)
  running.kill('SIGKILL')
  await ended
  // The last line may be cut: then it was not said.
  const lines = out.slice(0, out.lastIndexOf('\n')).split('\n')
  const openedAt = Number(lines[0]?.split(' ')[1])
  const finals = lines.slice(1).map((line): [string, number] => {
    const [, height, txId] = line.split(' ')
    return [String(txId), Number(height)]
  })
  return { openedAt, finals }
}
