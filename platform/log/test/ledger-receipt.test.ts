import {
  type CborValue,
  cosign,
  encode,
  formatNoteSignature,
  parseNote,
  type SigningKey,
  sha256,
  signingKey,
  utf8,
} from '@salus/core'
import { memoryDisk, seededRandom } from '@salus/host'
import {
  DEFAULT_PARAMS,
  encodeBundle,
  encodeGenesis,
  governance,
  Ledger,
  log as logContract,
  logIdOf,
  memoryStore,
  organisations,
  proveResult,
  signBody,
  stateKey,
} from '@salus/ledger'
import { expect, test } from 'vitest'
import {
  blockLogOrigin,
  cosignerKey,
  decodeReceipt,
  encodeReceipt,
  factLeaf,
  factLogOrigin,
  type KeyHint,
  type Receipt,
  receiptAuth,
  TileLog,
  verifyReceipt,
} from '../src/index.ts'

const keyOf = (name: string) => signingKey(sha256(utf8(name)))
const random = seededRandom('ledger receipts')
const org = 'st-anna'
const seal = new Uint8Array(1_216)

/** One organisation that orders, its block log and its fact log, over the real ledger. */
async function network() {
  const keys = { sign: keyOf('sign'), log: keyOf('log') }
  const genesis = encodeGenesis({
    v: 1,
    name: 'St Anna',
    timeMs: 1_700_000_000_000,
    engine: 'embedded',
    operator: org,
    members: [
      {
        org,
        name: 'St Anna',
        url: 'https://anna.example',
        sign: keys.sign.publicKey,
        seal,
        log: keys.log.publicKey,
      },
    ],
    witnesses: [{ name: 'witness.example', key: keyOf('witness').publicKey }],
    params: DEFAULT_PARAMS,
    contracts: [governance, organisations, logContract].map(({ name, version }) => ({ name, version })),
  })
  const ledger = Ledger.open({ store: memoryStore(), contracts: [], genesis })
  const chainId = ledger.chainId
  const blocks = await TileLog.open({
    disk: memoryDisk(),
    path: 'blocks',
    origin: blockLogOrigin(chainId),
    key: keys.log,
  })
  const outcome = ledger.outcome(0)
  if (outcome) await blocks.append(outcome.leafBytes)

  async function execute(
    call: string,
    args: { readonly [name: string]: CborValue },
    signers: readonly SigningKey[] = [keys.sign],
  ) {
    const timeMs = ledger.head.timeMs + 1_000
    const signed = signBody({ chainId, call, args, untilMs: timeMs + 60_000, keys: signers, random })
    const bundle = encodeBundle(
      { chain: chainId, sponsor: org, until: timeMs + 60_000, items: [signed] },
      keys.sign,
    )
    const done = ledger.execute(
      { v: 1, height: ledger.head.height + 1, timeMs, bundles: [bundle] },
      () => true,
    )
    await blocks.append(done.leafBytes)
    return { signed, done }
  }
  /** The block under the newest checkpoint, cosigned by the organisation and the witness. */
  async function blockAt(height: number, logKey: SigningKey = keys.log) {
    const size = blocks.size
    for (const [name, key] of [
      [org, logKey],
      ['witness.example', keyOf('witness')],
    ] as const) {
      const note = await blocks.checkpointAt(size)
      const line = formatNoteSignature(cosign(parseNote(note).text, { name, key }, 1_700_000_000))
      await blocks.addCosignatures(note + line, [cosignerKey(name, key.publicKey)])
    }
    return { leaf: await blocks.leaf(height), proof: await blocks.proof(height, size) }
  }
  return { genesis, ledger, chainId, keys, execute, blockAt }
}

const check = (receipt: Receipt, genesisId: Uint8Array) =>
  verifyReceipt(decodeReceipt(encodeReceipt(receipt)), { genesisId })

