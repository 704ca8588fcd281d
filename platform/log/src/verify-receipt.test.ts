import {
  type CborValue,
  compareBytes,
  cosign,
  encode,
  formatNoteSignature,
  inclusionProof,
  keyHashOf,
  leafHash,
  merkleRoot,
  parseNote,
  type SigningKey,
  sha256,
  signingKey,
  sparseProofOf,
  sparseRootOf,
  toHex,
  utf8,
  valueHashOf,
} from '@salus/core'
import { memoryDisk, seededRandom } from '@salus/host'
import {
  DEFAULT_PARAMS,
  encodeBlockLeaf,
  encodeGenesis,
  logIdOf,
  resultHashOf,
  signBody,
  stateKey,
  txLeaf,
} from '@salus/ledger'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { blockLogOrigin, cosignerKey, factLeaf, factLogOrigin } from './names.ts'
import { decodeReceipt, encodeReceipt, type Receipt, receiptAuth } from './receipt.ts'
import { TileLog } from './tile-log.ts'
import { verifyReceipt } from './verify-receipt.ts'

const keyOf = (name: string) => signingKey(sha256(utf8(name)))
const random = seededRandom('receipts')
const orgsOf = (count: number) => Array.from({ length: count }, (_, i) => `org-${i}`)
const logKey = (org: string) => keyOf(`${org} log`)

type Rows = [key: Uint8Array, value: Uint8Array][]

function stateOf(rows: Rows) {
  const leaves = rows.map(([key, value]) => ({ keyHash: keyHashOf(key), valueHash: valueHashOf(value) }))
  return {
    root: sparseRootOf(leaves),
    prove(key: Uint8Array) {
      const value = rows.find(([other]) => compareBytes(other, key) === 0)?.[1] ?? new Uint8Array(0)
      return { key, value, siblings: [...sparseProofOf(leaves, key).siblings] }
    },
  }
}

/** A small network with a block log, made by hand: the verifier must not depend on the code that it checks. */
async function network(orgCount: number) {
  const orgs = orgsOf(orgCount)
  const genesis = encodeGenesis({
    v: 1,
    name: 'Testing',
    timeMs: 1_700_000_000_000,
    engine: 'embedded',
    operator: 'org-0',
    members: orgs.map((org) => ({
      org,
      name: org,
      url: `https://${org}.example`,
      sign: keyOf(`${org} sign`).publicKey,
      seal: new Uint8Array(1_216),
      log: logKey(org).publicKey,
    })),
    witnesses: [{ name: 'witness.example', key: keyOf('witness').publicKey }],
    params: DEFAULT_PARAMS,
    contracts: [{ name: 'log', version: 1 }],
  })
  const chain = sha256(genesis)
  const blocks = await TileLog.open({
    disk: memoryDisk(),
    path: 'blocks',
    origin: blockLogOrigin(chain),
    key: logKey('org-0'),
  })
  await blocks.append(
    encodeBlockLeaf({ height: 0, timeMs: 1, stateRoot: chain, txRoot: chain, eventRoot: chain }),
  )
  let height = 0

  async function block({ rows = [], txs = [] }: { rows?: Rows; txs?: Uint8Array[] }) {
    height++
    const leaf = encodeBlockLeaf({
      height,
      timeMs: 1_700_000_000_000 + height,
      stateRoot: stateOf(rows).root,
      txRoot: merkleRoot(txs),
      eventRoot: sha256(new Uint8Array(0)),
    })
    const { index } = await blocks.append(leaf)
    return { leaf, index }
  }
  async function cosigned(index: number, signers: readonly [name: string, key: SigningKey][]) {
    const size = blocks.size
    for (const [name, key] of signers) {
      const note = await blocks.checkpointAt(size)
      const line = formatNoteSignature(cosign(parseNote(note).text, { name, key }, 1_700_000_100))
      await blocks.addCosignatures(note + line, [cosignerKey(name, key.publicKey)])
    }
    return blocks.proof(index, size)
  }
  return { orgs, genesis, chain, block, cosigned }
}
type Network = Awaited<ReturnType<typeof network>>

