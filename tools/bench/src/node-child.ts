import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const SALUS = fileURLToPath(new URL('../../../apps/cli/bin/salus.js', import.meta.url))
const BARE = fileURLToPath(new URL('./bare-process.ts', import.meta.url))
const POLL_MS = 5
const READY_WITHIN_MS = 30_000

/** A server in its own process. */
export interface ServerChild {
  readonly url: string
  /** From starting the process to the first 200 of `/ready`. */
  readonly readyMs: number
  /** What it printed so far. */
  output(): string
  /** Resident set of the whole process, threads included: now, and (on Linux) at its peak. */
  memory(): { readonly rssBytes: number; readonly peakBytes: number | undefined }
  stop(): Promise<void>
}

/** Runs one command of `salus` to its end. */
export async function salus(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [SALUS, ...args])
}

/** `salus node start`, as an operator types it, until it is ready. */
export function startNode(dataDir: string, org: string, port: number): Promise<ServerChild> {
  const args = ['node', 'start', '--org', org, '--data-dir', dataDir, '--port', String(port), '--json']
  return start([SALUS, ...args], port)
}

/** Starts a program that serves `/ready` and does nothing else. */
export function startBare(port: number): Promise<ServerChild> {
  return start([BARE, String(port)], port)
}

async function start(args: readonly string[], port: number): Promise<ServerChild> {
  const started = performance.now()
  const child = spawn(process.execPath, [...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString()
  })
  const url = `http://127.0.0.1:${port}`
  await ready(url, child)
  const readyMs = performance.now() - started
  return {
    url,
    readyMs,
    output: () => output,
    memory: () => memoryOf(child.pid ?? 0),
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

function memoryOf(pid: number): ReturnType<ServerChild['memory']> {
  const file = `/proc/${pid}/status`
  if (!existsSync(file)) {
    const kilobytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString()
    return { rssBytes: Number(kilobytes) * 1024, peakBytes: undefined }
  }
  const status = readFileSync(file, 'utf8')
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024
  return { rssBytes: bytesOf('VmRSS'), peakBytes: bytesOf('VmHWM') }
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  for (const until = performance.now() + READY_WITHIN_MS; performance.now() < until; ) {
    if (child.exitCode !== null) throw new Error(`the process ended with code ${child.exitCode}`)
    const response = await fetch(`${url}/ready`).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.ok) return
    await pause(POLL_MS)
  }
  child.kill()
  throw new Error('the process was not ready in time')
}
