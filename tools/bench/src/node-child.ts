import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { NodeAnswer, NodeQuestion } from './node-process.ts'

const PROGRAM = fileURLToPath(new URL('./node-process.ts', import.meta.url))
const BARE = fileURLToPath(new URL('./bare-process.ts', import.meta.url))
const POLL_MS = 5
const READY_WITHIN_MS = 30_000

/** A node in its own process. */
export interface NodeChild {
  readonly url: string
  /** From starting the process to the first 200 of `/ready`. */
  readonly readyMs: number
  admin(): Promise<string>
  memory(): Promise<{ readonly rssBytes: number; readonly peakBytes: number }>
  stop(): Promise<void>
}

/** Starts a node of the network in `dir` and waits until it is ready. */
export function startNode(dir: string, org: string, port: number): Promise<NodeChild> {
  return start(PROGRAM, [dir, org, String(port)], port)
}

/** Starts a program that serves `/ready` and does nothing else. */
export function startBare(port: number): Promise<NodeChild> {
  return start(BARE, [String(port)], port)
}

async function start(program: string, args: readonly string[], port: number): Promise<NodeChild> {
  const started = performance.now()
  const child = fork(program, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const url = `http://127.0.0.1:${port}`
  await ready(url, child)
  return {
    url,
    readyMs: performance.now() - started,
    async admin() {
      const { token } = await ask(child, 'admin')
      return token
    },
    memory: () => ask(child, 'memory'),
    async stop() {
      const exited = once(child, 'exit')
      child.send('stop' satisfies NodeQuestion)
      await exited
    },
  }
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

async function ask<Kind extends NodeAnswer['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<NodeAnswer, { readonly kind: Kind }>> {
  const answered = once(child, 'message')
  child.send(kind)
  const [answer] = (await answered) as [Extract<NodeAnswer, { readonly kind: Kind }>]
  return answer
}
