import { AppError, assert, type CborValue, check, equal, sha256, txIdOf } from '@salus/core'
import { type LedgerEvent, resultHashOf } from '../block.ts'
import { type Body, decodeBody, type Item } from '../tx/body.ts'
import { decodeBundle, itemId, type SignedBundle } from '../tx/bundle.ts'
import { CODES, isRecorded } from '../tx/codes.ts'
import { UNTIL_WINDOW_MS } from '../tx/limits.ts'
import { BUNDLE_SIGNATURE, type Verified } from '../tx/verify.ts'
import { type BlockScope, type BodyScope, callContext, Rejection } from './context.ts'
import type { CallContext } from './define.ts'
import type { BundleResult, ItemResult } from './outcome.ts'
import type { Seen } from './seen.ts'
import type { Sponsor, Sponsors } from './sponsors.ts'

/** What the bundles of one block run on. */
export interface Execution {
  readonly block: BlockScope
  readonly verified: Verified
  readonly sponsors: Sponsors
  /** Ids of earlier blocks, and of this one as far as it ran. */
  readonly seen: Seen
  readonly seenHere: Seen
  readonly bundles: BundleResult[]
  readonly results: ItemResult[]
  readonly events: LedgerEvent[]
}

/** Runs one bundle: its envelope as a whole, then each body in its own savepoint. */
export function runBundle(run: Execution, wire: Uint8Array, index: number): void {
  const bundle = orUndefined(() => decodeBundle(wire))
  if (bundle === undefined) {
    run.bundles.push({ bundleId: sha256(wire), code: CODES.MALFORMED })
    return
  }
  const { bundleId, until } = bundle
  const sponsor = run.sponsors.get(bundle.sponsor)
  const code = envelopeCode(run, bundle, sponsor, index)
  if (code !== CODES.OK || sponsor === undefined) {
    run.bundles.push({ bundleId, code })
    return
  }
  run.seenHere.add(bundleId, until)
  run.bundles.push({ bundleId, code, untilMs: until })
  bundle.items.forEach((item, at) => {
    runItem(run, bundle, sponsor, item, { bundle: index, item: at })
  })
}

function envelopeCode(
  run: Execution,
  bundle: SignedBundle,
  sponsor: Sponsor | undefined,
  index: number,
): number {
  const { block } = run
  if (!equal(bundle.chain, block.chainId)) return CODES.WRONG_CHAIN
  if (sponsor === undefined) return CODES.UNKNOWN_SPONSOR
  if (!run.verified(index, BUNDLE_SIGNATURE)) return CODES.BAD_SIGNATURE
  if (!sponsor.active) return CODES.SUSPENDED
  const time = timeCode(bundle.until, block.timeMs)
  if (time !== CODES.OK) return time
  if (wasSeen(run, bundle.bundleId, bundle.until)) return CODES.REPLAYED
  if (!run.sponsors.charge(sponsor, bundle.items.length, bundle.sizeBytes)) return CODES.QUOTA
  return CODES.OK
}

type Place = { readonly bundle: number; readonly item: number }

function runItem(run: Execution, bundle: SignedBundle, sponsor: Sponsor, item: Item, place: Place): void {
  const body = orUndefined(() => decodeBody(item.body))
  const txId = body === undefined ? item.body : txIdOf(body.chain, item.body)
  const admitted = body === undefined ? CODES.MALFORMED : bodyCode(run, item, body, txId, place)
  if (body === undefined || admitted !== CODES.OK) {
    if (admitted === CODES.BAD_SIGNATURE) run.sponsors.chargeBadSignature(sponsor)
    run.results.push({
      txId: itemId(item),
      code: admitted,
      result: null,
      resultHash: resultHashOf(null),
      ...place,
    })
    return
  }
  run.seenHere.add(txId, body.until)
  const emitted: BodyScope['emitted'] = []
  const [code, result] = runCall(run.block, body, {
    txId,
    sponsor: bundle.sponsor,
    signers: body.keys,
    emitted,
  })
  assert(isRecorded(code), 'a body that ran is recorded')
  const index = run.results.length
  for (const event of emitted) run.events.push({ txId, index, ...event })
  const resultHash = resultHashOf(result)
  run.results.push({ txId, code, result, resultHash, ...place, untilMs: body.until })
}

/** OK if the body may run; otherwise it is not recorded. */
function bodyCode(run: Execution, item: Item, body: Body, txId: Uint8Array, place: Place): number {
  if (item.auth.length !== body.keys.length) return CODES.BAD_SIGNATURE
  if (!run.verified(place.bundle, place.item)) return CODES.BAD_SIGNATURE
  if (!equal(body.chain, run.block.chainId)) return CODES.WRONG_CHAIN
  const time = timeCode(body.until, run.block.timeMs)
  if (time !== CODES.OK) return time
  return wasSeen(run, txId, body.until) ? CODES.REPLAYED : CODES.OK
}

/** Runs the call of a body; after it the block holds either all of its changes or none. */
function runCall(block: BlockScope, body: Body, scope: BodyScope): [code: number, result: CborValue] {
  const slash = body.call.indexOf('/')
  const contract = block.active.get(body.call.slice(0, slash))
  const name = body.call.slice(slash + 1)
  if (contract === undefined || !Object.hasOwn(contract.schema.calls, name)) return [CODES.UNKNOWN_CALL, null]
  const { input, output } = contract.schema.calls[name] as (typeof contract.schema.calls)[string]
  let args: unknown
  try {
    args = check(input, body.args)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return [CODES.BAD_ARGS, null]
  }
  const handler = contract.calls[name] as (context: CallContext, input: unknown) => CborValue | undefined
  try {
    const result = handler(callContext(contract, block, scope), args)
    block.overlay.keep()
    assert(
      (output === undefined) === (result === undefined),
      `${body.call}: its result does not fit its schema`,
    )
    return [CODES.OK, result ?? null]
  } catch (error) {
    // Whatever else was thrown is a bug or a broken store: the node stops rather than commit this block.
    if (!(error instanceof Rejection)) throw error
    block.overlay.undo()
    scope.emitted.length = 0
    if (error.contract === contract.schema.name) return [error.code, error.data]
    return [CODES.REJECTED_INSIDE, [error.contract, error.code, error.data]]
  }
}

/** Whether `until` allows a run at block time. */
export function timeCode(untilMs: number, timeMs: number): number {
  if (untilMs < timeMs) return CODES.EXPIRED
  if (untilMs > timeMs + UNTIL_WINDOW_MS) return CODES.UNTIL_TOO_FAR
  return CODES.OK
}

function wasSeen(run: Execution, id: Uint8Array, untilMs: number): boolean {
  return run.seen.has(id, untilMs) || run.seenHere.has(id, untilMs)
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
