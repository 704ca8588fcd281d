import { equal } from '@salus/core'
import { type CallContext, implement, memberSigned } from '@salus/ledger'
import { HOUR_MS, isLedgerIdOf } from './ids.ts'
import { consentSchema, EMERGENCY_MAX_MS } from './schema.ts'
import { controlledStateAt, glassStateAt } from './states.ts'

type Context = CallContext<typeof consentSchema>

/** Exactly these keys, no more: a further signature would tie one-time keys to each other for everybody. */
function requireSigners(context: Context, ...keys: readonly Uint8Array[]): void {
  const exact = context.signers.length === keys.length && keys.every((key) => context.signedBy(key))
  if (!exact) context.reject('notSigner')
}

function requireEnd(context: Context, na: number): void {
  if (na <= context.timeMs) context.reject('endsInPast')
  if (na % HOUR_MS !== 0) context.reject('notWholeHour')
}

function requireMember(context: Context, org: string): void {
  if (!memberSigned(context, org)) context.reject('notMember')
}

/** Grants, delegations, emergencies. Protocol §11. */
export const consent = implement(consentSchema, {
  calls: {
    grant(context, { g, c, k, na }) {
      requireSigners(context, k)
      if (!isLedgerIdOf(g, k)) context.reject('wrongId')
      if (context.tables.grants.has([g])) context.reject('exists')
      requireEnd(context, na)
      context.tables.grants.put([g], { c, k, na, madeMs: context.timeMs })
      context.emit('granted', { g })
    },
    rotate(context, { g, k2 }) {
      const grant = context.tables.grants.get([g]) ?? context.reject('notFound')
      if (equal(grant.k, k2)) context.reject('sameKey')
      requireSigners(context, grant.k, k2)
      if (grant.revokedMs !== undefined) context.reject('revoked')
      context.tables.grants.put([g], { ...grant, k: k2 })
      context.emit('rotated', { g })
    },
    revoke(context, { g }) {
      const grant = context.tables.grants.get([g]) ?? context.reject('notFound')
      requireSigners(context, grant.k)
      if (grant.revokedMs !== undefined) return
      context.tables.grants.put([g], { ...grant, revokedMs: context.timeMs })
      context.emit('revoked', { g })
    },
    delegate(context, { d, c, k, na }) {
      requireSigners(context, k)
      if (!isLedgerIdOf(d, k)) context.reject('wrongId')
      if (context.tables.delegations.has([d])) context.reject('exists')
      requireEnd(context, na)
      context.tables.delegations.put([d], { c, k, na, madeMs: context.timeMs })
      context.emit('delegated', { d })
    },
    endDelegation(context, { d }) {
      const delegation = context.tables.delegations.get([d]) ?? context.reject('notFound')
      requireSigners(context, delegation.k)
      if (delegation.revokedMs !== undefined) return
      context.tables.delegations.put([d], { ...delegation, revokedMs: context.timeMs })
      context.emit('delegationEnded', { d })
    },
    emergency(context, { b, org, c, na }) {
      requireMember(context, org)
      if (!isLedgerIdOf(b, c)) context.reject('wrongId')
      if (context.tables.emergencies.has([b])) context.reject('exists')
      if (na <= context.timeMs) context.reject('endsInPast')
      if (na > context.timeMs + EMERGENCY_MAX_MS) context.reject('tooLong')
      context.tables.emergencies.put([b], { org, c, na, openedMs: context.timeMs })
      context.tables.unreviewed.put([na, b], { open: true })
      context.emit('glassBroken', { b, org })
    },
    reviewEmergency(context, { b, outcome }) {
      const glass = context.tables.emergencies.get([b]) ?? context.reject('notFound')
      requireMember(context, glass.org)
      if (glass.reviewedMs !== undefined) context.reject('alreadyReviewed')
      context.tables.emergencies.put([b], { ...glass, outcome, reviewedMs: context.timeMs })
      context.tables.unreviewed.delete([glass.na, b])
      context.emit('emergencyReviewed', { b })
    },
  },
  queries: {
    grant(view, { g, atMs }) {
      const row = view.tables.grants.get([g])
      return row && { ...row, state: controlledStateAt(row, atMs ?? view.timeMs) }
    },
    delegation(view, { d, atMs }) {
      const row = view.tables.delegations.get([d])
      return row && { ...row, state: controlledStateAt(row, atMs ?? view.timeMs) }
    },
    emergency(view, { b, atMs }) {
      const row = view.tables.emergencies.get([b])
      return row && { ...row, state: glassStateAt(row, atMs ?? view.timeMs) }
    },
    overdue(view, { atMs }) {
      const at = atMs ?? view.timeMs
      const found = []
      for (const [[, b]] of view.tables.unreviewed.scan([], { limit: 1_000 })) {
        const row = view.tables.emergencies.get([b])
        if (row === undefined) continue
        const state = glassStateAt(row, at)
        // Rows come by end, so the first that is not overdue ends the search.
        if (state !== 'overdue') break
        found.push({ b, ...row, state })
      }
      return found
    },
  },
})
