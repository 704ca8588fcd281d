import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assert,
  leafHash,
  openCheckpoint,
  parseTlogProof,
  sha256,
  signingKey,
  utf8,
  type VerifierKey,
  verifierKey,
  verifyInclusion,
} from '@salus/core'
import { systemDisk } from '@salus/host/system'
import { TileLog } from '@salus/log'
import {
  atLeast,
  atMost,
  type BenchContext,
  type Figure,
  inTurns,
  measurement,
  operationMs,
  seconds,
} from './harness.ts'

const LEAF_BYTES = 200
const MANY = 1_024
const FEW = 16
/** Leaves per appender and round. */
const PER_MANY = 32
const PER_FEW = 128

/** Appending to a log, each leaf durable and under a signed, durable checkpoint before its appender goes on. */
export const figure: Figure = {
  name: 'leaves',
  title: `Layer-2 leaves of ${LEAF_BYTES} B appended, durable and integrated`,
  async run(context) {
    const key = signingKey(sha256(utf8('bench log')))
    const origin = 'bench.example/leaves'
    const log = await TileLog.open({ disk: systemDisk(context.dir), path: 'log', origin, key })
    try {
      const rates = await inTurns({
        many: () => appendRate(log, MANY, PER_MANY),
        manyPlain: () => plainRate(context, MANY, PER_MANY),
        few: () => appendRate(log, FEW, PER_FEW),
        fewPlain: () => plainRate(context, FEW, PER_FEW),
        one: () => appendRate(log, 1, 100),
      })
      const proofs = await proofTimes(log, verifierKey(origin, key.publicKey))
      const plain = 'plain file, same groups, synced'
      return {
        measurements: [
          measurement(`${MANY} appenders`, rates.many, '/s', {
            reference: { name: plain, value: rates.manyPlain, unit: '/s' },
            target: atLeast(20_000),
          }),
          measurement(`${FEW} appenders`, rates.few, '/s', {
            reference: { name: plain, value: rates.fewPlain, unit: '/s' },
          }),
          measurement('1 appender', rates.one, '/s'),
          measurement('proof made and verified', proofs.ours, 'ms', {
            reference: { name: 'verifying its checkpoint alone', value: proofs.signature, unit: 'ms' },
            target: atMost(2),
          }),
        ],
        notes: [
          `one log, grown to ${log.size} leaves; an appender gives its next leaf when the one before is acknowledged`,
          'the proof is the tlog-proof text: made, parsed, checkpoint signature and path verified, another leaf each time',
        ],
      }
    } finally {
      await log.close()
    }
  },
}

async function appendRate(log: TileLog, appenders: number, each: number): Promise<number> {
  const leaves = leavesOf(appenders * each)
  const took = await seconds(() =>
    Promise.all(
      Array.from({ length: appenders }, async (_, appender) => {
        for (let at = 0; at < each; at += 1) await log.append(leaves[appender * each + at] as Uint8Array)
      }),
    ),
  )
  return leaves.length / took
}

/** What a file without hashes, tiles and signatures takes: one write and one sync for each group of appenders. */
async function plainRate({ dir }: BenchContext, group: number, groups: number): Promise<number> {
  const file = await open(join(dir, 'plain'), 'a')
  try {
    const leaves = leavesOf(group * groups)
    const took = await seconds(async () => {
      for (let at = 0; at < leaves.length; at += group) {
        await file.appendFile(Buffer.concat(leaves.slice(at, at + group)))
        await file.datasync()
      }
    })
    return leaves.length / took
  } finally {
    await file.close()
  }
}

async function proofTimes(log: TileLog, key: VerifierKey): Promise<{ ours: number; signature: number }> {
  const { size } = log
  const newest = log.checkpoint()
  let at = 0
  const times = await operationMs({
    async ours() {
      // A large odd step visits every part of the log.
      at = (at + 7_919) % size
      const { index, hashes, checkpoint } = parseTlogProof(await log.proof(at, size))
      const { size: signed, root } = openCheckpoint(checkpoint, [key]).checkpoint
      const leaf = leafHash(await log.leaf(at))
      assert(verifyInclusion({ leafHash: leaf, index, size: signed, proof: hashes, root }), 'the proof holds')
    },
    signature() {
      openCheckpoint(newest, [key])
    },
  })
  return { ours: times.get('ours') ?? Number.NaN, signature: times.get('signature') ?? Number.NaN }
}

function leavesOf(count: number): Uint8Array[] {
  const bytes = randomBytes(count * LEAF_BYTES)
  return Array.from({ length: count }, (_, at) => bytes.subarray(at * LEAF_BYTES, (at + 1) * LEAF_BYTES))
}
