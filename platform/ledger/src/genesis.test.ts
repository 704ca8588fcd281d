import { decode, encode, sha256 } from '@salus/core'
import { expect, test } from 'vitest'
import { testGenesis, testLedger, testMember } from '../testing/index.ts'
import { decodeBlock, decodeBlockLeaf, encodeBlock } from './block.ts'
import { governance } from './contracts/governance/schema.ts'
import { keysOf } from './contracts/organisations/signers.ts'
import { chainIdOf, decodeGenesis, encodeGenesis, type Genesis } from './genesis.ts'
import { describeContracts } from './runtime/descriptor.ts'

const genesis = decodeGenesis(testGenesis())
const changed = (change: Partial<Genesis>) => () => encodeGenesis({ ...genesis, ...change })

test('a genesis comes back from its bytes, and its hash is the chain id', () => {
  const bytes = encodeGenesis(genesis)
  expect(decodeGenesis(bytes)).toEqual(genesis)
  expect(chainIdOf(bytes)).toEqual(sha256(bytes))
})

test('a genesis that could not run is refused, naming the field', () => {
  const [a, b] = genesis.members as [Genesis['members'][0], Genesis['members'][0]]
  expect(changed({ v: 0 })).toThrow('genesis.v')
  expect(changed({ operator: 'stranger' })).toThrow('genesis.operator')
  expect(changed({ engine: 'comet' })).toThrow('genesis.operator')
  expect(changed({ members: [] })).toThrow('members')
  expect(changed({ members: [a, { ...b, org: 'B!' }] })).toThrow('members[].org')
  expect(changed({ members: [a, a] })).toThrow('members[].org')
  expect(changed({ members: [a, { ...b, sign: a.sign }] })).toThrow('members[].sign')
  expect(
    changed({
      contracts: [
        { name: 'log', version: 1 },
        { name: 'log', version: 2 },
      ],
    }),
  ).toThrow('contracts[].name')
  const more = encode({ ...(decode(encodeGenesis(genesis)) as object), more: 1 })
  expect(() => decodeGenesis(more)).toThrow('not known')
})

test('height 0 holds members, keys and parameters, and has a leaf', () => {
  const { ledger } = testLedger()
  expect(ledger.query(governance, 'members', {}).map(({ org }) => org)).toEqual(['a', 'b'])
  const view = { height: 0, tablesOf: (contract: never) => ledger.tables(contract) }
  expect(keysOf(view as never, 'a')?.log).toEqual(testMember('a').log.publicKey)
  const leaf = decodeBlockLeaf(ledger.outcome(0)?.leafBytes as Uint8Array)
  expect(leaf).toMatchObject({ height: 0, timeMs: genesis.timeMs, stateRoot: ledger.head.stateRoot })
})

test('a block is read strictly', () => {
  const block = { v: 1 as const, height: 1, timeMs: 5, bundles: [new Uint8Array(3)] }
  expect(decodeBlock(encodeBlock(block))).toEqual(block)
  const wrong = (change: object) => () => decodeBlock(encode({ ...block, ...change } as never))
  expect(wrong({ v: 2 })).toThrow('block.v')
  expect(wrong({ height: 0 })).toThrow('block.height')
  expect(wrong({ timeMs: 'now' })).toThrow('block.timeMs')
  expect(wrong({ bundles: ['text'] })).toThrow('block.bundles')
  expect(wrong({ more: 1 })).toThrow('no members but')
  expect(() => decodeBlockLeaf(encode(['salus/block/v2', 1, 2]))).toThrow('six parts')
})

test('every call, query and rejection of a ledger can be listed with its doc', () => {
  const described = describeContracts(testLedger().ledger.contracts)
  expect(described.map(({ name }) => name)).toEqual(['governance', 'organisations', 'log'])
  const calls = described.flatMap((contract) => contract.calls)
  expect(calls.map(({ call }) => call)).toContain('organisations/setKeys')
  const documented = [...calls, ...described.flatMap((contract) => contract.queries)]
  expect(documented.every(({ doc }) => doc.length > 0)).toBe(true)
})