test('a fact anchored on the real ledger, and the transaction that anchored it, verify from the genesis id', async () => {
  const { genesis, ledger, chainId, keys, execute, blockAt } = await network()
  const origin = factLogOrigin(chainId, org)
  const facts = await TileLog.open({ disk: memoryDisk(), path: 'facts', origin, key: keys.log })
  const salt = random(32)
  const fields = ['record-1', 1, random(32)]
  await facts.appendMany([random(32), factLeaf(1, fields, salt), random(32)])
  const anchored = facts.size
  expect((await execute('log/open', { org, origin })).done.results[0]?.code).toBe(0)
  const { signed, done } = await execute('log/anchor', {
    logId: logIdOf(org, origin),
    oldSize: 0,
    note: facts.checkpoint(),
    proof: [],
  })
  expect(done.results[0]?.code).toBe(0)
  // The log grows on; the proof is made against what was anchored.
  await facts.append(random(32))

  const { height } = ledger.head
  const row = ledger.prove(logContract, 'logs', [logIdOf(org, origin)])
  const block = await blockAt(height)
  const base = { v: 1, chain: chainId, block, keys: [{ genesis }] }
  const fact: Receipt = {
    ...base,
    kind: 'fact',
    fact: { kind: 1, fields: encode(fields), salt },
    log: await facts.proof(1, anchored),
    state: { key: row.key, value: row.value ?? new Uint8Array(0), siblings: [...row.proof.siblings] },
  }
  expect(check(fact, chainId)).toMatchObject({
    status: 'valid',
    detail: expect.arrayContaining([expect.objectContaining({ check: 'anchor', holds: true })]),
  })
  const unanchored = { ...fact, log: await facts.proof(1) }
  expect(check(unanchored, chainId).status).toBe('invalid')

  const { index, path } = proveResult(done, 0)
  const [result] = done.results
  const tx: Receipt = {
    ...base,
    kind: 'tx',
    tx: {
      body: signed.body,
      auth: receiptAuth(signed.auth),
      code: result?.code ?? 1,
      result: encode(result?.result ?? null),
      index,
      path: [...path],
    },
  }
  expect(check(tx, chainId).status).toBe('valid')
})

test('after a log key was replaced on the ledger, a receipt carries the change and verifies', async () => {
  const { genesis, ledger, chainId, keys, execute, blockAt } = await network()
  const next = keyOf('next log')
  const from = ledger.head.height + 3
  const set = await execute('organisations/setKeys', {
    org,
    keys: { sign: keys.sign.publicKey, seal, log: next.publicKey },
    from,
  })
  expect(set.done.results[0]?.code).toBe(0)
  const { height } = ledger.head
  const rowOf = ({ key, value, proof }: ReturnType<typeof ledger.prove>) => ({
    key,
    value: value ?? new Uint8Array(0),
    siblings: [...proof.siblings],
  })
  const rows = [
    rowOf(ledger.prove(governance, 'members', [org])),
    rowOf(ledger.prove(organisations, 'keys', [org])),
  ]
  expect(rows[0]?.key).toEqual(stateKey('governance', 'members', [org]))
  const change: KeyHint = { change: { block: await blockAt(height), rows } }
  await execute('log/open', { org, origin: 'a.example/log' })
  await execute('log/open', { org, origin: 'b.example/log' })
  const { signed, done } = await execute('log/open', { org, origin: 'c.example/log' })
  const { index, path } = proveResult(done, 0)
  const [result] = done.results
  const at = ledger.head.height
  const byOldKey = await blockAt(at, keys.log)
  await execute('log/open', { org, origin: 'd.example/log' })
  const receipt: Receipt = {
    v: 1,
    chain: chainId,
    kind: 'tx',
    tx: {
      body: signed.body,
      auth: receiptAuth(signed.auth),
      code: 0,
      result: encode(result?.result ?? null),
      index,
      path: [...path],
    },
    block: await blockAt(at, next),
    keys: [{ genesis }],
  }
  expect(check(receipt, chainId).status).toBe('invalid')
  expect(check({ ...receipt, keys: [{ genesis }, change] }, chainId).status).toBe('valid')
  // The replaced key cosigns nothing any more, for a verifier that is told of the change.
  expect(check({ ...receipt, block: byOldKey, keys: [{ genesis }, change] }, chainId).status).toBe('invalid')
})