const members = (orgs: readonly string[]): [string, SigningKey][] => orgs.map((org) => [org, logKey(org)])
const witness: [string, SigningKey] = ['witness.example', keyOf('witness')]
const salt = sha256(utf8('salt'))
const fields: CborValue[] = ['record-1', 3, sha256(utf8('digest'))]

async function factReceipt(net: Network, signers: readonly [string, SigningKey][]): Promise<Receipt> {
  const org = 'org-0'
  const origin = factLogOrigin(net.chain, org)
  const log = await TileLog.open({ disk: memoryDisk(), path: 'facts', origin, key: logKey(org) })
  await log.appendMany(
    Array.from({ length: 5 }, (_, i) => (i === 3 ? factLeaf(1, fields, salt) : sha256(utf8(`${i}`)))),
  )
  const key = stateKey('log', 'logs', [logIdOf(org, origin)])
  const row = { org, origin, size: 5, root: log.root, timeMs: 5, height: 1, state: 'open' }
  const rows: Rows = [
    [key, encode(row)],
    [stateKey('other', 'rows', ['x']), encode(1)],
  ]
  const { leaf, index } = await net.block({ rows })
  return {
    v: 1,
    chain: net.chain,
    kind: 'fact',
    fact: { kind: 1, fields: encode(fields), salt },
    log: await log.proof(3),
    block: { leaf, proof: await net.cosigned(index, signers) },
    state: stateOf(rows).prove(key),
    keys: [{ genesis: net.genesis }],
  }
}

async function txReceipt(net: Network, signers: readonly [string, SigningKey][], code = 0): Promise<Receipt> {
  const { body, auth, txId } = signBody({
    chainId: net.chain,
    call: 'consent/grant',
    args: { g: random(16) },
    untilMs: 5,
    keys: [keyOf('controller')],
    random,
  })
  const result = { done: 1 }
  const leaves = [random(66), txLeaf(txId, code, resultHashOf(result)), random(66)]
  const { leaf, index } = await net.block({ txs: leaves })
  return {
    v: 1,
    chain: net.chain,
    kind: 'tx',
    tx: {
      body,
      auth: receiptAuth(auth),
      code,
      result: encode(result),
      index: 1,
      path: inclusionProof(leaves.map(leafHash), 1),
    },
    block: { leaf, proof: await net.cosigned(index, signers) },
    keys: [{ genesis: net.genesis }],
  }
}

const statusOf = (receipt: Receipt, net: Network) =>
  verifyReceipt(decodeReceipt(encodeReceipt(receipt)), { genesisId: toHex(net.chain) }).status

