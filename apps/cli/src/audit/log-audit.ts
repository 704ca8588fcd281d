import {
  AppError,
  decode,
  equal,
  Frontier,
  leafHash,
  NOTE_COSIGNATURE,
  type Note,
  parseCheckpoint,
  parseNote,
  type VerifierKey,
  verifiedSignatures,
  verifierKey,
} from '@salus/core'
import type { Disk } from '@salus/host'
import { blockLogOrigin, factLogOrigin, verifyLog } from '@salus/log'
import type { Findings } from './finding.ts'
import { LAYOUT } from './layout.ts'
import type { LedgerAudit } from './ledger-audit.ts'

/** Checkpoints that somebody else holds: signed notes from other organisations, witnesses, receipts. */
export interface HeldNote {
  readonly file: string
  readonly note: string
}

const RESTORE_LOG = 'restore the log from a backup that is not older than its last anchor; then audit again'

/** Size and organisation that a log's newest checkpoint names; unverified. Undefined when it cannot be read. */
export async function readLogHead(
  disk: Disk,
  path: string,
): Promise<{ readonly origin: string; readonly size: number; readonly note: Note } | undefined> {
  const bytes = await disk.read(`${path}/checkpoint`)
  try {
    if (bytes === undefined) return undefined
    const note = parseNote(bytes)
    return { ...parseCheckpoint(note.text), note }
  } catch {
    return undefined
  }
}

/** The organisation whose log this is, by its origin. */
export function orgOf(chainId: Uint8Array, origin: string | undefined): string | undefined {
  const prefix = factLogOrigin(chainId, '')
  return origin?.startsWith(prefix) === true ? origin.slice(prefix.length) : undefined
}

/** The block log against the replayed blocks, and every cosignature kept with it. */
export async function auditBlockLog(parts: {
  readonly disk: Disk
  readonly ledger: LedgerAudit
  readonly org: string | undefined
  /** Size before the ledger was read: a running node may have added blocks meanwhile. */
  readonly sizeBefore: number
  readonly held: readonly HeldNote[]
  readonly found: Findings
}): Promise<number> {
  const { disk, ledger, org, sizeBefore, held, found } = parts
  const path = LAYOUT.blockLog
  const origin = blockLogOrigin(ledger.chainId)
  const head = await readLogHead(disk, path)
  const key = keyOf(ledger, org, origin, head?.note)
  if (key === undefined) {
    found.add(`${path}/checkpoint`, 'no member of the network signed it', RESTORE_LOG)
    return 0
  }
  const verdict = await verifyLog(disk, path, key, {
    onLeaf: (leaf, index) => {
      const block = ledger.leaves[index]
      if (block !== undefined && (block.length !== leaf.length || !equal(block, leaf)))
        found.add(`${path}/entries`, `entry ${index} is not block ${index} of the ledger`, RESTORE_LOG)
    },
  })
  for (const { file, what } of verdict.problems) found.add(file === '' ? path : file, what, RESTORE_LOG)
  if (sizeBefore > ledger.height + 1)
    found.add(
      `${LAYOUT.ledger}/data.mdb`,
      `ends at block ${ledger.height}, the block log beside it at ${sizeBefore - 1}: the ledger was rolled back`,
      'restore the newer copy, or take the blocks again from another node',
    )
  const rootAt = rootsOf(ledger.leaves.map(leafHash))
  await auditMark(disk, ledger, verdict.size, rootAt, found)
  const cosigners = cosignersOf(ledger)
  const cosigned = await cosignedNotes(disk, `${path}/cosigned`, found)
  let newest: { size: number; names: string[] } | undefined
  for (const note of [
    ...cosigned.map((one) => ({ file: `${path}/cosigned`, note: one })),
    ...ownNotes(held, origin),
  ]) {
    const signed = checkNote(note, cosigners, ledger.leaves.length, rootAt, found)
    if (signed !== undefined && signed.size >= (newest?.size ?? 0)) newest = signed
  }
  if (newest === undefined) found.note('block log: nobody else has cosigned it in what lies here')
  else found.note(`block log: cosigned up to block ${newest.size - 1} by ${newest.names.join(', ')}`)
  return verdict.size
}

/** Array head, the number 4, head of a byte string, 16 bytes. */
const TOMBSTONE_BYTES = 19

