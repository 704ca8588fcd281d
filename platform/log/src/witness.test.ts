import {
  NOTE_COSIGNATURE,
  openCheckpoint,
  parseNote,
  sha256,
  signCheckpoint,
  signingKey,
  utf8,
  verifierKey,
} from '@salus/core'
import { type MemoryDisk, manualClock, memoryDisk, memoryNetwork } from '@salus/host'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TileLog } from './tile-log.ts'
import { Witness } from './witness.ts'
import { WitnessClient } from './witness-client.ts'
import { formatAddCheckpoint } from './witness-request.ts'

const origin = 'log.example/witnessed'
const key = signingKey(sha256(utf8('log key')))
const logKey = verifierKey(origin, key.publicKey)
const witnessSigner = { name: 'witness.example', key: signingKey(sha256(utf8('witness key'))) }
const witnessKey = verifierKey(witnessSigner.name, witnessSigner.key.publicKey, NOTE_COSIGNATURE)
const leaf = (i: number) => sha256(utf8(`leaf ${i}`))
const clock = manualClock(1_700_000_000_000)

async function openLog(disk = memoryDisk(), begin = 0, count = 0) {
  const log = await TileLog.open({ disk, path: 'log', origin, key })
  await log.appendMany(Array.from({ length: count }, (_, i) => leaf(begin + i)))
  return log
}
async function openWitness(disk: MemoryDisk = memoryDisk()) {
  const witness = await Witness.open({ disk, path: 'witness', signer: witnessSigner, clock })
  await witness.addLog(origin, logKey)
  return witness
}
async function ask(witness: Witness, log: TileLog, oldSize: number, size = log.size) {
  const proof = oldSize <= size ? await log.consistency(oldSize, size) : []
  return witness.addCheckpoint(
    utf8(formatAddCheckpoint({ oldSize, proof, checkpoint: await log.checkpointAt(size) })),
  )
}

test('the answers of C2SP tlog-witness', async () => {
  const log = await openLog(memoryDisk(), 0, 20)
  const fork = await openLog(memoryDisk(), 100, 30)
  const witness = await openWitness()

  const first = await ask(witness, log, 0, 10)
  expect(first.status).toBe(200)
  const opened = openCheckpoint((await log.checkpointAt(10)) + first.body, [logKey, witnessKey])
  expect(opened.signedBy).toEqual([{ key: logKey }, { key: witnessKey, timeSeconds: 1_700_000_000 }])

  expect(await ask(witness, log, 5)).toEqual({ status: 409, contentType: 'text/x.tlog.size', body: '10\n' })
  expect((await ask(witness, log, 10)).status).toBe(200)
  expect((await ask(witness, log, 20)).status).toBe(200)
  expect((await ask(witness, log, 20, 10)).status).toBe(400)
  expect((await ask(witness, fork, 20)).status).toBe(422)
  expect((await ask(witness, fork, 20, 20)).status).toBe(409)
  expect(await witness.evidence(origin)).toEqual([await log.checkpointAt(20), await fork.checkpointAt(20)])
  expect(witness.sizeOf(origin)).toBe(20)

  const send = async (text: string) => (await witness.addCheckpoint(utf8(text))).status
  const checkpoint = { origin, size: 20, root: log.root }
  const forged = signCheckpoint(checkpoint, [{ name: origin, key: witnessSigner.key }])
  expect(await send(formatAddCheckpoint({ oldSize: 20, proof: [], checkpoint: forged }))).toBe(403)
  const unknown = signCheckpoint({ ...checkpoint, origin: 'other' }, [{ name: 'other', key }])
  expect(await send(formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: unknown }))).toBe(404)
  const good = formatAddCheckpoint({ oldSize: 20, proof: [], checkpoint: log.checkpoint() })
  for (const bad of [
    '',
    good.replace('old 20', 'old 020'),
    good.replace('old ', ''),
    good.replace('\n\n', '\nAAAA\n\n'),
    `${good}x`,
  ])
    expect(await send(bad)).toBe(400)
  const padded = formatAddCheckpoint({ oldSize: 20, proof: [leaf(0)], checkpoint: log.checkpoint() })
  expect(await send(padded)).toBe(422)
})

