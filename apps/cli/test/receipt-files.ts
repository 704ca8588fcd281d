import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cosign, encode, formatNoteSignature, parseNote, sha256, signingKey, toHex, utf8 } from '@salus/core'
import { memoryDisk, seededRandom } from '@salus/host'
import {
  DEFAULT_PARAMS,
  encodeBundle,
  encodeGenesis,
  Ledger,
  log,
  logIdOf,
  memoryStore,
  proveResult,
  signBody,
} from '@salus/ledger'
import {
  blockLogOrigin,
  cosignerKey,
  encodeReceipt,
  factLeaf,
  factLogOrigin,
  type Receipt,
  receiptAuth,
  TileLog,
} from '@salus/log'

const keyOf = (name: string) => signingKey(sha256(utf8(`receipts/${name}`)))
const ORG = 'st-anna'

export interface ReceiptFiles {
  readonly folder: string
  /** Genesis id, hex. */
  readonly genesisId: string
  /** Time of the newest block, ms UTC. */
  readonly timeMs: number
  readonly receipts: Readonly<Record<'fact' | 'tx' | 'notWitnessed' | 'notAnchored', string>>
  /** Writes another file beside them. */
  write(name: string, text: string): string
  remove(): void
}

/** Receipts of a network of one organisation and a witness, as files. */
export async function receiptFiles(networkName: string): Promise<ReceiptFiles> {
  const random = seededRandom('receipt files')
  const witness = keyOf('witness')
  const keys = { sign: keyOf('sign'), log: keyOf('log') }
  const genesis = encodeGenesis({
    v: 1,
    name: networkName,
    timeMs: 1_700_000_000_000,
    engine: 'embedded',
    operator: ORG,
    members: [
      {
        org: ORG,
        name: 'St Anna',
        url: 'https://anna.example',
        sign: keys.sign.publicKey,
        seal: new Uint8Array(1_216),
        log: keys.log.publicKey,
      },
    ],
    witnesses: [{ name: 'witness.example', key: witness.publicKey }],
    params: DEFAULT_PARAMS,
    contracts: ['governance', 'organisations', 'log'].map((name) => ({ name, version: 1 })),
  })
  const ledger = Ledger.open({ store: memoryStore(), contracts: [], genesis })
  const { chainId } = ledger
  const disk = memoryDisk()
  const blocks = await TileLog.open({ disk, path: 'blocks', origin: blockLogOrigin(chainId), key: keys.log })
  await blocks.append(ledger.outcome(0)?.leafBytes ?? new Uint8Array())
  const origin = factLogOrigin(chainId, ORG)
  const facts = await TileLog.open({ disk, path: 'facts', origin, key: keys.log })

  async function execute(call: string, args: Parameters<typeof signBody>[0]['args']) {
    const timeMs = ledger.head.timeMs + 1_000
    const untilMs = timeMs + 60_000
    const signed = signBody({ chainId, call, args, untilMs, keys: [keys.sign], random })
    const wire = encodeBundle({ chain: chainId, sponsor: ORG, until: untilMs, items: [signed] }, keys.sign)
    const done = ledger.execute({ v: 1, height: ledger.head.height + 1, timeMs, bundles: [wire] }, () => true)
    await blocks.append(done.leafBytes)
    return { signed, done }
  }
  async function proven(names: readonly (readonly [string, typeof witness])[]) {
    for (const [name, key] of names) {
      const note = await blocks.checkpointAt(blocks.size)
      const line = formatNoteSignature(cosign(parseNote(note).text, { name, key }, 1_700_000_000))
      await blocks.addCosignatures(note + line, [cosignerKey(name, key.publicKey)])
    }
    const height = ledger.head.height
    return { leaf: await blocks.leaf(height), proof: await blocks.proof(height, blocks.size) }
  }

  await execute('log/open', { org: ORG, origin })
  const salt = random(32)
  const fields = ['Observation/1', 1, random(32)]
  await facts.append(factLeaf(1, fields, salt))
  const { signed, done } = await execute('log/anchor', {
    logId: logIdOf(ORG, origin),
    oldSize: 0,
    note: facts.checkpoint(),
    proof: [],
  })
  const row = ledger.prove(log, 'logs', [logIdOf(ORG, origin)])
  const base = { v: 1, chain: chainId, keys: [{ genesis }] }
  const loggedFact = {
    ...base,
    kind: 'fact' as const,
    fact: { kind: 1, fields: encode(fields), salt },
    log: await facts.proof(0),
  }
  const state = { key: row.key, value: row.value ?? new Uint8Array(), siblings: [...row.proof.siblings] }
  const own: readonly [string, typeof witness] = [ORG, keys.log]
  const notWitnessed: Receipt = { ...loggedFact, block: await proven([own]), state }
  const block = await proven([own, ['witness.example', witness]])
  const [result] = done.results
  const tx: Receipt = {
    ...base,
    kind: 'tx',
    block,
    tx: {
      body: signed.body,
      auth: receiptAuth(signed.auth),
      code: result?.code ?? 1,
      result: encode(result?.result ?? null),
      index: 0,
      path: [...proveResult(done, 0).path],
    },
  }
  const folder = mkdtempSync(join(tmpdir(), 'salus-receipts-'))
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  return {
    folder,
    genesisId: toHex(chainId),
    timeMs: ledger.head.timeMs,
    receipts: {
      fact: write('fact.receipt.json', encodeReceipt({ ...loggedFact, block, state })),
      tx: write('tx.receipt.json', encodeReceipt(tx)),
      notWitnessed: write('not-witnessed.receipt.json', encodeReceipt(notWitnessed)),
      notAnchored: write('not-anchored.receipt.json', encodeReceipt(loggedFact)),
    },
    write,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
