import {
  bytes,
  equal,
  type Infer,
  object,
  oneOf,
  openForm,
  type SignedForm,
  type SigningKey,
  signForm,
  toHex,
  uint,
} from '@salus/core'
import type { AccessFacts } from './event.ts'

/** One request under a grant, as one side recorded it. */
export interface SequenceEntry {
  readonly seq: number
  readonly prev: Uint8Array
  readonly requestHash: Uint8Array
  readonly versions: readonly string[]
  readonly outcome: string
}

export type Party = 'custodian' | 'grantee'

/** What a comparison finds. `seq`: where; nothing in it says what the record was. */
export interface SequenceFinding {
  readonly kind:
    | 'gap'
    | 'broken-chain'
    | 'twice'
    | 'missing-at-custodian'
    | 'missing-at-grantee'
    | 'other-request'
    | 'other-versions'
    | 'other-outcome'
    | 'other-head'
  readonly party?: Party
  readonly seq: number
}

/** Entries of one grant out of events of one side. */
export function sequenceOf(events: readonly AccessFacts[], g: Uint8Array): SequenceEntry[] {
  return events.flatMap(({ grant, versions, outcome }) =>
    grant !== undefined && equal(grant.g, g)
      ? [
          {
            seq: grant.seq,
            prev: grant.prev,
            requestHash: grant.requestHash,
            versions: versions.map(({ oid, view }) => `${toHex(oid)}:${view ? toHex(view) : ''}`),
            outcome,
          },
        ]
      : [],
  )
}

/**
 * Compares both sides' view of one grant: a number missing, a chain that does not hold, or the two telling different
 * things. An event may be split over several entries of one `seq` and request. Protocol §12, Completeness.
 */
export function compareSequences(
  sides: Readonly<Record<Party, readonly SequenceEntry[]>>,
): SequenceFinding[] {
  const findings: SequenceFinding[] = []
  const merged = { custodian: merge(sides.custodian), grantee: merge(sides.grantee) }
  for (const party of ['custodian', 'grantee'] as const) findings.push(...chainFindings(party, merged[party]))
  const last = Math.max(0, ...merged.custodian.keys(), ...merged.grantee.keys())
  for (let seq = 1; seq <= last; seq++) {
    const ours = merged.custodian.get(seq)?.[0]
    const theirs = merged.grantee.get(seq)?.[0]
    if (ours === undefined && theirs === undefined) continue
    if (ours === undefined) findings.push({ kind: 'missing-at-custodian', seq })
    else if (theirs === undefined) findings.push({ kind: 'missing-at-grantee', seq })
    else if (!equal(ours.requestHash, theirs.requestHash)) findings.push({ kind: 'other-request', seq })
    else if (ours.outcome !== theirs.outcome) findings.push({ kind: 'other-outcome', seq })
    else if (ours.versions.join() !== theirs.versions.join()) findings.push({ kind: 'other-versions', seq })
  }
  return findings
}

/** Entries by number; those of one request are one, others stay apart. */
function merge(entries: readonly SequenceEntry[]): Map<number, SequenceEntry[]> {
  const bySeq = new Map<number, SequenceEntry[]>()
  for (const entry of entries) {
    const known = bySeq.get(entry.seq) ?? []
    const same = known.findIndex(({ requestHash }) => equal(requestHash, entry.requestHash))
    if (same < 0) known.push({ ...entry, versions: entry.versions.toSorted() })
    else {
      const before = known[same] as SequenceEntry
      known[same] = { ...before, versions: [...new Set([...before.versions, ...entry.versions])].sort() }
    }
    bySeq.set(entry.seq, known)
  }
  return bySeq
}

function chainFindings(
  party: Party,
  bySeq: ReadonlyMap<number, readonly SequenceEntry[]>,
): SequenceFinding[] {
  const findings: SequenceFinding[] = []
  const last = Math.max(0, ...bySeq.keys())
  let before: SequenceEntry | undefined
  for (let seq = 1; seq <= last; seq++) {
    const entries = bySeq.get(seq)
    const entry = entries?.[0]
    if (entries === undefined || entry === undefined) {
      findings.push({ kind: 'gap', party, seq })
      before = undefined
      continue
    }
    if (entries.length > 1) findings.push({ kind: 'twice', party, seq })
    const expected = seq === 1 ? new Uint8Array(32) : before?.requestHash
    if (expected !== undefined && !equal(entry.prev, expected))
      findings.push({ kind: 'broken-chain', party, seq })
    before = entry
  }
  return findings
}

/** What each side sends the patient daily per grant, type `statement`: how far it got. Protocol §12. */
export const sequenceStatementSchema = object('How far the requests under a grant got', {
  v: uint('Form version'),
  g: bytes('Grant', { length: 16 }),
  party: oneOf('Who says so', ['custodian', 'grantee']),
  upTo: uint('Last seq'),
  head: bytes('H of the last request; zeros if there was none', { length: 32 }),
  time: uint('ms UTC'),
})
export type SequenceStatement = Infer<typeof sequenceStatementSchema>

export function signSequenceStatement(
  key: SigningKey,
  chainId: Uint8Array,
  statement: SequenceStatement,
): SignedForm {
  return signForm(sequenceStatementSchema, statement, { key, type: 'statement', chainId })
}

export function openSequenceStatement(
  publicKey: Uint8Array,
  chainId: Uint8Array,
  signed: SignedForm,
): SequenceStatement {
  const limits = { maxBytes: 1_024, version: 1 }
  return openForm(sequenceStatementSchema, signed, { publicKey, type: 'statement', chainId, ...limits })
}

/** Holds a side's statement to the events it sent: it must have sent every one up to `upTo`, ending in `head`. */
export function checkStatement(
  statement: SequenceStatement,
  entries: readonly SequenceEntry[],
): SequenceFinding[] {
  const { party, upTo, head } = statement
  const bySeq = merge(entries)
  const missing: SequenceFinding[] = []
  for (let seq = 1; seq <= upTo; seq++) if (!bySeq.has(seq)) missing.push({ kind: 'gap', party, seq })
  const last = upTo === 0 ? new Uint8Array(32) : bySeq.get(upTo)?.[0]?.requestHash
  if (last !== undefined && !equal(last, head)) missing.push({ kind: 'other-head', party, seq: upTo })
  return missing
}
