import { equal, sha256 } from '@salus/core'
import { implement, signingMember } from '@salus/ledger'
import { identitySchema, RECOVERY_DELAY_MS } from './schema.ts'
import { recoveryStateAt } from './states.ts'

/** Credentials and recoveries. Protocol §11. */
export const identity = implement(identitySchema, {
  calls: {
    setCredential(context, { h, status }) {
      const org = signingMember(context) ?? context.reject('notMember')
      const before = context.tables.credentials.get([h])
      if (before === undefined) {
        if (status !== 'active') context.reject('firstStatus')
      } else {
        if (before.issuer !== org) context.reject('notIssuer')
        // An ended credential stays ended: a new one has a new commitment.
        if (before.status === 'ended') context.reject('ended')
        if (before.status === status) return
      }
      context.tables.credentials.put([h], { issuer: org, status, sinceMs: context.timeMs })
      context.emit('credentialSet', { h })
    },
    armRecovery(context, { r, cancelKey, c }) {
      if (context.signers.length !== 1 || !context.signedBy(cancelKey)) context.reject('notSigner')
      if (!equal(r, sha256(cancelKey).subarray(0, 16))) context.reject('wrongId')
      if (context.tables.recoveries.has([r])) context.reject('exists')
      context.tables.recoveries.put([r], { cancelKey, c })
      context.emit('recoveryArmed', { r })
    },
    startRecovery(context, { r, newKey }) {
      const row = context.tables.recoveries.get([r]) ?? context.reject('notFound')
      if (!context.signedBy(newKey)) context.reject('notSigner')
      const home = signingMember(context) ?? context.reject('notMember')
      // A device that lost its attempt begins again, through the same home and with the whole delay before it: whoever
      // was started before is named no longer, and the owner's cancel counts from now on.
      if (row.startedMs !== undefined && row.home !== home) context.reject('notArmed')
      const startedMs = context.timeMs
      const { cancelKey, c } = row
      const readyMs = startedMs + RECOVERY_DELAY_MS
      context.tables.recoveries.put([r], { cancelKey, c, newKey, home, startedMs, readyMs })
      context.emit('recoveryStarted', { r })
    },
    cancelRecovery(context, { r }) {
      const row = context.tables.recoveries.get([r]) ?? context.reject('notFound')
      if (context.signers.length !== 1 || !context.signedBy(row.cancelKey)) context.reject('notSigner')
      const state = recoveryStateAt(row, context.timeMs)
      if (state === 'armed') context.reject('notStarted')
      // What is complete may have been helped along already; a cancel that comes too late must not look like one in time.
      if (state === 'complete') context.reject('complete')
      context.tables.recoveries.put([r], { cancelKey: row.cancelKey, c: row.c })
      context.emit('recoveryCancelled', { r })
    },
  },
  queries: {
    credential: (view, { h }) => view.tables.credentials.get([h]),
    recovery(view, { r, atMs }) {
      const row = view.tables.recoveries.get([r])
      return row && { ...row, state: recoveryStateAt(row, atMs ?? view.timeMs) }
    },
  },
})
