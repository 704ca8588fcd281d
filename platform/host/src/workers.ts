import { AppError } from '@salus/core'

/**
 * A task run elsewhere, several at a time. Input and output are structured-cloned.
 * @example const pool = systemWorkers<Job, Answer>(new URL('./verify-worker.ts', import.meta.url), { size: 2, queueMax: 64 })
 */
export interface WorkerPool<Input, Output> {
  /**
   * Runs one task. Buffers in `transfer` move instead of being copied, and are empty here afterwards.
   * An error thrown by the task comes out as it went in (an `AppError` with its code and data).
   * @throws `AppError WORKERS_BUSY` when the queue is full, `WORKERS_LOST` when the worker died under
   * the task, `WORKERS_CLOSED` after `close`
   */
  run(input: Input, transfer?: readonly ArrayBuffer[]): Promise<Output>
  /** Refuses new tasks, lets accepted ones finish, then ends the workers. */
  close(): Promise<void>
}

/** The twin: the task runs here, in order, one after another. Input and output are still cloned, so nothing is shared. */
export function inlineWorkers<Input, Output>(
  task: (input: Input) => Output | Promise<Output>,
  { queueMax = 1_024 }: { queueMax?: number } = {},
): WorkerPool<Input, Output> {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false
  return {
    async run(input, transfer = []) {
      if (closed) throw workersClosed()
      if (waiting >= queueMax) throw workersBusy(queueMax)
      waiting++
      const cloned = structuredClone(input, { transfer: [...transfer] })
      const done = last.then(() => task(cloned)).then((output) => structuredClone(output))
      last = done.catch(() => undefined).finally(() => waiting--)
      return done
    },
    async close() {
      closed = true
      await last
    },
  }
}

export const workersClosed = () => new AppError('WORKERS_CLOSED', 'the worker pool is closed')
export const workersBusy = (queueMax: number) =>
  new AppError('WORKERS_BUSY', `all workers are busy and ${queueMax} tasks wait; try again later`, {
    queueMax,
  })
