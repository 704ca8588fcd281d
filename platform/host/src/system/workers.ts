import { parentPort, Worker } from 'node:worker_threads'
import { AppError, assert } from '@salus/core'
import { type WorkerPool, workersBusy, workersClosed } from '../workers.ts'

interface Task<Input, Output> {
  readonly input: Input
  readonly transfer: readonly ArrayBuffer[]
  readonly resolve: (output: Output) => void
  readonly reject: (error: unknown) => void
}

type Reply<Output> = { readonly output: Output } | { readonly error: Failure }
type Failure = {
  readonly message: string
  readonly app?: { readonly code: string; readonly data: Record<string, unknown> }
}

interface Options {
  /** Threads. They start with the first task, one by one as needed. */
  readonly size: number
  /** Tasks that may wait; one more is `WORKERS_BUSY`. */
  readonly queueMax?: number
  readonly workerData?: unknown
}

/**
 * Room for young objects in each thread, MB. V8 takes 96 on a machine with much memory and does not give it back; threads
 * that parse files then hold most of a node's memory. A smaller room costs some copying and halves what a thread holds.
 */
const YOUNG_MB = 24

/** Threads that run the file at `url` (TypeScript as it is), which must call `serveTasks`. Idle threads do not keep the process alive. */
export function systemWorkers<Input, Output>(
  url: URL,
  { size, queueMax = 1_024, workerData }: Options,
): WorkerPool<Input, Output> {
  assert(size >= 1, 'a worker pool needs at least one worker')
  const queue: Task<Input, Output>[] = []
  const busy = new Map<Worker, Task<Input, Output>>()
  const idle: Worker[] = []
  let closed: Promise<void> | undefined
  let drained: (() => void) | undefined

  function start(): Worker {
    const worker = new Worker(url, { workerData, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
    const finish = () => {
      const task = busy.get(worker)
      busy.delete(worker)
      return task
    }
    worker.on('message', (reply: Reply<Output>) => {
      const task = finish()
      worker.unref()
      idle.push(worker)
      if (task) 'error' in reply ? task.reject(revived(reply.error)) : task.resolve(reply.output)
      next()
    })
    const lost = (cause?: unknown) => {
      const at = idle.indexOf(worker)
      if (at >= 0) idle.splice(at, 1)
      finish()?.reject(new AppError('WORKERS_LOST', 'the worker ended under the task', {}, { cause }))
      next()
    }
    worker.on('error', lost)
    worker.on('exit', () => lost())
    return worker
  }

  function next(): void {
    while (queue.length > 0 && (idle.length > 0 || busy.size < size)) {
      const task = queue.shift()
      assert(task, 'queue is not empty')
      const worker = idle.pop() ?? start()
      busy.set(worker, task)
      worker.ref()
      try {
        worker.postMessage(task.input, [...task.transfer])
      } catch (error) {
        busy.delete(worker)
        worker.unref()
        idle.push(worker)
        task.reject(error)
      }
    }
    if (queue.length === 0 && busy.size === 0) drained?.()
  }

  return {
    run(input, transfer = []) {
      if (closed) return Promise.reject(workersClosed())
      if (queue.length >= queueMax && idle.length === 0 && busy.size >= size)
        return Promise.reject(workersBusy(queueMax))
      return new Promise<Output>((resolve, reject) => {
        queue.push({ input, transfer, resolve, reject })
        next()
      })
    },
    close() {
      closed ??= (async () => {
        if (queue.length > 0 || busy.size > 0)
          await new Promise<void>((resolve) => {
            drained = resolve
          })
        await Promise.all(idle.map((worker) => worker.terminate()))
      })()
      return closed
    },
  }
}

/** In a worker's file: answers every task of the pool with `task`, one at a time. `transfer` names buffers of the output to move. */
export function serveTasks<Input, Output>(
  task: (input: Input) => Output | Promise<Output>,
  transfer: (output: Output) => ArrayBuffer[] = () => [],
): void {
  const port = parentPort
  assert(port, 'serveTasks runs in a worker thread')
  port.on('message', (input: Input) => {
    void (async () => {
      try {
        const output = await task(input)
        port.postMessage({ output }, transfer(output))
      } catch (error) {
        port.postMessage({ error: flat(error) })
      }
    })()
  })
}

/** Structured clone drops `code` and `data` of errors, so they travel as plain data. */
function flat(error: unknown): Failure {
  if (error instanceof AppError)
    return { message: error.message, app: { code: error.code, data: { ...error.data } } }
  return { message: error instanceof Error ? error.message : String(error) }
}

function revived({ message, app }: Failure): Error {
  return app ? new AppError(app.code, message, app.data) : new Error(message)
}