test('what was cosigned is remembered across a crash at any step, so no smaller or other log is cosigned after', async () => {
  for (let step = 0; step < 4; step++) {
    const disk = memoryDisk()
    const log = await openLog(memoryDisk(), 0, 20)
    const fork = await openLog(memoryDisk(), 100, 20)
    const witness = await openWitness(disk)
    disk.stopAfter(step)
    const answers = [
      await ask(witness, log, 0, 10).catch(() => undefined),
      await ask(witness, log, 10).catch(() => undefined),
    ]
    disk.crash()
    const after = await openWitness(disk)
    const cosigned = answers.filter((answer) => answer?.status === 200).length * 10
    expect(after.sizeOf(origin)).toBeGreaterThanOrEqual(cosigned)
    if (cosigned > 0) expect((await ask(after, fork, 0)).status).toBe(409)
  }
})

test('requests that race are taken one by one', async () => {
  const log = await openLog(memoryDisk(), 0, 20)
  const witness = await openWitness()
  const answers = await Promise.all([
    ask(witness, log, 0, 15),
    ask(witness, log, 0, 10),
    ask(witness, log, 0, 12),
  ])
  expect(answers.filter(({ status }) => status === 200).length).toBe(1)
  expect(answers.filter(({ status }) => status === 409).length).toBe(2)
})

test('property: no bytes make the witness fail, or sign', async () => {
  const witness = await openWitness()
  const log = await openLog(memoryDisk(), 0, 3)
  const good = utf8(formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: log.checkpoint() }))
  const text = parseNote(log.checkpoint()).text
  const mutated = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, mask]) => {
    const copy = good.slice()
    copy[at] = (copy[at] ?? 0) ^ mask
    return copy
  })
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), async (body) => {
      const { status, body: line } = await witness.addCheckpoint(body)
      // Nothing but this very checkpoint can be cosigned, for no other is signed by the log.
      if (status === 200) expect(openCheckpoint(`${text}\n${line}`, [witnessKey]).checkpoint.size).toBe(3)
      else expect([400, 403, 404, 409, 422]).toContain(status)
    }),
    { numRuns: 300 },
  )
})

test('a client collects cosignatures, catches up with a witness, and says when one is down', async () => {
  const network = memoryNetwork()
  const witness = await openWitness()
  network.serve('http://witness', async (request) => {
    const { status, body } = await witness.addCheckpoint(new Uint8Array(await request.arrayBuffer()))
    return new Response(body, { status })
  })
  const witnesses = [
    { key: witnessKey, url: 'http://witness' },
    { key: witnessKey, url: 'http://nobody' },
  ]
  const disk = memoryDisk()
  const log = await openLog(disk, 0, 10)
  const early = disk.files()
  const client = new WitnessClient({ log, network, clock })
  expect(await client.collect(witnesses)).toEqual([
    { status: 'cosigned', size: 10 },
    { status: 'unreachable' },
  ])
  expect(log.cosignedCheckpoint()?.size).toBe(10)
  await log.appendMany([leaf(10), leaf(11)])
  const fresh = new WitnessClient({ log, network, clock })
  expect((await fresh.collect(witnesses))[0]).toEqual({ status: 'cosigned', size: 12 })
  expect(log.cosignedCheckpoint(11)?.size).toBe(12)
  await log.close()

  for (const [path, bytes] of early) await disk.write(path, bytes)
  const rolledBack = await openLog(disk)
  const again = new WitnessClient({ log: rolledBack, network, clock })
  expect((await again.collect(witnesses))[0]).toEqual({ status: 'rolled-back', size: 12 })

  const fork = await openLog(memoryDisk(), 100, 12)
  expect((await new WitnessClient({ log: fork, network, clock }).collect(witnesses))[0]).toEqual({
    status: 'forked',
  })
  const longer = await openLog(memoryDisk(), 100, 20)
  expect((await new WitnessClient({ log: longer, network, clock }).collect(witnesses))[0]).toEqual({
    status: 'forked',
  })
})
