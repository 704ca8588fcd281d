import {
  AppError,
  type CborValue,
  check,
  decode,
  equal,
  fromHex,
  leafHash,
  openCheckpoint,
  parseCheckpoint,
  parseNote,
  sha256,
  toHex,
  txIdOf,
  verifierKey,
  verifyAuth,
  verifyInclusion,
} from '@salus/core'
import {
  type BlockLeaf,
  decodeBlockLeaf,
  decodeBody,
  decodeGenesis,
  log as logContract,
  logIdOf,
  stateKey,
  txLeaf,
} from '@salus/ledger'
import { changedMembership, genesisMembership, isUnder, logKeysOf, type Membership } from './membership.ts'
import { factLeaf } from './names.ts'
import { canonicalProof } from './proof-text.ts'
import { authItems, checkReceipt, type Receipt } from './receipt.ts'
import { verifyBlock } from './verify-block.ts'

export type ReceiptStatus =
  /** Every check holds, up to a quorum and a witness. */
  | 'valid'
  /** Every check holds, but with fewer than four organisations no outside witness has cosigned. */
  | 'not-witnessed'
  /** The fact is in the organisation's signed log, not yet anchored in a block. */
  | 'logged-not-yet-anchored'
  | 'invalid'

/** One line of a verdict, for people. */
export interface ReceiptCheck {
  readonly check: string
  readonly holds: boolean
  /** What was found; no health data. */
  readonly found: string
}

export interface ReceiptVerdict {
  /** True for the status `valid` only. */
  readonly valid: boolean
  readonly status: ReceiptStatus
  /** In order; ends at the first that does not hold. */
  readonly detail: readonly ReceiptCheck[]
}

export interface ReceiptTrust {
  /** Genesis id, 32 bytes or hex: all that the verifier takes on trust. */
  readonly genesisId: Uint8Array | string
  /** The genesis itself, if at hand; otherwise the receipt must carry it. Checked against the id either way. */
  readonly genesis?: Uint8Array
}

/** Collects lines; the first that does not hold ends the verification. */
class Findings {
  readonly detail: ReceiptCheck[] = []

  /** Runs one check: `test` gives what was found, or throws what is wrong. */
  run<T>(name: string, test: () => readonly [T, string]): T {
    try {
      const [value, found] = test()
      this.detail.push({ check: name, holds: true, found })
      return value
    } catch (error) {
      this.detail.push({
        check: name,
        holds: false,
        found: error instanceof AppError ? error.message : 'malformed',
      })
      throw new Ended()
    }
  }
}

class Ended extends Error {}

/**
 * Verifies a receipt offline, from the genesis id alone (protocol §12). Never throws; pure, and the same in a browser.
 * Whom to believe follows from genesis and from changes of membership that earlier quorums cosigned.
 */
export function verifyReceipt(receipt: Receipt, trust: ReceiptTrust): ReceiptVerdict {
  const findings = new Findings()
  let status: ReceiptStatus = 'invalid'
  try {
    status = verified(receipt, trust, findings)
  } catch (error) {
    // A bug in a check must not look like a verdict on the receipt, nor let it pass.
    if (!(error instanceof Ended))
      findings.detail.push({ check: 'verification', holds: false, found: 'malformed' })
  }
  return { valid: status === 'valid', status, detail: findings.detail }
}

function verified(receipt: Receipt, trust: ReceiptTrust, findings: Findings): ReceiptStatus {
  findings.run('form', () => [checkReceipt(receipt), `receipt of kind ${receipt.kind}, version ${receipt.v}`])
  const { chain } = receipt
  let witnessed = true
  const seeBlock = (
    name: string,
    block: NonNullable<Receipt['block']>,
    membership: Membership,
  ): BlockLeaf => {
    const seen = findings.run(name, () => {
      const leaf = decodeBlockLeaf(block.leaf)
      const { found, isWitnessed } = verifyBlock(block, leaf, chain, membership)
      return [{ leaf, isWitnessed }, found]
    })
    witnessed &&= seen.isWitnessed
    return seen.leaf
  }

  let membership = findings.run('genesis', () => genesisOf(receipt, trust))
  let changes = 0
  let lastHeight = 0
  for (const { change } of receipt.keys) {
    if (!change) continue
    const leaf = seeBlock(`members ${++changes}: block`, change.block, membership)
    const before = membership
    membership = findings.run(`members ${changes}`, () => {
      // Rows out of order could be put together to a membership that never was.
      must(leaf.height > lastHeight, 'changes of membership must be in the order of their heights')
      lastHeight = leaf.height
      const after = changedMembership(before, change.rows, leaf)
      return [after, `${change.rows.length} rows proven at height ${leaf.height}`]
    })
  }

  const fact = receipt.kind === 'fact' ? findings.run('log', () => factInLog(receipt, membership)) : undefined
  if (!fact || receipt.block || receipt.state) {
    const block = seeBlock('block', required(receipt.block, 'block'), membership)
    if (fact) findings.run('anchor', () => anchored(receipt, fact, block))
    else findings.run('transaction', () => inBlock(receipt, block))
  } else return 'logged-not-yet-anchored'
  return witnessed ? 'valid' : 'not-witnessed'
}