describe.each([
  ['fact', factReceipt],
  ['tx', txReceipt],
])('a %s receipt', (_, make) => {
  test('verifies from the genesis id alone, and says what it checked', async () => {
    const net = await network(3)
    const receipt = await make(net, [...members(net.orgs), witness])
    const verdict = verifyReceipt(decodeReceipt(encodeReceipt(receipt)), { genesisId: toHex(net.chain) })
    expect(verdict).toMatchObject({ valid: true, status: 'valid' })
    expect(verdict.detail.every(({ holds, found }) => holds && found.length > 0)).toBe(true)
    expect(verdict.detail.find(({ check }) => check === 'block')?.found).toContain(
      '3 of 3 organisations have cosigned, witnessed by witness.example',
    )
  })

  test('without a witness it is "not witnessed" below four organisations, and valid from four on', async () => {
    for (const count of [1, 2, 3]) {
      const net = await network(count)
      expect(statusOf(await make(net, members(net.orgs)), net)).toBe('not-witnessed')
    }
    const net = await network(4)
    expect(statusOf(await make(net, members(net.orgs.slice(1))), net)).toBe('valid')
  })

  test('below the quorum it is invalid, whoever witnesses', async () => {
    for (const [count, quorum] of [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 3],
      [7, 5],
    ] as const) {
      const net = await network(count)
      expect(statusOf(await make(net, [...members(net.orgs.slice(0, quorum - 1)), witness]), net)).toBe(
        'invalid',
      )
    }
  })

  test('of another network it is invalid', async () => {
    const net = await network(1)
    const other = await network(2)
    const receipt = await make(net, [...members(net.orgs), witness])
    expect(statusOf(receipt, other)).toBe('invalid')
    expect(verifyReceipt({ ...receipt, chain: other.chain }, { genesisId: other.chain }).status).toBe(
      'invalid',
    )
    expect(verifyReceipt(receipt, { genesisId: net.chain, genesis: other.genesis }).status).toBe('invalid')
    expect(verifyReceipt({ ...receipt, keys: [] }, { genesisId: net.chain }).status).toBe('invalid')
    expect(
      verifyReceipt({ ...receipt, keys: [] }, { genesisId: net.chain, genesis: net.genesis }).status,
    ).toBe('valid')
  })

  test('property: any one bit changed in any field is never valid', async () => {
    const net = await network(1)
    const receipt = await make(net, [...members(net.orgs), witness])
    const paths = fieldsOf(receipt)
    expect(paths.length).toBeGreaterThan(8)
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.nat(), fc.nat(7), (path, at, bit) => {
        const changed = changedAt(receipt, path, at, bit)
        expect(verifyReceipt(changed, { genesisId: net.chain }).status).not.toBe('valid')
      }),
      { numRuns: 1_200 },
    )
  })

  test('property: any one character changed in the file is refused, never valid, or changes nothing', async () => {
    const net = await network(1)
    const receipt = await make(net, [...members(net.orgs), witness])
    const file = encodeReceipt(receipt)
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, character) => {
        const text = file.slice(0, at) + String.fromCharCode(character) + file.slice(at + 1)
        let read: Receipt
        try {
          read = decodeReceipt(text)
        } catch (error) {
          expect(error).toMatchObject({ name: 'AppError' })
          return
        }
        if (encodeReceipt(read) !== file)
          expect(verifyReceipt(read, { genesisId: net.chain }).status).not.toBe('valid')
      }),
      { numRuns: 800 },
    )
  })
})

test('property: a transaction verifies at every position of blocks of every size', async () => {
  const net = await network(1)
  const { body, auth, txId } = signBody({
    chainId: net.chain,
    call: 'consent/revoke',
    args: {},
    untilMs: 5,
    keys: [keyOf('controller')],
    random,
  })
  for (let size = 1; size <= 17; size++) {
    for (let index = 0; index < size; index++) {
      const leaves = Array.from({ length: size }, (_, i) =>
        i === index ? txLeaf(txId, 0, resultHashOf(null)) : random(66),
      )
      const { leaf, index: at } = await net.block({ txs: leaves })
      const path = inclusionProof(leaves.map(leafHash), index)
      const tx = { body, auth: receiptAuth(auth), code: 0, result: encode(null), index, path }
      const block = { leaf, proof: await net.cosigned(at, [...members(net.orgs), witness]) }
      const receipt: Receipt = {
        v: 1,
        chain: net.chain,
        kind: 'tx',
        tx,
        block,
        keys: [{ genesis: net.genesis }],
      }
      expect(statusOf(receipt, net)).toBe('valid')
      expect(statusOf({ ...receipt, tx: { ...tx, path: [...path, random(32)] } }, net)).toBe('invalid')
    }
  }
})

test('a fact before its anchor is "logged, not yet anchored"', async () => {
  const net = await network(1)
  const { block: _, state: __, ...rest } = await factReceipt(net, [])
  expect(statusOf(rest, net)).toBe('logged-not-yet-anchored')
  expect(statusOf({ ...rest, fact: { kind: 2, fields: encode(fields), salt } }, net)).toBe('invalid')
})

test('a rejected transaction verifies with its code', async () => {
  const net = await network(4)
  const receipt = await txReceipt(net, members(net.orgs), 101)
  const verdict = verifyReceipt(receipt, { genesisId: net.chain })
  expect(verdict.status).toBe('valid')
  expect(verdict.detail.at(-1)?.found).toContain('code 101')
})

