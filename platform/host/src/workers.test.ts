import { afterAll, describe, expect, test } from 'vitest'
import { type SampleInput, sampleTask } from './sample-task.ts'
import { systemWorkers } from './system/index.ts'
import { inlineWorkers, type WorkerPool } from './workers.ts'

const url = new URL('./system/sample-worker.ts', import.meta.url)
const kinds: [name: string, make: (queueMax?: number) => WorkerPool<SampleInput, number>][] = [
  ['inline', (queueMax = 64) => inlineWorkers(sampleTask, { queueMax })],
  ['system', (queueMax = 64) => systemWorkers(url, { size: 2, queueMax })],
]

describe.each(kinds)('%s workers', (_, make) => {
  const pool = make()
  afterAll(() => pool.close())

  test('answer every task with its own result', async () => {
    const sums = await Promise.all(Array.from({ length: 20 }, (_, i) => pool.run({ add: [i, 1] })))
    expect(sums).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  test('a transferred buffer moves', async () => {
    const buffer = new ArrayBuffer(1_000)
    expect(await pool.run({ buffer }, [buffer])).toBe(1_000)
    expect(buffer.byteLength).toBe(0)
  })

  test('errors come out as they went in, and the pool goes on', async () => {
    await expect(pool.run({ fail: 'app' })).rejects.toMatchObject({
      code: 'SAMPLE',
      message: 'refused on purpose',
      data: { why: 'test' },
    })
    await expect(pool.run({ fail: 'bug' })).rejects.toThrow('broken on purpose')
    expect(await pool.run({ add: [1] })).toBe(1)
  })

  test('a full queue refuses', async () => {
    const small = make(1)
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => small.run({ add: [1] })))
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'WORKERS_BUSY' })
    await small.close()
  })

  test('close lets accepted tasks finish and refuses new ones', async () => {
    const closing = make()
    const accepted = [
      closing.run({ add: [1, 1] }),
      closing.run({ add: [2, 2] }),
      closing.run({ add: [3, 3] }),
    ]
    await closing.close()
    expect(await Promise.all(accepted)).toEqual([2, 4, 6])
    await expect(closing.run({ add: [] })).rejects.toMatchObject({ code: 'WORKERS_CLOSED' })
  })
})

test('a worker that dies takes only its task with it', async () => {
  const pool = systemWorkers<SampleInput | { exit: true }, number>(url, { size: 1 })
  const [lost, next] = await Promise.allSettled([pool.run({ exit: true }), pool.run({ add: [2] })])
  expect(lost).toMatchObject({ status: 'rejected', reason: { code: 'WORKERS_LOST' } })
  expect(next).toEqual({ status: 'fulfilled', value: 2 })
  await pool.close()
})
