import { bytes, list, object, oneOf, optional, text, uint, variant } from '@salus/core'
import { defineContract } from '../../runtime/define.ts'
import { height, orgId, timeMs } from '../forms.ts'

export const logIdForm = bytes('Log: first 16 bytes of H(org, origin)', { length: 16 })
const hash = bytes('SHA-256', { length: 32 })
/** RFC 6962 proofs have at most 64 hashes. */
const proof = list(hash, { doc: 'RFC 6962 proof', max: 64 })
const note = text('Signed checkpoint (C2SP signed note)', { min: 1, max: 8_192 })
const size = uint('Number of leaves')
const index = uint('Position of a leaf')
const leaf = bytes('A leaf as it is in the log', { max: 1_024 })

const logRow = object('A log as last anchored', {
  org: orgId,
  origin: text('Origin line of its checkpoints', { min: 1, max: 200 }),
  size,
  root: hash,
  timeMs,
  height,
  state: oneOf('State as written; suspect is evaluated', ['open', 'forked', 'succeeded']),
  successor: optional(logIdForm),
})
const challengeRow = object('A leaf that a log must show under its anchored root', {
  by: orgId,
  dueMs: timeMs,
  answeredMs: optional(timeMs),
})

export const log = defineContract({
  name: 'log',
  version: 1,
  doc: 'Anchors of organisations’ append-only logs: consensus refuses a log that was rewritten.',
  rejects: {
    notMember: 100,
    notSigned: 101,
    exists: 102,
    notFound: 103,
    badNote: 104,
    staleSize: 105,
    shrinks: 106,
    rootDiffers: 107,
    notConsistent: 108,
    closed: 109,
    noFork: 110,
    notIncluded: 111,
    badSuccessor: 112,
    badOrigin: 113,
  },
  tables: {
    logs: { doc: 'Logs', key: [logIdForm], row: logRow },
    challenges: {
      doc: 'Challenges by log, position and leaf hash',
      key: [logIdForm, index, hash],
      row: challengeRow,
    },
  },
  events: {
    opened: { doc: 'A log was opened', data: object('', { logId: logIdForm, org: orgId }) },
    anchored: { doc: 'A log grew', data: object('', { logId: logIdForm, size }) },
    forked: {
      doc: 'A log was shown to have two histories',
      data: object('', { logId: logIdForm, by: orgId }),
    },
    challenged: {
      doc: 'A log must show a leaf',
      data: object('', { logId: logIdForm, index, dueMs: timeMs }),
    },
    answered: { doc: 'A log showed a leaf', data: object('', { logId: logIdForm, index }) },
    succeeded: {
      doc: 'A vote opened a successor',
      data: object('', { logId: logIdForm, successor: logIdForm }),
    },
  },
  calls: {
    open: {
      doc: 'Register the own log under its origin. Signed by the organisation’s sign key.',
      input: object('', { org: orgId, origin: text('Origin line of its checkpoints', { min: 1, max: 200 }) }),
      output: object('', { logId: logIdForm }),
    },
    anchor: {
      doc: 'Anchor a checkpoint that the organisation’s log key signed. Any member may submit it.',
      input: object('', { logId: logIdForm, oldSize: size, note, proof }),
    },
    fork: {
      doc: 'Show that a log has two histories. Any member may submit it.',
      input: object('', {
        logId: logIdForm,
        evidence: variant('What shows it', 'kind', {
          /** Two checkpoints of one size with different roots. */
          roots: { note1: note, note2: note },
          /** One position with two leaves, each proven under a signed checkpoint. */
          leaves: { index, note1: note, leaf1: leaf, proof1: proof, note2: note, leaf2: leaf, proof2: proof },
        }),
      }),
    },
    challenge: {
      doc: 'Demand that a leaf proven under a signed checkpoint be shown under the anchored root.',
      input: object('', { logId: logIdForm, note, index, leaf, proof }),
    },
    answer: {
      doc: 'Show a challenged leaf under the anchored root. Any member may submit it.',
      input: object('', { logId: logIdForm, index, leafHash: hash, proof }),
    },
  },
  internal: {
    succeed: {
      doc: 'Close a log in favour of another of the same organisation, by vote.',
      from: ['governance'],
      input: object('', { logId: logIdForm, successor: logIdForm }),
    },
  },
  queries: {
    get: {
      doc: 'A log with its state at the head; suspect: a challenge went unanswered past its time.',
      input: object('', { logId: logIdForm }),
      output: optional(
        object('', {
          log: logRow,
          state: oneOf('State', ['open', 'suspect', 'forked', 'succeeded']),
          openChallenges: uint('Challenges not yet answered'),
        }),
      ),
    },
    list: {
      doc: 'Logs in the order of their ids; of one organisation if given.',
      input: object('', { org: optional(orgId) }),
      output: list(object('', { logId: logIdForm, log: logRow }), { max: 1_000 }),
    },
    challenges: {
      doc: 'Challenges of a log.',
      input: object('', { logId: logIdForm }),
      output: list(object('', { index, leafHash: hash, challenge: challengeRow }), { max: 1_000 }),
    },
  },
})
