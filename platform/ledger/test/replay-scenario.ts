import { consistencyProof, leafHash, rootOfHashes, signCheckpoint, toHex, utf8 } from '@salus/core'
import { decodeBlock, logIdOf } from '../src/index.ts'
import { countingRandom, testKey, testLedger, testMember } from '../testing/index.ts'

/** What vectors/ledger-replay.json holds; bytes as lower-case hex. */
export interface ReplayVector {
  readonly title: string
  readonly spec: string
  readonly source: string
  readonly genesis: string
  readonly chainId: string
  readonly genesisRoot: string
  readonly blocks: readonly ReplayedBlock[]
}

export interface ReplayedBlock {
  readonly block: string
  readonly leaf: string
  readonly stateRoot: string
  readonly txRoot: string
  readonly eventRoot: string
  readonly bundleCodes: readonly number[]
  readonly codes: readonly number[]
}

/** A run of blocks in which every runtime code and every built-in contract occurs. */
export function replayScenario(): ReplayVector {
  const chain = testLedger({ members: ['a', 'b'], params: { quotaUnitsPerSecond: 2, quotaBurstUnits: 40 } })
  const { ledger, sign, bundle } = chain
  const genesisRoot = ledger.head.stateRoot
  const [a, b, c] = [testMember('a'), testMember('b'), testMember('c')]
  const random = countingRandom('replay')
  const origin = 'a.example/facts'
  const logId = logIdOf('a', origin)
  const hashes = Array.from({ length: 12 }, (_, at) => leafHash(utf8(`leaf ${at}`)))
  const anchor = (from: number, to: number) => {
    const tree = hashes.slice(0, to)
    const note = signCheckpoint({ origin, size: to, root: rootOfHashes(tree) }, [
      { name: origin, key: a.log },
    ])
    return sign(
      'log/anchor',
      { logId, oldSize: from, note, proof: from === 0 ? [] : consistencyProof(tree, from) },
      [b.sign],
    )
  }
  const p = random(16)
  const admit = {
    kind: 'admit',
    org: 'c',
    name: 'C',
    url: 'https://c.example',
    sign: c.sign.publicKey,
    seal: c.seal,
    log: c.log.publicKey,
  }
  const next = testKey('b-next')
  const keys = { sign: next.publicKey, seal: b.seal, log: b.log.publicKey }

  chain.block([
    bundle([
      sign('log/open', { org: 'a', origin }, [a.sign]),
      sign('governance/propose', { p, change: admit }, [a.sign]),
    ]),
  ])
  const vote = sign('governance/vote', { p, yes: true }, [b.sign])
  const lost = random(16)
  const tooLate = { kind: 'replaceKeys', org: 'b', keys, from: 1 }
  chain.block([bundle([sign('governance/propose', { p: lost, change: tooLate }, [a.sign])])])
  chain.block([bundle([sign('governance/vote', { p: lost, yes: true }, [b.sign])])])
  chain.block([bundle([vote, anchor(0, 5)], { sponsor: 'b' }), bundle([vote])])
  chain.advance(15_000)
  const forged = { body: vote.body, auth: [new Uint8Array(64)] }
  const garbage = { body: utf8('not a body'), auth: [] }
  const unknown = sign('governance/dance', {}, [a.sign])
  const wrongArgs = sign('governance/vote', { p }, [a.sign])
  chain.block([bundle([forged, garbage, unknown, wrongArgs, anchor(4, 9), anchor(5, 9)], { sponsor: 'c' })])
  const late = sign('governance/leave', { org: 'a' }, [a.sign])
  chain.advance(70_000)
  const early = sign('governance/leave', { org: 'a' }, [a.sign])
  const wire = bundle([late, { ...early, auth: [b.sign.sign(early.body)] }], { sponsor: 'b' })
  chain.block([wire, wire, utf8('not a bundle'), bundle([late], { sponsor: 'x' })])
  const { timeMs } = chain
  chain.block([
    bundle([late], { untilMs: timeMs - 1 }),
    bundle([late], { untilMs: timeMs + 600_001 }),
    bundle([sign('organisations/setKeys', { org: 'b', keys, from: 11 }, [b.sign, next])]),
  ])
  const elsewhere = testLedger({ members: ['z'] })
  const stranger = sign('governance/propose', { p: random(16), change: admit }, [testKey('stranger')])
  chain.block([elsewhere.bundle([late]), bundle([stranger], { sponsor: 'c' })])
  const many = Array.from({ length: 60 }, () => sign('governance/leave', { org: 'x' }, [c.sign]))
  chain.block([
    bundle(many, { sponsor: 'c' }),
    bundle([sign('governance/leave', { org: 'c' }, [c.sign])], { sponsor: 'c' }),
  ])
  chain.block([bundle([sign('governance/leave', { org: 'c' }, [c.sign])], { sponsor: 'c' })])
  chain.advance(600_000)

  return {
    title: 'A run of blocks and the roots it leads to',
    spec: 'docs/spec/transactions.md',
    source:
      'Made by platform/ledger/test/write-replay-vector.ts. Bytes as lower-case hex. Keys and nonces are SHA-256 of names (platform/ledger/testing).',
    genesis: toHex(chain.genesis),
    chainId: toHex(chain.chainId),
    genesisRoot: toHex(genesisRoot),
    blocks: Array.from({ length: ledger.head.height }, (_, at) => {
      const bytes = ledger.block(at + 1) as Uint8Array
      const { leaf, leafBytes, bundles, results } = ledger.outcome(decodeBlock(bytes).height) ?? missing()
      return {
        block: toHex(bytes),
        leaf: toHex(leafBytes),
        stateRoot: toHex(leaf.stateRoot),
        txRoot: toHex(leaf.txRoot),
        eventRoot: toHex(leaf.eventRoot),
        bundleCodes: bundles.map(({ code }) => code),
        codes: results.map(({ code }) => code),
      }
    }),
  }
}

function missing(): never {
  throw new Error('a block has no outcome')
}
