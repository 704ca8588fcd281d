import { equal, sha256 } from '@salus/core'
import { implement, signingMember } from '@salus/ledger'
import { recordsSchema } from './schema.ts'

/** Erasures. Protocol §§7, 11. */
export const records = implement(recordsSchema, {
  calls: {
    erased(context, { e, c }) {
      const org = signingMember(context) ?? context.reject('notMember')
      if (!equal(e, sha256(c).subarray(0, 16))) context.reject('wrongId')
      if (context.tables.erasures.has([e])) context.reject('exists')
      context.tables.erasures.put([e], { org, c, atMs: context.timeMs })
      context.emit('erased', { e })
    },
  },
  queries: { erasure: (view, { e }) => view.tables.erasures.get([e]) },
})