function genesisOf(receipt: Receipt, { genesisId, genesis }: ReceiptTrust): [Membership, string] {
  const id = typeof genesisId === 'string' ? fromHex(genesisId) : genesisId
  must(
    id.length === 32 && equal(receipt.chain, id),
    'the receipt is of another network than the genesis id names',
  )
  const hints = receipt.keys.flatMap((hint) => (hint.genesis ? [hint.genesis] : []))
  const found = genesis ?? required(hints[0], 'keys[].genesis')
  for (const one of [found, ...hints])
    must(equal(sha256(one), id), 'the genesis in the receipt does not have the genesis id as its hash')
  const { name, members } = decodeGenesis(found)
  return [
    genesisMembership(decodeGenesis(found)),
    `“${name}”, ${members.length} members at the start, id ${toHex(id)}`,
  ]
}

interface LoggedFact {
  readonly org: string
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

function factInLog({ fact, log }: Receipt, membership: Membership): [LoggedFact, string] {
  const { kind, fields, salt } = required(fact, 'fact')
  const list = decode(fields)
  must(Array.isArray(list), 'fact.fields must be a list')
  const leaf = factLeaf(kind, list as readonly CborValue[], salt)
  const proof = canonicalProof(required(log, 'log'))
  const { origin, size, root } = parseCheckpoint(parseNote(proof.checkpoint).text)
  const org = [...membership.members.keys()].find((name) =>
    isSignedBy(proof.checkpoint, origin, logKeysOf(membership, name)),
  )
  if (org === undefined) throw new AppError('RECEIPT', 'no member has signed the checkpoint with its log key')
  must(
    verifyInclusion({ leafHash: leafHash(leaf), index: proof.index, size, proof: proof.hashes, root }),
    'the fact and its salt do not give the leaf that the path proves',
  )
  return [
    { org, origin, size, root },
    `fact of kind ${kind} is leaf ${proof.index} of ${size} in the log of ${org}`,
  ]
}

function anchored({ state }: Receipt, fact: LoggedFact, block: BlockLeaf): [undefined, string] {
  const row = required(state, 'state')
  must(
    equal(row.key, stateKey('log', 'logs', [logIdOf(fact.org, fact.origin)])),
    'state.key is not that of the log',
  )
  must(isUnder(block.stateRoot, row), 'the row is not under the state root of the block')
  const anchor = check(logContract.tables.logs.row, decode(row.value))
  must(anchor.org === fact.org && anchor.origin === fact.origin, 'the anchored log is another one')
  must(
    anchor.size === fact.size && equal(anchor.root, fact.root),
    'the anchored checkpoint is not the one the fact is proven under',
  )
  must(anchor.state !== 'forked', 'the log was shown to have two histories')
  return [
    undefined,
    `checkpoint of ${anchor.size} leaves anchored at height ${anchor.height}, in force at ${block.height}`,
  ]
}

function inBlock({ tx, chain }: Receipt, block: BlockLeaf): [undefined, string] {
  const { body: bytes, auth, code, result, index, path } = required(tx, 'tx')
  const body = decodeBody(bytes)
  must(equal(body.chain, chain), 'the body is for another network')
  const items = authItems(auth)
  must(items.length === body.keys.length, 'tx.auth must have one signature per key')
  for (const [i, key] of body.keys.entries()) {
    const item = items[i]
    must(
      item !== undefined && verifyAuth(key, 'tx', chain, bytes, item),
      `tx.auth[${i}] is not a signature of the body by its key`,
    )
  }
  decode(result)
  const leaf = txLeaf(txIdOf(chain, bytes), code, sha256(result))
  const size = sizeOfPath(index, path.length)
  const isIncluded = verifyInclusion({
    leafHash: leafHash(leaf),
    index,
    size,
    proof: path,
    root: block.txRoot,
  })
  must(isIncluded, 'the transaction is not in the block')
  return [undefined, `${body.call} with code ${code} at height ${block.height}`]
}

/**
 * The smallest tree in which the path of `index` has this length. `txRoot` does not say how many bodies a block has, and
 * all trees in which the path has this length put its hashes on the same sides.
 */
function sizeOfPath(index: number, length: number): number {
  let width = 1
  for (let inner = 0; inner <= length; inner++, width *= 2) {
    const above = Math.floor(index / width)
    if (inner + ones(above) === length) return (above + 1) * width
  }
  return 0
}

function ones(n: number): number {
  let count = 0
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}

function isSignedBy(note: string, origin: string, keys: readonly Uint8Array[]): boolean {
  return keys.some((key) => {
    try {
      return openCheckpoint(note, [verifierKey(origin, key)]).signedBy.length === 1
    } catch {
      return false
    }
  })
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new AppError('RECEIPT', `receipt.${name} is missing`)
  return value
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new AppError('RECEIPT', what)
}
