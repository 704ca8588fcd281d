import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { systemDisk } from './index.ts'

const root = await mkdtemp(join(tmpdir(), 'salus-lock-'))
afterAll(() => rm(root, { recursive: true }))
const holder = new URL('./lock-holder.ts', import.meta.url).pathname

async function contend(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [holder, root, 'lock'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const said = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim())),
  )
  return { child, said }
}
const killed = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })

test('of many processes one gets the lock, kill -9 frees it, and reading files beside it does not', async () => {
  const disk = systemDisk(root)
  const mine = await disk.lock('lock')
  await expect(disk.read('lock')).rejects.toMatchObject({ code: 'DISK_LOCKED' })
  const first = await contend()
  expect(first.said).toBe('refused')
  await mine.release()

  const rivals = await Promise.all([contend(), contend(), contend()])
  const holders = rivals.filter(({ said }) => said === 'held')
  expect(holders.length).toBe(1)
  await expect(disk.lock('lock')).rejects.toMatchObject({ code: 'DISK_LOCKED' })
  for (const { child } of holders) await killed(child)
  await (await disk.lock('lock')).release()
})