/** What the fact log holds that other stores are compared with. */
export interface FactLogAudit {
  readonly size: number
  /** Opaque ids of versions that the log says are gone. */
  readonly tombstones: readonly Uint8Array[]
}

/** The organisation's fact log against its anchors on the ledger. */
export async function auditFactLog(parts: {
  readonly disk: Disk
  readonly ledger: LedgerAudit
  readonly org: string | undefined
  readonly held: readonly HeldNote[]
  readonly found: Findings
}): Promise<FactLogAudit> {
  const { disk, ledger, org, held, found } = parts
  const path = LAYOUT.log
  const head = await readLogHead(disk, path)
  const anchors = ledger.anchors.filter((anchor) => anchor.origin === head?.origin && anchor.org === org)
  if (head === undefined || org === undefined) {
    const own = await disk.stat(`${path}/checkpoint`)
    found.add(
      `${path}/checkpoint`,
      own === undefined ? 'is missing' : 'is not a checkpoint of an organisation of this network',
      RESTORE_LOG,
    )
    return { size: 0, tombstones: [] }
  }
  const key = keyOf(ledger, org, head.origin, head.note)
  if (key === undefined) {
    found.add(`${path}/checkpoint`, `is not signed by a log key that ${org} has or had`, RESTORE_LOG)
    return { size: 0, tombstones: [] }
  }
  const leaves: Uint8Array[] = []
  const tombstones: Uint8Array[] = []
  const verdict = await verifyLog(disk, path, key, {
    anchors,
    onLeaf(leaf) {
      leaves.push(leafHash(leaf))
      const oid = tombstoneOf(leaf)
      if (oid !== undefined) tombstones.push(oid)
    },
  })
  for (const { file, what } of verdict.problems)
    found.add(file === '' ? `${path}/checkpoint` : file, what, RESTORE_LOG)
  const rootAt = rootsOf(leaves)
  for (const note of [
    ...(await cosignedNotes(disk, `${path}/cosigned`, found)).map((one) => ({
      file: `${path}/cosigned`,
      note: one,
    })),
    ...ownNotes(held, head.origin),
  ])
    checkNote(
      note,
      [...cosignersOf(ledger), ...logKeysOf(ledger, org, head.origin)],
      verdict.size,
      rootAt,
      found,
    )
  const last = anchors.at(-1)
  if (last === undefined)
    found.note('fact log: not anchored on the ledger yet, so nothing outside it vouches for it')
  else found.note(`fact log: ${verdict.size} leaves, ${last.size} of them anchored (block ${last.height})`)
  return { size: verdict.size, tombstones }
}

/** `tuple(4, oid)`: the only leaves of this length. */
function tombstoneOf(leaf: Uint8Array): Uint8Array | undefined {
  if (leaf.length !== TOMBSTONE_BYTES) return undefined
  const [kind, oid] = decode(leaf) as readonly unknown[]
  return kind === 4 && oid instanceof Uint8Array ? oid.slice() : undefined
}

/** The high-water mark lies apart from the ledger, so that restoring an older ledger shows. */
async function auditMark(
  disk: Disk,
  ledger: LedgerAudit,
  logged: number,
  rootAt: (size: number) => Uint8Array | undefined,
  found: Findings,
): Promise<void> {
  const file = LAYOUT.cosignMark
  const bytes = await disk.read(file)
  if (bytes === undefined) return
  let mark: { readonly size?: unknown; readonly root?: unknown }
  try {
    mark = decode(bytes, { maxBytes: 256 }) as typeof mark
  } catch {
    return found.add(file, 'is not a cosigning mark', 'restore it; without it this node cosigns nothing')
  }
  const { size, root } = mark
  if (typeof size !== 'number' || !(root instanceof Uint8Array))
    return found.add(file, 'is not a cosigning mark', 'restore it; without it this node cosigns nothing')
  if (size > ledger.leaves.length)
    found.add(
      `${LAYOUT.ledger}/data.mdb`,
      `holds ${ledger.height + 1} blocks, this node cosigned ${size} (block log: ${logged}): its data was rolled back`,
      'restore the newer copy, or take the blocks again from another node',
    )
  else if (!sameRoot(rootAt(size), root))
    found.add(
      file,
      `this node cosigned another history of the first ${size} blocks`,
      'find out which one the others hold; publish both',
    )
}

