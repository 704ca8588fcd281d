import {
  compareBytes,
  emptyRoot,
  equal,
  hash,
  type Infer,
  leafHash,
  verifierKey,
  verifyConsistency,
  verifyInclusion,
} from '@salus/core'
import { type CallContext, implement, type View } from '../../runtime/define.ts'
import { governance } from '../governance/schema.ts'
import { keysOf, memberSigned, signingMember } from '../organisations/signers.ts'
import { everyLogKey, isIncluded, signedCheckpoint } from './evidence.ts'
import { log as schema } from './schema.ts'

type Context = CallContext<typeof schema>
type Row = Infer<(typeof schema)['tables']['logs']['row']>
type Fork = Infer<(typeof schema)['calls']['fork']['input']>['evidence']

/** First 16 bytes of `H(org, origin)`: nobody can take another's. */
export function logIdOf(org: string, origin: string): Uint8Array {
  return hash(org, origin).slice(0, 16)
}

export const log = implement(schema, {
  calls: {
    open(context, { org, origin }) {
      if (!memberSigned(context, org)) context.reject('notSigned')
      if (!canSign(origin)) context.reject('badOrigin')
      const logId = logIdOf(org, origin)
      if (context.tables.logs.has([logId])) context.reject('exists')
      const { timeMs, height } = context
      context.tables.logs.put([logId], {
        org,
        origin,
        size: 0,
        root: emptyRoot,
        timeMs,
        height,
        state: 'open',
      })
      context.emit('opened', { logId, org })
      return { logId }
    },
    anchor(context, { logId, oldSize, note, proof }) {
      if (signingMember(context) === undefined) context.reject('notMember')
      const row = context.tables.logs.get([logId]) ?? context.reject('notFound')
      if (row.state !== 'open') context.reject('closed')
      const keys = keysOf(context, row.org) ?? context.reject('notFound')
      const next = signedCheckpoint(note, row, [keys.log]) ?? context.reject('badNote')
      if (oldSize !== row.size) context.reject('staleSize', { size: row.size })
      if (next.size < row.size) context.reject('shrinks', { size: row.size })
      if (next.size === row.size) {
        if (!equal(next.root, row.root)) context.reject('rootDiffers')
        if (proof.length > 0) context.reject('notConsistent')
      } else if (!extend(row, next, proof)) context.reject('notConsistent')
      const { timeMs, height } = context
      context.tables.logs.put([logId], { ...row, size: next.size, root: next.root, timeMs, height })
      context.emit('anchored', { logId, size: next.size })
    },
    fork(context, { logId, evidence }) {
      const by = signingMember(context) ?? context.reject('notMember')
      const row = context.tables.logs.get([logId]) ?? context.reject('notFound')
      if (row.state !== 'open') context.reject('closed')
      if (!showsFork(context, row, evidence)) context.reject('noFork')
      context.tables.logs.put([logId], { ...row, state: 'forked' })
      context.emit('forked', { logId, by })
    },
    challenge(context, { logId, note, index, leaf, proof }) {
      const by = signingMember(context) ?? context.reject('notMember')
      const row = context.tables.logs.get([logId]) ?? context.reject('notFound')
      if (row.state !== 'open') context.reject('closed')
      const tree = signedCheckpoint(note, row, everyLogKey(context, row.org)) ?? context.reject('badNote')
      if (!isIncluded(leaf, index, tree, proof)) context.reject('notIncluded')
      const at = [logId, index, leafHash(leaf)] as const
      if (context.tables.challenges.has(at)) context.reject('exists')
      const answerMs = context.tablesOf(governance).params.get(['answerMs'])?.value ?? 0
      const dueMs = context.timeMs + answerMs
      context.tables.challenges.put(at, { by, dueMs })
      context.emit('challenged', { logId, index, dueMs })
    },
    answer(context, { logId, index, leafHash, proof }) {
      if (signingMember(context) === undefined) context.reject('notMember')
      const row = context.tables.logs.get([logId]) ?? context.reject('notFound')
      const at = [logId, index, leafHash] as const
      const challenge = context.tables.challenges.get(at) ?? context.reject('notFound')
      // The first answer counts; a further one changes nothing.
      if (challenge.answeredMs !== undefined) return
      if (!verifyInclusion({ leafHash, index, size: row.size, root: row.root, proof }))
        context.reject('notIncluded', { size: row.size })
      context.tables.challenges.put(at, { ...challenge, answeredMs: context.timeMs })
      context.emit('answered', { logId, index })
    },
  },
  internal: {
    succeed(context, { logId, successor }) {
      const row = context.tables.logs.get([logId]) ?? context.reject('notFound')
      const next = context.tables.logs.get([successor]) ?? context.reject('badSuccessor')
      const fits = next.org === row.org && next.state === 'open' && compareBytes(logId, successor) !== 0
      if (!fits || row.state === 'succeeded') context.reject('badSuccessor')
      context.tables.logs.put([logId], { ...row, state: 'succeeded', successor })
      context.emit('succeeded', { logId, successor })
    },
  },
  queries: {
    get(view, { logId }) {
      const row = view.tables.logs.get([logId])
      return row === undefined ? undefined : { log: row, ...standing(view, logId, row) }
    },
    list: (view, { org }) => {
      const found: { logId: Uint8Array; log: Row }[] = []
      for (const [[logId], row] of view.tables.logs.scan([])) {
        if (org !== undefined && row.org !== org) continue
        found.push({ logId, log: row })
        if (found.length === 1_000) break
      }
      return found
    },
    challenges: (view, { logId }) =>
      [...view.tables.challenges.scan([logId], { limit: 1_000 })].map(([[, index, hash], challenge]) => ({
        index,
        leafHash: hash,
        challenge,
      })),
  },
})

/** The state of a log at the view's time. */
function standing(view: View<typeof schema>, logId: Uint8Array, row: Row) {
  let openChallenges = 0
  let overdue = false
  for (const [, challenge] of view.tables.challenges.scan([logId])) {
    if (challenge.answeredMs !== undefined) continue
    openChallenges++
    if (challenge.dueMs < view.timeMs) overdue = true
  }
  return { state: row.state === 'open' && overdue ? ('suspect' as const) : row.state, openChallenges }
}

function extend(row: Row, next: { size: number; root: Uint8Array }, proof: readonly Uint8Array[]): boolean {
  // Every tree extends the empty one; there is nothing to prove.
  if (row.size === 0) return proof.length === 0
  return verifyConsistency({ size1: row.size, size2: next.size, root1: row.root, root2: next.root, proof })
}

function showsFork(context: Context, row: Row, evidence: Fork): boolean {
  const keys = everyLogKey(context, row.org)
  const tree1 = signedCheckpoint(evidence.note1, row, keys)
  const tree2 = signedCheckpoint(evidence.note2, row, keys)
  if (tree1 === undefined || tree2 === undefined) return false
  if (evidence.kind === 'roots') return tree1.size === tree2.size && !equal(tree1.root, tree2.root)
  const { index, leaf1, leaf2, proof1, proof2 } = evidence
  if (compareBytes(leaf1, leaf2) === 0) return false
  return isIncluded(leaf1, index, tree1, proof1) && isIncluded(leaf2, index, tree2, proof2)
}

/** Whether signed notes can carry the origin as their signer's name. */
function canSign(origin: string): boolean {
  try {
    verifierKey(origin, new Uint8Array(32))
    return true
  } catch {
    return false
  }
}
