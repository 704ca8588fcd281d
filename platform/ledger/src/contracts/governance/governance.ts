import type { Infer } from '@salus/core'
import { type CallContext, implement, type View } from '../../runtime/define.ts'
import { isOrgId } from '../../tx/bundle.ts'
import { LEAST_PARAMS, PARAM_NAMES, type ParamName, type Params } from '../forms.ts'
import { log } from '../log/schema.ts'
import { organisations } from '../organisations/schema.ts'
import { governingMember, memberSigned, quorumOf, signingMember } from '../organisations/signers.ts'
import { governance as schema } from './schema.ts'

type Context = CallContext<typeof schema>
type Reader = Pick<View<typeof schema>, 'tables'>
type Change = Infer<(typeof schema)['calls']['propose']['input']>['change']
type Proposal = Infer<(typeof schema)['tables']['proposals']['row']>

export const governance = implement(schema, {
  genesis(context, genesis) {
    for (const { org, name, url } of genesis.members)
      context.tables.members.put([org], { name, url, state: 'active', sinceHeight: context.height })
    for (const name of PARAM_NAMES) context.tables.params.put([name], { value: genesis.params[name] })
  },
  calls: {
    propose(context, { p, change }) {
      const org = governingMember(context) ?? context.reject('notMember')
      if (context.tables.proposals.has([p])) context.reject('exists')
      checkChange(context, change)
      const untilMs = context.timeMs + param(context, 'votingMs')
      context.tables.proposals.put([p], { proposer: org, change, openedMs: context.timeMs, untilMs })
      context.emit('proposed', { p, proposer: org })
      countVote(context, p, org, true)
    },
    vote(context, { p, yes }) {
      const org = governingMember(context) ?? context.reject('notMember')
      const proposal = context.tables.proposals.get([p]) ?? context.reject('notFound')
      if (stateOf(proposal, context.timeMs) !== 'open') context.reject('closed')
      if (context.tables.votes.has([p, org])) context.reject('alreadyVoted')
      countVote(context, p, org, yes)
    },
    ready(context, { p }) {
      const org = signingMember(context) ?? context.reject('notMember')
      const change = context.tables.proposals.get([p])?.change
      if (change?.kind !== 'upgrade') return context.reject('notFound')
      const at = [change.contract, change.height] as const
      const upgrade = context.tables.upgrades.get(at)
      if (upgrade === undefined) return context.reject('wrongState')
      if (context.height >= change.height) context.reject('heightPassed')
      if (context.tables.readiness.has([p, org])) context.reject('alreadyReady')
      context.tables.readiness.put([p, org], { height: context.height })
      if (!activeMembers(context).every((member) => context.tables.readiness.has([p, member]))) return
      if (upgrade.readyHeight !== undefined) return
      context.tables.upgrades.put(at, { ...upgrade, readyHeight: context.height })
      context.emit('upgradeReady', {
        contract: change.contract,
        version: change.version,
        height: change.height,
      })
    },
    leave(context, { org }) {
      if (!memberSigned(context, org)) context.reject('notMember')
      setStanding(context, org, 'left')
    },
  },
  queries: {
    member: (view, { org }) => view.tables.members.get([org]),
    members: (view) =>
      [...view.tables.members.scan([], { limit: 1_000 })].map(([[org], member]) => ({ org, member })),
    params: (view) => paramsOf(view),
    quota: (view, { org }) => (view.tables.members.has([org]) ? quotaOf(view, org) : undefined),
    proposal(view, { p }) {
      const proposal = view.tables.proposals.get([p])
      if (proposal === undefined) return undefined
      return {
        proposal,
        state: stateOf(proposal, view.timeMs),
        votes: [...view.tables.votes.scan([p], { limit: 1_000 })].map(([[, org], { yes }]) => ({ org, yes })),
        ready: [...view.tables.readiness.scan([p], { limit: 1_000 })].map(([[, org]]) => org),
      }
    },
    proposals: (view, { after, limit = 100 }) =>
      [...view.tables.proposals.scan([], after === undefined ? { limit } : { after: [after], limit })].map(
        ([[p], proposal]) => ({ p, state: stateOf(proposal, view.timeMs), proposal }),
      ),
    upgrades: (view) =>
      [...view.tables.upgrades.scan([], { limit: 1_000 })].map(([[contract, height], upgrade]) => ({
        contract,
        height,
        upgrade,
      })),
  },
})

/** State of a proposal at a time: lapsed is evaluated, never written. */
function stateOf(proposal: Proposal, timeMs: number): 'open' | 'passed' | 'lapsed' {
  if (proposal.passedHeight !== undefined) return 'passed'
  return timeMs < proposal.untilMs ? 'open' : 'lapsed'
}

/** A parameter in force. */
export function param(view: Reader, name: ParamName): number {
  return view.tables.params.get([name])?.value ?? 0
}

