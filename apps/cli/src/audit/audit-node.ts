import {
  AppError,
  equal,
  formatTlogProof,
  fromBase64url,
  inclusionProof,
  leafHash,
  parseCheckpoint,
  parseNote,
  toHex,
  verifierKey,
} from '@salus/core'
import { decodeBlocksAnswer } from '@salus/engine/embedded'
import type { Network } from '@salus/host'
import { decodeBlockLeaf } from '@salus/ledger'
import { blockLogOrigin, factLogOrigin, logKeysOf, verifyBlock } from '@salus/log'
import { type Connection, connect, send, sendForJson } from '@salus/sdk'
import { judgedNow } from '../demo-network.ts'
import type { AuditReport } from './audit-directory.ts'
import { Findings } from './finding.ts'
import { verifyRemoteLog } from './remote-log.ts'
import { checkGenesis, Replay } from './replay.ts'

export interface NodeAudit {
  readonly url: string
  readonly network: Network
  readonly genesisId: Uint8Array | undefined
  readonly progress: (line: string) => void
  readonly now: string | undefined
  readonly nowMs: number
}

const ASK = 'ask the organisation; compare with what other members and the witness hold'
/** Without a block for this long the ledger stands still, or the node is cut off. */
const QUIET_MS = 15 * 60_000

/** Recomputes what a node serves, from outside: blocks, state roots, both logs, cosignatures, anchors. */
export async function auditNode(options: NodeAudit): Promise<AuditReport> {
  const { url, network, genesisId, progress, now, nowMs } = options
  const node = connect({ url, network })
  const found = new Findings()
  const answer = (await sendForJson(node, 'GET', '/genesis')) as { genesis?: unknown }
  const genesis = fromBase64url(String(answer.genesis ?? ''))
  checkGenesis(genesis, genesisId)
  if (genesisId === undefined)
    found.note('genesis id taken from the node itself; give --genesis to audit against the one you trust')
  const { org } = (await sendForJson(node, 'GET', '/organisation')) as { org?: unknown }
  const replay = new Replay(genesis)
  const cosigned = await replayFrom(node, replay, { network, found, progress })
  const { ledger } = replay
  checkCosigned(`${url}/ledger/blocks`, replay, cosigned, found)
  const age = judgedNow(now, ledger.genesis, nowMs) - ledger.head.timeMs
  if (age > QUIET_MS) found.note(`the newest block is ${Math.round(age / 60_000)} minutes old`)

  progress('recomputing the block log')
  const getFrom = (path: string) => async (resource: string) =>
    (await send(node, 'GET', `${path}/${resource}`)).body
  const name = typeof org === 'string' ? org : ''
  const keysOf = (origin: string) => logKeysOf(replay.membership, name).map((key) => verifierKey(origin, key))
  const origin = blockLogOrigin(ledger.chainId)
  const blocks = await verifyRemoteLog({
    get: getFrom('/ledger/log'),
    origin,
    keys: keysOf(origin),
    onLeaf(leaf, index) {
      const block = replay.leaves[index]
      if (block !== undefined && !(leaf.length === block.length && equal(leaf, block)))
        found.add(`${url}/ledger/log`, `entry ${index} is not block ${index} of the ledger`, ASK)
    },
  })
  for (const { resource, what } of blocks.problems) found.add(`${url}/ledger/log/${resource}`, what, ASK)
  progress('recomputing the fact log')
  const factOrigin = factLogOrigin(ledger.chainId, name)
  const facts = await verifyRemoteLog({
    get: getFrom('/log'),
    origin: factOrigin,
    keys: keysOf(factOrigin),
    anchors: replay.anchors.filter((anchor) => anchor.origin === factOrigin),
  })
  for (const { resource, what } of facts.problems) found.add(`${url}/log/${resource}`, what, ASK)
  const { transactions, signatures } = replay
  return {
    ok: found.findings.length === 0,
    of: url,
    org: name,
    chain: toHex(ledger.chainId),
    network: ledger.genesis.name,
    height: ledger.head.height,
    figures: {
      blocks: ledger.head.height,
      transactions,
      signatures,
      blockLogLeaves: blocks.size,
      logLeaves: facts.size,
    },
    notes: found.notes,
    findings: found.findings,
  }
}

interface ReplayOptions {
  readonly network: Network
  readonly found: Findings
  readonly progress: (line: string) => void
}

/** Executes every block; returns the newest cosigned checkpoint that came with them. */
async function replayFrom(
  node: Connection,
  replay: Replay,
  options: ReplayOptions,
): Promise<string | undefined> {
  const { network, found, progress } = options
  let source = node
  let cosigned: string | undefined
  for (;;) {
    const from = replay.ledger.head.height + 1
    let reply: Uint8Array
    try {
      reply = (await send(source, 'GET', `/ledger/blocks?from=${from}`)).body
    } catch (error) {
      const operator = replay.ledger.genesis.members.find(({ org }) => org === replay.ledger.genesis.operator)
      // A follower hands out no blocks; whoever orders them does, and what it says is checked all the same.
      if (
        !(error instanceof AppError) ||
        error.code !== 'UNAVAILABLE' ||
        source !== node ||
        operator === undefined
      )
        throw error
      found.note(`blocks taken from ${operator.org}, which orders them; this node follows`)
      source = connect({ url: operator.url, network })
      continue
    }
    const answer = decodeBlocksAnswer(reply)
    cosigned = answer.cosigned ?? cosigned
    for (const { bytes, leaf } of answer.blocks) {
      const height = replay.ledger.head.height + 1
      let own: Uint8Array
      try {
        own = replay.execute(bytes).leafBytes
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        found.add(
          `${source.url}/ledger/blocks?from=${height}`,
          `block ${height} is none of this ledger (${error.message})`,
          ASK,
        )
        return cosigned
      }
      if (!(own.length === leaf.length && equal(own, leaf))) {
        found.add(
          `${source.url}/ledger/blocks?from=${height}`,
          `executing block ${height} gives another leaf (state, results or events) than the node says`,
          ASK,
        )
        return cosigned
      }
    }
    progress(`replayed ${replay.ledger.head.height} of ${answer.head} blocks`)
    if (answer.blocks.length === 0 || replay.ledger.head.height >= answer.head) return cosigned
  }
}

function checkCosigned(where: string, replay: Replay, note: string | undefined, found: Findings): void {
  if (note === undefined) {
    if (replay.ledger.head.height === 0) found.note('no block was made yet')
    else found.add(where, 'no checkpoint of the block log is sufficiently cosigned', ASK)
    return
  }
  const { size, root } = parseCheckpoint(parseNote(note).text)
  const height = Math.min(size, replay.leaves.length) - 1
  if (size > replay.leaves.length) {
    found.note(`the cosigned checkpoint covers ${size} blocks, more than were read`)
    return
  }
  const hashes = inclusionProof(replay.leaves.slice(0, size).map(leafHash), height)
  const leaf = replay.leaves[height] as Uint8Array
  try {
    const block = { leaf, proof: formatTlogProof({ index: height, hashes, checkpoint: note }) }
    const { isWitnessed, found: text } = verifyBlock(
      block,
      decodeBlockLeaf(leaf),
      replay.chainId,
      replay.membership,
    )
    if (!isWitnessed)
      found.add(where, `not witnessed: ${text}`, 'have an outside witness cosign the block log')
    else found.note(`block log: ${text}`)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    found.add(
      where,
      `the cosigned checkpoint of ${size} blocks (root ${toHex(root)}) does not hold: ${error.message}`,
      ASK,
    )
  }
}
