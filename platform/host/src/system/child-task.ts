import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AppError } from '@salus/core'

/**
 * Runs one task in a process of its own: for work on files that may end the process that reads them (memory-mapped
 * files that somebody altered). The file at `url` must call `serveChildTask`. Input and output are structured-cloned.
 * @throws {AppError} CHILD_LOST with `signal` or `exitCode` in its data when the process ended first; an AppError of
 * the task comes out as it went in
 */
export function childTask<Input, Output>(
  url: URL,
  input: Input,
  { onProgress }: { readonly onProgress?: (line: string) => void } = {},
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(url), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
    })
    let settled = false
    child.on('message', (message: ChildMessage<Output>) => {
      if ('progress' in message) return onProgress?.(message.progress)
      settled = true
      if ('output' in message) resolve(message.output)
      else reject(new AppError(message.error.code, message.error.message, message.error.data))
      child.disconnect()
    })
    child.on('error', reject)
    child.on('exit', (exitCode, signal) => {
      if (!settled)
        reject(
          new AppError(
            'CHILD_LOST',
            `the process that read the files ended (${signal ?? `exit code ${exitCode}`})`,
            signal === null ? { exitCode } : { signal },
          ),
        )
    })
    child.send(input as object)
  })
}

type ChildMessage<Output> =
  | { readonly progress: string }
  | { readonly output: Output }
  | { readonly error: { code: string; message: string; data: Record<string, unknown> } }

/** In the child's file: does the one task that it was started for. */
export function serveChildTask<Input, Output>(
  task: (input: Input, progress: (line: string) => void) => Output | Promise<Output>,
): void {
  const send = (message: ChildMessage<Output>) => process.send?.(message)
  process.once('message', (input: Input) => {
    void (async () => {
      try {
        send({ output: await task(input, (progress) => send({ progress })) })
      } catch (error) {
        const app = error instanceof AppError ? error : new AppError('CHILD_FAILED', String(error))
        send({ error: { code: app.code, message: app.message, data: { ...app.data } } })
      }
    })()
  })
}
