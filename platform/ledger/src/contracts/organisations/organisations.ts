import { equal } from '@salus/core'
import { type CallContext, implement } from '../../runtime/define.ts'
import type { OrganisationKeys } from '../forms.ts'
import { organisations as schema } from './schema.ts'
import { keysAt, memberSigned } from './signers.ts'

type Context = CallContext<typeof schema>

export const organisations = implement(schema, {
  genesis(context, genesis) {
    for (const { org, sign, seal, log } of genesis.members) begin(context, org, { sign, seal, log })
  },
  calls: {
    setKeys(context, { org, keys, from }) {
      if (!memberSigned(context, org)) context.reject('notSigned')
      // Possession of the new key is shown, so nobody can announce another's key as its own.
      if (!context.signedBy(keys.sign)) context.reject('notSigned')
      announce(context, org, keys, from)
    },
    registerStaffKey(context, { org, key }) {
      if (!memberSigned(context, org)) context.reject('notSigned')
      if (context.tables.staffKeys.has([key])) context.reject('keyInUse')
      context.tables.staffKeys.put([key], { org, from: context.height })
      context.emit('staffKeySet', { org, key })
    },
    endStaffKey(context, { org, key }) {
      const row = context.tables.staffKeys.get([key])
      if (row === undefined || row.org !== org) return context.reject('notFound')
      if (!memberSigned(context, org) && !context.signedBy(key)) context.reject('notSigned')
      // Ending twice keeps the first height: it is what an auditor relies on.
      if (row.to !== undefined) return
      context.tables.staffKeys.put([key], { ...row, to: context.height })
      context.emit('staffKeySet', { org, key })
    },
  },
  internal: {
    enter(context, { org, keys }) {
      const owner = context.tables.signKeys.get([keys.sign])?.org
      if (owner !== undefined && owner !== org) context.reject('keyInUse')
      const before = context.tables.keys.get([org])
      if (before === undefined) {
        begin(context, org, keys)
        return
      }
      // A former member returns: its history goes on.
      settle(context, org)
      replaceNow(context, org, keys)
    },
    replace(context, { org, keys, from }) {
      announce(context, org, keys, from)
    },
  },
  queries: {
    keys(view, { org }) {
      const row = view.tables.keys.get([org])
      if (row?.next === undefined || row.nextFrom === undefined || row.nextFrom > view.height) return row
      return { keys: row.next, from: row.nextFrom }
    },
    history: (view, { org }) =>
      [...view.tables.history.scan([org], { limit: 1_000 })].map(([[, from], row]) => ({ from, row })),
    staffKey: (view, { key }) => view.tables.staffKeys.get([key]),
  },
})

function begin(context: Context, org: string, keys: OrganisationKeys): void {
  const from = context.height
  context.tables.keys.put([org], { keys, from })
  context.tables.history.put([org, from], { keys })
  context.tables.signKeys.put([keys.sign], { org })
  context.emit('keysSet', { org, from })
}

function announce(context: Context, org: string, keys: OrganisationKeys, from: number): void {
  const row = settle(context, org) ?? context.reject('unknownOrg')
  if (row.next !== undefined) context.reject('pending')
  // Cosigners of this height must know the keys before the height comes.
  if (from <= context.height) context.reject('tooEarly', { height: context.height })
  const owner = context.tables.signKeys.get([keys.sign])?.org
  // An own earlier key may not return either: its holder would sign for the present.
  if (owner !== undefined && !equal(row.keys.sign, keys.sign)) context.reject('keyInUse')
  context.tables.keys.put([org], { keys: row.keys, from: row.from, next: keys, nextFrom: from })
  closeHistory(context, org, row.from, from)
  context.tables.history.put([org, from], { keys })
  context.tables.signKeys.put([keys.sign], { org })
  context.emit('keysSet', { org, from })
}

/** Makes keys whose height has come the keys in force, in the row itself. */
function settle(context: Context, org: string) {
  const row = context.tables.keys.get([org])
  if (row?.next === undefined || row.nextFrom === undefined || row.nextFrom > context.height) return row
  const settled = { keys: keysAt(row, context.height), from: row.nextFrom }
  context.tables.keys.put([org], settled)
  return settled as typeof row
}

function replaceNow(context: Context, org: string, keys: OrganisationKeys): void {
  const row = context.tables.keys.get([org])
  if (row !== undefined) {
    if (row.nextFrom !== undefined) context.tables.history.delete([org, row.nextFrom])
    closeHistory(context, org, row.from, context.height)
  }
  begin(context, org, keys)
}

function closeHistory(context: Context, org: string, from: number, to: number): void {
  const row = context.tables.history.get([org, from])
  if (row !== undefined) context.tables.history.put([org, from], { ...row, to })
}
