import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readEvent } from '@salus/audit'
import { fromBase64url, fromUtf8, toHex } from '@salus/core'
import { type Connection, send, sendForJson } from '@salus/sdk'
import { receiptStatuses } from '../children.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectThat, type Story } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { staffOf } from './enrol.ts'

const ANCHOR_TRIES = 6

/** One line of "who looked". */
export interface AccessLine {
  readonly org: string
  readonly eventId: string
  readonly facts: ReturnType<typeof readEvent>
}

/** Every access to a person's record at an organisation, oldest first. */
export async function accessesAt(session: Connection, org: string): Promise<AccessLine[]> {
  const lines: AccessLine[] = []
  let after = 0
  for (;;) {
    const page = (await sendForJson(session, 'GET', `/me/accesses?after=${after}`)) as {
      events: { eventId: string; event: string }[]
      next: number | null
    }
    for (const { eventId, event } of page.events)
      lines.push({ org, eventId, facts: readEvent(fromBase64url(event)) })
    if (page.next === null) return lines
    after = page.next
  }
}

/** Fetches the receipts of accesses into files; `anchor=now` has the log anchored first. */
export async function saveReceipts(
  world: World,
  session: Connection,
  lines: readonly AccessLine[],
): Promise<string[]> {
  const dir = join(world.dataDir, 'receipts')
  mkdirSync(dir, { recursive: true })
  const files: string[] = []
  for (const { org, eventId } of lines) {
    const body = await anchoredReceipt(session, eventId)
    const file = join(dir, `${org}-${toHex(fromBase64url(eventId))}.receipt.json`)
    writeFileSync(file, body)
    files.push(file)
  }
  return files
}

/** A node waits a few seconds for its anchor to be cosigned, then gives what it has; on a busy machine one asks again. */
async function anchoredReceipt(session: Connection, eventId: string): Promise<Uint8Array> {
  for (let tries = 1; ; tries += 1) {
    const { body } = await send(session, 'GET', `/me/accesses/${eventId}/receipt?anchor=now`)
    const { block } = JSON.parse(fromUtf8(body)) as { block?: unknown }
    if (block !== undefined || tries === ANCHOR_TRIES) return body
  }
}

/** Has `salus verify` look at files; every one must be valid. Returns how many. */
export async function verifyFiles(world: World, files: readonly string[]): Promise<number> {
  const statuses = await receiptStatuses(world, files)
  const invalid = statuses.find(({ status }) => status !== 'valid')
  expectThat(invalid === undefined, `${invalid?.file}: ${invalid?.status}`)
  expectThat(statuses.length === files.length, 'every receipt was looked at')
  return statuses.length
}

/**
 * The patient lists every access at both hospitals: person, organisation, purpose, what, when, under which grant. Each
 * has a receipt that a child process accepts which knows nothing but the files and the genesis id.
 */
export async function whoLooked(world: World, story: Story): Promise<string> {
  const patient = personOf(world, 'patient')
  const clinician = staffOf(world, 'clinician-b')
  const atA = await accessesAt(sessionOf(patient, ORGS.a), ORGS.a)
  const atB = await accessesAt(sessionOf(patient, ORGS.b), ORGS.b)
  const release = atA.find(({ facts }) => facts.kind === 'release' && facts.outcome === 'permitted')
  expectThat(release !== undefined, 'the release is on her list')
  const { requester, purpose, versions, grant } = release.facts
  expectThat(
    requester.org === ORGS.b && requester.practitioner === clinician.practitioner,
    'it names the person at B',
  )
  expectThat(purpose === 'TREAT' && grant !== undefined, 'it names purpose and grant')
  expectThat(versions.length === world.grants.get('first')?.shown.length, 'it lists what was opened')
  const received = atB.find(({ facts }) => facts.kind === 'receive')
  expectThat(received !== undefined, 'B logged its opening too')
  story.progress(`fetching ${atA.length + atB.length} receipts`)
  const files = [
    ...(await saveReceipts(world, sessionOf(patient, ORGS.a), atA)),
    ...(await saveReceipts(world, sessionOf(patient, ORGS.b), atB)),
  ]
  const verified = await verifyFiles(world, files)
  for (const file of files) world.receipts.set(file, ORGS.a)
  world.figures['receiptsVerified'] = verified
  return `${atA.length} accesses at ${ORGS.a} and ${atB.length} at ${ORGS.b}, each with person, organisation, purpose, what, when and grant; ${verified} receipts accepted by salus verify, given only the files and genesis id ${world.net.genesisId.slice(0, 12)}…`
}
