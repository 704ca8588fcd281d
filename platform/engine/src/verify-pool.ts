import { type CborValue, decode, encode, sha256, toHex } from '@salus/core'
import type { WorkerPool } from '@salus/host'
import { checkHolds, type Item, itemsToVerify, type SignedBundle, verifyBundle } from '@salus/ledger'

/** What one job verifies, laid end to end, so that one buffer moves to the worker and nothing is copied. */
export interface VerifyJob {
  readonly bytes: Uint8Array
  readonly parts: readonly VerifyPart[]
}

/** A bundle with its sponsor's sign key (undefined when the sponsor is unknown), or a body that waits for a bundle. */
export type VerifyPart =
  | { readonly kind: 'bundle'; readonly sizeBytes: number; readonly sponsorKey: Uint8Array | undefined }
  | { readonly kind: 'item'; readonly sizeBytes: number }

/** Per part the answer of `verifyBundle`: 1 where valid, first for the sponsor's signature, then per item. */
export type VerifyAnswer = readonly Uint8Array[]

/** What a worker does with a job. */
export function verifyJob(job: VerifyJob): VerifyAnswer {
  let offset = 0
  return job.parts.map((part) => {
    const bytes = job.bytes.subarray(offset, offset + part.sizeBytes)
    offset += part.sizeBytes
    return part.kind === 'bundle' ? verifyBundle(bytes, part.sponsorKey) : verifyEncodedItem(bytes)
  })
}

/** Verifies bundles' signatures, each bundle once. */
export interface BundleVerifier {
  /** @returns the answer of `verifyBundle` */
  verify(wire: Uint8Array, sponsorKey: Uint8Array | undefined): Promise<Uint8Array>
  /** Whether every signature of a body holds. */
  verifyItem(item: Item): Promise<boolean>
  /** Takes over an answer that this process already has. */
  remember(wire: Uint8Array, sponsorKey: Uint8Array, answer: Uint8Array): void
  close(): Promise<void>
}

export interface VerifyPoolOptions {
  readonly workers: WorkerPool<VerifyJob, VerifyAnswer>
  /** Jobs under way at once: as many as workers. Default 2. */
  readonly jobsMax?: number
  /**
   * Bytes of bundles in one job, at least and at most: what waits is shared out between the bounds. Defaults 32 KiB,
   * about 100 signatures or 15 ms, and 256 KiB, so that workers stay busy while a block is executed.
   */
  readonly jobMinBytes?: number
  readonly jobMaxBytes?: number
  /** Answers kept. Default 4,096. */
  readonly answersMax?: number
}

/** A verifier over worker threads. Answers are kept by `H(bundle)` and sponsor key, so nothing is verified twice. */
export function verifyPool({
  workers,
  jobsMax = 2,
  jobMinBytes = 32_768,
  jobMaxBytes = 262_144,
  answersMax = 4_096,
}: VerifyPoolOptions): BundleVerifier {
  const answers = new Map<string, Promise<Uint8Array>>()
  const waiting: Waiting[] = []
  let running = 0
  let waitingBytes = 0

  function keep(name: string, answer: Promise<Uint8Array>): void {
    answers.set(name, answer)
    if (answers.size <= answersMax) return
    for (const oldest of answers.keys()) {
      answers.delete(oldest)
      return
    }
  }

  function next(): void {
    while (running < jobsMax && waiting.length > 0) {
      const share = Math.ceil(waitingBytes / (jobsMax - running))
      const batch = takeJob(waiting, Math.min(jobMaxBytes, Math.max(jobMinBytes, share)))
      for (const { bytes } of batch) waitingBytes -= bytes.length
      void run(batch)
    }
  }

  async function run(batch: readonly Waiting[]): Promise<void> {
    running++
    try {
      const job = jobOf(batch)
      const answer = await workers.run(job, [job.bytes.buffer as ArrayBuffer])
      for (const [at, one] of batch.entries()) one.resolve(answer[at] as Uint8Array)
    } catch (error) {
      for (const one of batch) one.reject(error)
    } finally {
      running--
      next()
    }
  }

  function ask(bytes: Uint8Array, part: VerifyPart): Promise<Uint8Array> {
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      waiting.push({ bytes, part, resolve, reject })
      waitingBytes += bytes.length
    })
    // Requests of one turn share a job.
    queueMicrotask(next)
    return answer
  }

  return {
    verify(wire, sponsorKey) {
      const name = nameOf(wire, sponsorKey)
      const known = answers.get(name)
      if (known) return known
      const answer = ask(wire, { kind: 'bundle', sizeBytes: wire.length, sponsorKey })
      keep(name, answer)
      // A worker that died says nothing about the bundle: the next one to ask tries again.
      answer.catch(() => answers.delete(name))
      return answer
    },
    async verifyItem(item) {
      const bytes = encode({ body: item.body, auth: item.auth as CborValue })
      const answer = await ask(bytes, { kind: 'item', sizeBytes: bytes.length })
      return answer[1] === 1
    },
    remember: (wire, sponsorKey, answer) => keep(nameOf(wire, sponsorKey), Promise.resolve(answer)),
    close: () => workers.close(),
  }
}

interface Waiting {
  readonly bytes: Uint8Array
  readonly part: VerifyPart
  readonly resolve: (answer: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

function takeJob(waiting: Waiting[], jobBytes: number): Waiting[] {
  let sizeBytes = 0
  let count = 0
  while (count < waiting.length && (count === 0 || sizeBytes < jobBytes)) {
    sizeBytes += (waiting[count] as Waiting).bytes.length
    count++
  }
  return waiting.splice(0, count)
}

function jobOf(batch: readonly Waiting[]): VerifyJob {
  const joined = new Uint8Array(batch.reduce((sum, { bytes }) => sum + bytes.length, 0))
  let offset = 0
  for (const { bytes } of batch) {
    joined.set(bytes, offset)
    offset += bytes.length
  }
  return { bytes: joined, parts: batch.map(({ part }) => part) }
}

/** As `verifyBundle`, for a body without a bundle: the sponsor's place stays 0. */
function verifyEncodedItem(bytes: Uint8Array): Uint8Array {
  const item = decode(bytes) as unknown as Item
  const checks = itemsToVerify({ items: [item] } as unknown as SignedBundle, undefined)
  return new Uint8Array([0, checks.length > 0 && checks.every(checkHolds) ? 1 : 0])
}

function nameOf(wire: Uint8Array, sponsorKey: Uint8Array | undefined): string {
  return `${toHex(sha256(wire))}${sponsorKey ? toHex(sponsorKey) : ''}`
}

/** What each worker thread runs: `systemWorkers(verifyWorkerUrl, { size })`. */
export const verifyWorkerUrl = new URL('./verify-worker.ts', import.meta.url)