test('parts of different receipts cannot be put together', async () => {
  const net = await network(1)
  const signers = [...members(net.orgs), witness]
  const a = await factReceipt(net, signers)
  const b = await factReceipt(net, signers)
  const other = { ...a, fact: { kind: 1, fields: encode(['record-2', 3, sha256(utf8('digest'))]), salt } }
  expect(statusOf(a, net)).toBe('valid')
  expect(statusOf(other, net)).toBe('invalid')
  expect(statusOf({ ...a, block: { leaf: a.block?.leaf ?? salt, proof: b.block?.proof ?? '' } }, net)).toBe(
    'invalid',
  )
})

test('a member that witnesses itself is no witness', async () => {
  const net = await network(1)
  const receipt = await factReceipt(net, [...members(net.orgs), ['witness.example', logKey('org-0')]])
  expect(statusOf(receipt, net)).toBe('not-witnessed')
})

describe('changes of membership', () => {
  const memberRow = (org: string, state: string): [Uint8Array, Uint8Array] => [
    stateKey('governance', 'members', [org]),
    encode({ name: org, url: `https://${org}.example`, state, sinceHeight: 1 }),
  ]
  const keysRow = (org: string, log: Uint8Array): [Uint8Array, Uint8Array] => [
    stateKey('organisations', 'keys', [org]),
    encode({ keys: { sign: sha256(utf8(`${org} sign`)), seal: new Uint8Array(1_216), log }, from: 1 }),
  ]

  test('cosigned by the quorum before are followed; without that they are not', async () => {
    const net = await network(3)
    const rows: Rows = [
      memberRow('org-1', 'left'),
      memberRow('org-2', 'left'),
      memberRow('org-9', 'active'),
      keysRow('org-9', logKey('org-9').publicKey),
    ]
    const { leaf, index } = await net.block({ rows })
    const state = stateOf(rows)
    const proven = rows.map(([key]) => state.prove(key))
    const before = [...members(net.orgs), witness]
    const change = { block: { leaf, proof: await net.cosigned(index, before) }, rows: proven }
    const receipt = await txReceipt(net, [...members(['org-0', 'org-9']), witness])
    expect(statusOf(receipt, net)).toBe('invalid')
    const followed = { ...receipt, keys: [...receipt.keys, { change }] }
    expect(statusOf(followed, net)).toBe('valid')
    expect(statusOf({ ...followed, keys: [...followed.keys, { change }] }, net)).toBe('invalid')

    const forged = await net.block({ rows: [memberRow('org-1', 'left')] })
    const unsigned = {
      block: { leaf: forged.leaf, proof: await net.cosigned(forged.index, members(['org-0'])) },
      rows: proven,
    }
    expect(statusOf({ ...receipt, keys: [...receipt.keys, { change: unsigned }] }, net)).toBe('invalid')
    const foreign = [...proven.slice(1), { ...proven[0], value: encode('x') } as (typeof proven)[number]]
    expect(
      statusOf({ ...receipt, keys: [...receipt.keys, { change: { ...change, rows: foreign } }] }, net),
    ).toBe('invalid')
  })
})

test('files that are no receipts are refused with a name for what is wrong', () => {
  for (const bad of ['', '{}', '[]', 'null', '{"v":2}', `"${'x'.repeat(1 << 20)}"`]) {
    expect(() => decodeReceipt(bad)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(RECEIPT|SCHEMA)$/) }),
    )
  }
})

/** Paths of every bytes, text and number member. */
function fieldsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, member]) => fieldsOf(member, [...path, name]))
}

function changedAt(receipt: Receipt, path: readonly string[], at: number, bit: number): Receipt {
  const change = (value: unknown, rest: readonly string[]): unknown => {
    const [name, ...deeper] = rest
    if (name !== undefined) {
      const copy = Array.isArray(value) ? [...value] : { ...(value as object) }
      Object.assign(copy, { [name]: change((value as Record<string, unknown>)[name], deeper) })
      return copy
    }
    if (value instanceof Uint8Array) {
      if (value.length === 0) return Uint8Array.of(1)
      const copy = value.slice()
      copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ (1 << bit)
      return copy
    }
    if (typeof value === 'number') return value + 1 + bit
    const text = String(value)
    const index = at % text.length
    return (
      text.slice(0, index) +
      String.fromCharCode(text.charCodeAt(index) ^ (1 << (bit % 7))) +
      text.slice(index + 1)
    )
  }
  return change(receipt, path) as Receipt
}