export function paramsOf(view: Reader): Params {
  return Object.fromEntries(PARAM_NAMES.map((name) => [name, param(view, name)])) as Params
}

/** A sponsor's quota: its own, or that of the parameters. */
export function quotaOf(view: Reader, org: string): { unitsPerSecond: number; burstUnits: number } {
  return (
    view.tables.quotas.get([org]) ?? {
      unitsPerSecond: param(view, 'quotaUnitsPerSecond'),
      burstUnits: param(view, 'quotaBurstUnits'),
    }
  )
}

export function activeMembers(view: Reader): string[] {
  return [...view.tables.members.scan([])]
    .filter(([, member]) => member.state === 'active')
    .map(([[org]]) => org)
}

function countVote(context: Context, p: Uint8Array, org: string, yes: boolean): void {
  context.tables.votes.put([p, org], { yes })
  if (!yes) return
  // Votes of members that have left since do not count, nor do these members count in n.
  const members = activeMembers(context)
  const yesCount = members.filter((member) => context.tables.votes.get([p, member])?.yes === true).length
  if (yesCount < quorumOf(members.length)) return
  const proposal = context.tables.proposals.get([p]) ?? context.reject('notFound')
  context.tables.proposals.put([p], { ...proposal, passedHeight: context.height })
  checkChange(context, proposal.change)
  apply(context, p, proposal.change)
  context.emit('passed', { p })
}

/** Rejects a change that cannot take effect; asked when it is proposed and again when it passes. */
function checkChange(context: Context, change: Change): void {
  switch (change.kind) {
    case 'admit': {
      if (!isOrgId(change.org)) context.reject('badOrg')
      const before = context.tables.members.get([change.org])
      if (before !== undefined && before.state !== 'left') context.reject('exists')
      const owner = context.tablesOf(organisations).signKeys.get([change.sign])?.org
      if (owner !== undefined && owner !== change.org) context.reject('keyInUse')
      return
    }
    case 'suspend':
      needState(context, change.org, ['active'])
      return
    case 'restore':
      needState(context, change.org, ['suspended'])
      return
    case 'remove':
    case 'quota':
    case 'replaceKeys':
      needState(context, change.org, ['active', 'suspended'])
      return
    case 'parameter': {
      const floor = change.name === 'writeFloor' || change.name === 'readFloor'
      if (floor && change.value < param(context, change.name)) context.reject('floorFalls')
      const form = schema.queries.params.output.fields[change.name]
      if (change.value > form.max || change.value < (LEAST_PARAMS[change.name] ?? 0))
        context.reject('badValue')
      return
    }
    case 'upgrade':
      if (change.height <= context.height) context.reject('heightPassed')
      if (context.tables.upgrades.has([change.contract, change.height])) context.reject('exists')
      return
    case 'succeedLog':
      return
  }
}

function needState(context: Context, org: string, states: readonly string[]): void {
  const member = context.tables.members.get([org]) ?? context.reject('notFound')
  if (!states.includes(member.state)) context.reject('wrongState')
}

function apply(context: Context, p: Uint8Array, change: Change): void {
  switch (change.kind) {
    case 'admit': {
      const { org, name, url, sign, seal, log: logKey } = change
      context.tables.members.put([org], { name, url, state: 'active', sinceHeight: context.height })
      context.invoke(organisations, 'enter', { org, keys: { sign, seal, log: logKey } })
      context.emit('memberChanged', { org, state: 'active' })
      return
    }
    case 'suspend':
      setStanding(context, change.org, 'suspended')
      return
    case 'restore':
      setStanding(context, change.org, 'active')
      return
    case 'remove':
      setStanding(context, change.org, 'left')
      return
    case 'quota':
      context.tables.quotas.put([change.org], {
        unitsPerSecond: change.unitsPerSecond,
        burstUnits: change.burstUnits,
      })
      return
    case 'parameter':
      context.tables.params.put([change.name], { value: change.value })
      return
    case 'upgrade':
      context.tables.upgrades.put([change.contract, change.height], { p, version: change.version })
      return
    case 'replaceKeys':
      context.invoke(organisations, 'replace', {
        org: change.org,
        keys: change.keys,
        from: change.from,
      })
      return
    case 'succeedLog':
      context.invoke(log, 'succeed', { logId: change.logId, successor: change.successor })
  }
}

function setStanding(context: Context, org: string, state: 'active' | 'suspended' | 'left'): void {
  const member = context.tables.members.get([org]) ?? context.reject('notFound')
  // A ledger without an active member could never act again.
  if (state !== 'active' && activeMembers(context).every((active) => active === org))
    context.reject('lastMember')
  context.tables.members.put([org], { ...member, state, sinceHeight: context.height })
  context.emit('memberChanged', { org, state })
}