/** What a note says, if a known key signed it and it is this history; otherwise a finding. */
function checkNote(
  { file, note }: HeldNote,
  keys: readonly VerifierKey[],
  size: number,
  rootAt: (size: number) => Uint8Array | undefined,
  found: Findings,
): { size: number; names: string[] } | undefined {
  let names: string[]
  let checkpoint: ReturnType<typeof parseCheckpoint>
  try {
    const parsed = parseNote(note)
    checkpoint = parseCheckpoint(parsed.text)
    names = verifiedSignatures(parsed, keys).map(({ key }) => key.name)
  } catch (error) {
    found.add(
      file,
      `holds a checkpoint that does not verify (${error instanceof AppError ? error.message : 'malformed'})`,
      'restore this file; the next cosignatures replace what it lacks',
    )
    return undefined
  }
  if (names.length === 0) {
    found.add(
      file,
      `a checkpoint of ${checkpoint.size} leaves bears no signature of a member or witness`,
      'restore this file',
    )
    return undefined
  }
  if (checkpoint.size > size) {
    found.add(
      file,
      `rolled back: ${names.join(', ')} signed a checkpoint of ${checkpoint.size} leaves of ${checkpoint.origin}, here are ${size}`,
      RESTORE_LOG,
    )
    return undefined
  }
  if (!sameRoot(rootAt(checkpoint.size), checkpoint.root)) {
    found.add(
      file,
      `forked: ${names.join(', ')} signed another history of the first ${checkpoint.size} leaves of ${checkpoint.origin}`,
      'keep both checkpoints: they are the evidence for log/fork',
    )
    return undefined
  }
  return { size: checkpoint.size, names: [...new Set(names)] }
}

const sameRoot = (a: Uint8Array | undefined, b: Uint8Array) =>
  a !== undefined && a.length === b.length && equal(a, b)

async function cosignedNotes(disk: Disk, file: string, found: Findings): Promise<string[]> {
  const bytes = await disk.read(file)
  if (bytes === undefined) return []
  try {
    const notes = decode(bytes, { maxBytes: 64 << 20 })
    if (Array.isArray(notes) && notes.every((one) => typeof one === 'string')) return notes as string[]
  } catch {
    // Said below.
  }
  found.add(file, 'is not a list of signed notes', 'remove it; the next cosignatures fill it again')
  return []
}

const ownNotes = (held: readonly HeldNote[], origin: string) =>
  held.filter(({ note }) => note.startsWith(`${origin}\n`))

/** The key of this log that signed its checkpoint; the newest of its organisation when none did. */
function keyOf(
  ledger: LedgerAudit,
  org: string | undefined,
  origin: string,
  note: Note | undefined,
): VerifierKey | undefined {
  const keys = logKeysOf(ledger, org, origin)
  const signed = keys.find((key) => note?.signatures.some(({ keyId }) => keyId === key.keyId))
  return signed ?? (org === undefined ? undefined : keys.at(-1))
}

function logKeysOf(ledger: LedgerAudit, org: string | undefined, origin: string): VerifierKey[] {
  const keys = org === undefined ? [...ledger.logKeys.values()].flat() : (ledger.logKeys.get(org) ?? [])
  return keys.map((key) => verifierKey(origin, key))
}

/** Every key that may ever have cosigned: members' log keys, and the witnesses of genesis. */
function cosignersOf({ logKeys, membership }: LedgerAudit): VerifierKey[] {
  const own = [...logKeys].flatMap(([org, keys]) =>
    keys.map((key) => verifierKey(org, key, NOTE_COSIGNATURE)),
  )
  return [...own, ...membership.witnesses]
}

/** Roots by size over leaf hashes. Sizes may come in any order; the roots of those passed are kept. */
function rootsOf(leafHashes: readonly Uint8Array[]): (size: number) => Uint8Array | undefined {
  const frontier = new Frontier()
  const roots = [frontier.root()]
  return (size) => {
    if (size > leafHashes.length) return undefined
    while (frontier.size < size) {
      frontier.append(leafHashes[frontier.size] as Uint8Array)
      roots.push(frontier.root())
    }
    return roots[size]
  }
}
