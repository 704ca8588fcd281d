import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expectThat } from './story.ts'
import type { World } from './world.ts'

const run = promisify(execFile)
const SALUS = new URL('../../bin/salus.js', import.meta.url).pathname
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024

export interface AuditFinding {
  readonly where: string
  readonly what: string
}

/** Runs `salus audit` as a child on a data directory that no node has open; what it found. */
export async function auditFindings(world: World, dir: string): Promise<readonly AuditFinding[]> {
  const args = ['audit', dir, '--genesis', world.net.genesisId, '--quiet', '--json']
  return ((await salus(args)) as { findings: AuditFinding[] }).findings
}

/** Runs `salus verify` as a child that is given only the files and the genesis id; the status of each. */
export async function receiptStatuses(
  world: World,
  files: readonly string[],
): Promise<readonly { readonly file: string; readonly status: string }[]> {
  const now = String(Math.round(world.net.clock.now()))
  const args = ['verify', ...files, '--genesis', world.net.genesisId, '--now', now, '--json']
  return ((await salus(args)) as { receipts: { file: string; status: string }[] }).receipts
}

/** One command; exit code 1 means that it found something, and its document says what. */
async function salus(args: readonly string[]): Promise<unknown> {
  const { stdout } = await run(process.execPath, [SALUS, ...args], { maxBuffer: MAX_OUTPUT_BYTES }).catch(
    (error: { stdout?: string; stderr?: string }) => {
      const { stdout = '', stderr = '' } = error
      expectThat(stdout !== '', `salus ${args[0]} failed: ${stderr.slice(0, 300)}`)
      return { stdout }
    },
  )
  return JSON.parse(stdout)
}
