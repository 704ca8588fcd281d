import { bool, list, object, oneOf, optional, text, uint, variant } from '@salus/core'
import { defineContract } from '../../runtime/define.ts'
import {
  height,
  memberFields,
  organisationKeys,
  orgId,
  orgName,
  orgUrl,
  PARAM_NAMES,
  paramsForm,
  proposalId,
  timeMs,
} from '../forms.ts'

const contractName = text('Contract', { min: 1, max: 32 })
const contractVersion = uint('Version of the contract', { max: 65_535 })
const logId = {
  logId: bytes16('Log'),
  successor: bytes16('The log that follows it, opened by the same organisation'),
}

function bytes16(doc: string) {
  return { ...proposalId, doc }
}

/** What members can decide together. */
export const changeForm = variant('What is proposed', 'kind', {
  admit: memberFields,
  suspend: { org: orgId },
  restore: { org: orgId },
  remove: { org: orgId },
  quota: {
    org: orgId,
    unitsPerSecond: uint('Refill, units', { max: 1_000_000 }),
    burstUnits: uint('Size of the bucket, units', { max: 100_000_000 }),
  },
  parameter: { name: oneOf('Parameter', PARAM_NAMES), value: uint('New value') },
  upgrade: { contract: contractName, version: contractVersion, height },
  /** For an organisation that lost its sign key. */
  replaceKeys: { org: orgId, keys: organisationKeys, from: height },
  succeedLog: logId,
})

const memberState = oneOf('Standing', ['active', 'suspended', 'left'])
const member = object('A member', { name: orgName, url: orgUrl, state: memberState, sinceHeight: height })
const proposal = object('A proposal', {
  proposer: orgId,
  change: changeForm,
  openedMs: timeMs,
  untilMs: timeMs,
  passedHeight: optional(height),
})
const proposalState = oneOf('State, evaluated', ['open', 'passed', 'lapsed'])
const upgrade = object('An upgrade that was voted', {
  p: proposalId,
  version: contractVersion,
  /** Height at which the last member reported that it is ready. */
  readyHeight: optional(height),
})

export const governance = defineContract({
  name: 'governance',
  version: 1,
  doc: 'Members, quotas, parameters and upgrades, decided by vote of the member organisations.',
  rejects: {
    notMember: 100,
    exists: 101,
    notFound: 102,
    closed: 103,
    alreadyVoted: 104,
    badOrg: 105,
    wrongState: 106,
    keyInUse: 107,
    floorFalls: 108,
    heightPassed: 109,
    notReady: 110,
    lastMember: 111,
    badValue: 112,
    alreadyReady: 113,
  },
  tables: {
    members: { doc: 'Organisations that run nodes', key: [orgId], row: member },
    quotas: {
      doc: 'Quotas that differ from the parameters',
      key: [orgId],
      row: object('', { unitsPerSecond: uint('Units'), burstUnits: uint('Units') }),
    },
    usage: {
      doc: 'What a sponsor has used of its bucket, in thousandths of a unit, at a block time',
      key: [orgId],
      row: object('', { usedMilliUnits: uint('Thousandths of a unit'), atMs: timeMs }),
    },
    params: {
      doc: 'Parameters',
      key: [oneOf('Parameter', PARAM_NAMES)],
      row: object('', { value: uint('Value') }),
    },
    proposals: { doc: 'Proposals', key: [proposalId], row: proposal },
    votes: { doc: 'Votes', key: [proposalId, orgId], row: object('', { yes: bool('For the proposal') }) },
    upgrades: { doc: 'Voted upgrades by contract and height', key: [contractName, height], row: upgrade },
    readiness: { doc: 'Who can run an upgrade', key: [proposalId, orgId], row: object('', { height }) },
  },
  events: {
    proposed: { doc: 'A proposal was made', data: object('', { p: proposalId, proposer: orgId }) },
    passed: { doc: 'A proposal passed and took effect', data: object('', { p: proposalId }) },
    memberChanged: {
      doc: "A member's standing changed",
      data: object('', { org: orgId, state: memberState }),
    },
    upgradeReady: {
      doc: 'Every member is ready for an upgrade',
      data: object('', { contract: contractName, version: contractVersion, height }),
    },
  },
  calls: {
    propose: {
      doc: 'Propose a change; counts as the proposer’s yes. Signed by a member’s sign key or a staff key it registered.',
      input: object('', { p: proposalId, change: changeForm }),
    },
    vote: {
      doc: 'Vote on an open proposal, once. It passes at ⌊2n/3⌋+1 yes of n active members and takes effect at once.',
      input: object('', { p: proposalId, yes: bool('For the proposal') }),
    },
    ready: {
      doc: 'Report that this member’s node can run a voted upgrade.',
      input: object('', { p: proposalId }),
    },
    leave: { doc: 'End the own membership.', input: object('', { org: orgId }) },
  },
  queries: {
    member: { doc: 'One member.', input: object('', { org: orgId }), output: optional(member) },
    members: {
      doc: 'All organisations that are or were members.',
      input: object('', {}),
      output: list(object('', { org: orgId, member }), { max: 1_000 }),
    },
    params: { doc: 'The parameters in force.', input: object('', {}), output: paramsForm },
    quota: {
      doc: 'A sponsor’s quota.',
      input: object('', { org: orgId }),
      output: optional(object('', { unitsPerSecond: uint('Units'), burstUnits: uint('Units') })),
    },
    proposal: {
      doc: 'A proposal with its state and votes.',
      input: object('', { p: proposalId }),
      output: optional(
        object('', {
          proposal,
          state: proposalState,
          votes: list(object('', { org: orgId, yes: bool('') }), { max: 1_000 }),
          ready: list(orgId, { max: 1_000 }),
        }),
      ),
    },
    proposals: {
      doc: 'Proposals in the order of their ids.',
      input: object('', { after: optional(proposalId), limit: optional(uint('At most 100', { max: 100 })) }),
      output: list(object('', { p: proposalId, state: proposalState, proposal }), { max: 100 }),
    },
    upgrades: {
      doc: 'Voted upgrades.',
      input: object('', {}),
      output: list(object('', { contract: contractName, height, upgrade }), { max: 1_000 }),
    },
  },
})
