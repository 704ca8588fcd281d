import { fromBase64url, fromUtf8, toHex } from '@salus/core'
import { listOwnVersions, openOwnVersions } from '@salus/records/client'
import { type Connection, head, sendForJson } from '@salus/sdk'
import { noticesAt } from '../notices.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectRefusal, expectThat } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { adminOf, staffOf } from './enrol.ts'
import { foreignTextOnDisk } from './read.ts'
import { accessesAt } from './who-looked.ts'

const HOUR_MS = 3_600_000
/** Older than the freshness of the ledger's head that emergencies ask for. */
const STANDSTILL_MS = 90_000
const POLLS = 50
const POLL_MS = 100
const SUMMARY_WAITS = 15
const SUMMARY_WAIT_MS = 2_000
/** What the patient leaves out of her summary, apart from one fact by name. */
const EXCLUDED = ['mental', 'substance', 'sexual-reproductive', 'genetics'] as const

/** A broken glass as `POST /emergencies` and `GET /emergencies/:b` answer it. */
interface Glass {
  readonly b: string
  readonly phase: 'waiting' | 'open' | 'ended'
  readonly degraded: boolean
  readonly answers: readonly { readonly org: string; readonly state: string; readonly summary?: string }[]
}

interface GlassRow {
  readonly org: string
  readonly openedMs: number
  readonly state: string
}

type Resource = Readonly<Record<string, unknown>> & { readonly resourceType: string }

/**
 * A clinician at B breaks the glass: the ledger's event is final first, the generated summary opens and nothing else, the
 * patient is told, it ends by itself and is reviewed by a third person. While the ledger stands still two people sign,
 * and the ledger gets its event afterwards.
 */
export async function emergency(world: World): Promise<string> {
  const left = await chooseExclusions(world)
  const opened = await breakAndEnd(world, left)
  await optOut(world)
  const degradedMs = await whileTheLedgerStands(world)
  world.figures['degradedEmergencyMs'] = degradedMs
  return `event final at block ≤ ${opened.height} before ${ORGS.a} released its summary (${opened.entries} entries, ${left.names.size} facts of it left out at her wish, nothing else of ${ORGS.a}); notice and break-glass event (DCM 110127) on her list; ended by itself, reviewed by a third person; opt-out honoured; with ordering stopped two signatures released it in ${degradedMs} ms, flagged degraded, and the ledger got its event when it went on`
}

/** What stood in the summary and must not any more, and what may: type and concept of A's records. */
interface LeftOut {
  readonly names: ReadonlySet<string>
  readonly allowed: ReadonlySet<string>
  readonly records: readonly string[]
}

/**
 * The patient reads A's summary of her on her own device, and leaves out sensitive categories and one fact by name that
 * stands in it.
 */
async function chooseExclusions(world: World): Promise<LeftOut> {
  const { split, cast, context } = world
  const { person } = personOf(world, 'patient')
  const session = sessionOf(personOf(world, 'patient'), ORGS.a)
  const open = async () =>
    openOwnVersions(session, {
      keyring: person.keyring,
      chainId: context.chainId,
      versions: (await listOwnVersions(session)).filter(({ current }) => current),
    })
  const summaryAmong = (versions: Awaited<ReturnType<typeof open>>) =>
    versions.find(({ compartment }) => compartment === 'emergency')
  let opened = await open()
  // Summaries are made in quiet moments, one patient after the other.
  for (let waits = 0; waits < SUMMARY_WAITS && summaryAmong(opened) === undefined; waits += 1) {
    await pause(world, SUMMARY_WAIT_MS)
    opened = await open()
  }
  const summary = summaryAmong(opened)
  const compartments = new Map(opened.map(({ recordId, compartment }) => [recordId, compartment]))
  expectThat(summary !== undefined, 'A keeps a summary of her, which her own keys open')
  const shown = new Set(factsOf(fromUtf8(summary.json)).flatMap((fact) => nameOf(fact) ?? []))
  const held = split.a
    .filter(({ owner }) => owner.kind === 'patient' && owner.name === cast.patient)
    .map(({ recordId, resource }) => ({
      recordId,
      name: nameOf(resource as Resource),
      isSensitive: (EXCLUDED as readonly string[]).includes(compartments.get(recordId) ?? ''),
    }))
  const times = (name: string) => held.filter((one) => one.name === name).length
  // The rarest one, so that others stay.
  const example = [...shown]
    .filter((name) => held.some((one) => one.name === name && !one.isSensitive))
    .sort((x, y) => times(x) - times(y))[0]
  const records = held.filter(({ name }) => name !== undefined && name === example).map((one) => one.recordId)
  await choose(world, { optOut: false, compartments: EXCLUDED, records })
  const isLeftOut = ({ recordId, isSensitive }: (typeof held)[number]) =>
    isSensitive || records.includes(recordId)
  const allowed = new Set(held.filter((one) => !isLeftOut(one)).flatMap(({ name }) => name ?? []))
  const names = new Set([...shown].filter((name) => !allowed.has(name)))
  expectThat(example === undefined || names.has(example), 'something that stood in it is left out')
  return { names, allowed, records: held.map(({ recordId }) => recordId) }
}

async function choose(
  world: World,
  choices: {
    readonly optOut: boolean
    readonly compartments: readonly string[]
    readonly records: readonly string[]
  },
): Promise<void> {
  await sendForJson(sessionOf(personOf(world, 'patient'), ORGS.a), 'PUT', '/me/emergency', { json: choices })
}

async function breakAndEnd(world: World, left: LeftOut): Promise<{ height: number; entries: number }> {
  const { connections, net } = world
  const clinician = staffOf(world, 'clinician-b')
  const before = await head(connections.a)
  const glass = await breakGlass(world, clinician.connection)
  expectThat(glass.phase === 'open' && !glass.degraded, 'the glass is open, on the normal path')
  const row = await glassRow(connections.a, glass.b)
  expectThat(row?.org === ORGS.b, 'the ledger has the event, and shows the organisation')
  const entries = checkSummary(glass, left)

  const event = await eventOf(world, glass.b)
  const { height } = event.head ?? { height: 0 }
  expectThat(
    height > before.height && row.openedMs <= event.timeMs,
    'the event was final at A before A logged the opening',
  )
  expectThat(
    event.outcome === 'permitted' && event.purpose === 'ETREAT' && !event.degraded,
    'her list shows a break-glass opening',
  )
  expectThat(
    event.requester.org === ORGS.b && event.requester.practitioner === clinician.practitioner,
    'it names the person at B',
  )
  const [version] = event.versions
  expectThat(
    event.versions.length === 1 && version?.recordId.startsWith('Bundle/') === true,
    'it lists the summary and nothing else',
  )
  await expectNotice(world, glass.b, false)
  const onDisk = foreignTextOnDisk(world, [version.recordId])
  expectThat(onDisk === '', `B keeps nothing of the summary on disk: ${onDisk}`)

  const path = `/emergencies/${glass.b}`
  const shown = (await sendForJson(clinician.connection, 'GET', path)) as Glass
  expectThat(summaryIn(shown) !== undefined, 'while it is open B shows it again from memory')
  await net.advance(HOUR_MS)
  await expectRefusal(sendForJson(clinician.connection, 'GET', path), ['GONE'], 'the glass after its hour')
  const ended = (await accessesAt(sessionOf(personOf(world, 'patient'), ORGS.b), ORGS.b)).some(
    ({ facts }) => facts.kind === 'break-glass-end',
  )
  expectThat(ended, 'B logged that it ended')

  const review = { json: { outcome: 'justified' } }
  const reviewPath = `/staff/emergencies/${glass.b}/review`
  await expectRefusal(
    sendForJson(clinician.connection, 'POST', reviewPath, review),
    ['FORBIDDEN'],
    'a review by who broke the glass',
  )
  await sendForJson(staffOf(world, 'clinician-b-2').connection, 'POST', reviewPath, review)
  expectThat((await glassRow(connections.b, glass.b))?.state === 'reviewed', 'the ledger shows it reviewed')
  return { height, entries }
}

/** Every entry says what one of A's records says that she did not leave out. Returns how many there are. */
function checkSummary(glass: Glass, { names, allowed, records }: LeftOut): number {
  const text = summaryIn(glass)
  expectThat(text !== undefined, 'A gives its emergency summary')
  expectThat(
    glass.answers.every(({ org, state }) => org === ORGS.a || state === 'none'),
    'who holds nothing of her says none',
  )
  const id = records.find((recordId) => text.includes(recordId.slice(recordId.indexOf('/') + 1)))
  expectThat(id === undefined, `the summary leads to no record of A: ${id}`)
  const facts = factsOf(text)
  for (const fact of facts) {
    const name = nameOf(fact)
    if (name === undefined) continue
    expectThat(!names.has(name), `what she left out is not in it: ${fact.resourceType}`)
    expectThat(allowed.has(name), `it says only what A holds of her: ${fact.resourceType}`)
  }
  return facts.length
}

async function optOut(world: World): Promise<void> {
  await choose(world, { optOut: true, compartments: EXCLUDED, records: [] })
  const clinician = staffOf(world, 'clinician-b').connection
  const glass = await breakGlass(world, clinician)
  expectThat(
    glass.answers.every(({ state }) => state === 'none'),
    'who opted out has no summary shown',
  )
  const event = await eventOf(world, glass.b)
  expectThat(
    event.outcome === 'refused' && event.reasons.includes('OPTED_OUT'),
    'the refusal is on her list, with its reason',
  )
  await sendForJson(clinician, 'POST', `/emergencies/${glass.b}/end`, { json: {} })
  await choose(world, { optOut: false, compartments: EXCLUDED, records: [] })
}

/** Returns how long the two people waited for the summary, ms. */
async function whileTheLedgerStands(world: World): Promise<number> {
  const { net, connections } = world
  const [first, second] = [staffOf(world, 'clinician-b'), staffOf(world, 'clinician-b-2')]
  let b = ''
  let waitedMs = 0
  net.pauseOrdering()
  try {
    await net.advance(STANDSTILL_MS)
    const startMs = performance.now()
    const waiting = await breakGlass(world, first.connection)
    b = waiting.b
    expectThat(
      waiting.phase === 'waiting' && waiting.answers.length === 0,
      'one person alone opens nothing while the ledger stands still',
    )
    const path = `/emergencies/${b}/second`
    await expectRefusal(
      sendForJson(first.connection, 'POST', path),
      ['FORBIDDEN'],
      'the same person as second person',
    )
    const glass = (await sendForJson(second.connection, 'POST', path)) as Glass
    waitedMs = Math.round(performance.now() - startMs)
    expectThat(glass.degraded && summaryIn(glass) !== undefined, 'two signatures release the summary')
    expectThat((await glassRow(connections.a, b)) === undefined, 'the ledger does not know yet')
    const event = await eventOf(world, b)
    expectThat(event.degraded && event.outcome === 'permitted', 'her list shows it as degraded')
    await expectNotice(world, b, true)
  } finally {
    net.resumeOrdering()
  }
  await net.advance(0)
  for (let polls = 0; polls < POLLS && !(await isPaid(world, b)); polls += 1) await pause(world, POLL_MS)
  expectThat(await isPaid(world, b), 'the ledger’s event arrives by itself when it goes on')
  const admin = adminOf(world, 'b')
  await sendForJson(admin, 'POST', `/staff/emergencies/${b}/review`, { json: { outcome: 'justified' } })
  expectThat((await glassRow(connections.a, b))?.state === 'reviewed', 'a third person reviewed it')
  return waitedMs
}

function pause({ net }: World, ms: number): Promise<void> {
  return new Promise((resolve) => void net.clock.schedule(ms, resolve))
}

/** Whether the ledger has the event and B knows that it owes nothing. */
async function isPaid(world: World, b: string): Promise<boolean> {
  if ((await glassRow(world.connections.a, b)) === undefined) return false
  const { emergencies } = (await sendForJson(adminOf(world, 'b'), 'GET', '/staff/emergencies')) as {
    emergencies: readonly { readonly b: string; readonly ledgerDueMs?: number }[]
  }
  return emergencies.some((line) => line.b === b && line.ledgerDueMs === undefined)
}

async function breakGlass(world: World, clinician: Connection): Promise<Glass> {
  return (await sendForJson(clinician, 'POST', '/emergencies', {
    json: {
      patient: world.cast.patient,
      reason: 'unconscious',
      note: 'Brought in unconscious after a fall',
      lastsMs: HOUR_MS,
    },
  })) as Glass
}

async function glassRow(connection: Connection, b: string): Promise<GlassRow | undefined> {
  const row = (await sendForJson(connection, 'POST', '/ledger/query/consent/emergency', { json: { b } })) as
    | GlassRow
    | null
    | undefined
  return row ?? undefined
}

/** The newest event of a glass on the patient's list at A. */
async function eventOf(world: World, b: string) {
  const lines = await accessesAt(sessionOf(personOf(world, 'patient'), ORGS.a), ORGS.a)
  const name = toHex(fromBase64url(b))
  const found = lines.findLast(
    // DCM 110127, Emergency Override Started, is what this kind stands for.
    ({ facts }) =>
      facts.kind === 'break-glass' && facts.emergency !== undefined && toHex(facts.emergency.b) === name,
  )
  expectThat(found !== undefined, 'the event is on her list at A')
  return found.facts
}

async function expectNotice(world: World, b: string, degraded: boolean): Promise<void> {
  const notices = await noticesAt(sessionOf(personOf(world, 'patient'), ORGS.a))
  const notice = notices.find(({ kind, about }) => kind === 'emergency' && about['b'] === b)
  expectThat(notice?.about['org'] === ORGS.b, 'a notice tells her at once')
  expectThat((notice.about['degraded'] === 1) === degraded, 'the notice says whether the ledger stood still')
}

function summaryIn({ answers }: Glass): string | undefined {
  return answers.find(({ org, state }) => org === ORGS.a && state === 'summary')?.summary
}

/** What a summary says, without its frame and the person. */
function factsOf(summary: string): Resource[] {
  const { entry } = JSON.parse(summary) as { entry: readonly { readonly resource: Resource }[] }
  return entry
    .map(({ resource }) => resource)
    .filter(({ resourceType }) => resourceType !== 'Composition' && resourceType !== 'Patient')
}

/** What a record tells: its type and the text or display of its concept. */
function nameOf(resource: Resource): string | undefined {
  const concept = (resource['code'] ??
    resource['vaccineCode'] ??
    resource['medicationCodeableConcept'] ??
    undefined) as { text?: string; coding?: readonly { display?: string; code?: string }[] } | undefined
  const said = concept?.text ?? concept?.coding?.[0]?.display ?? concept?.coding?.[0]?.code
  return said === undefined ? undefined : `${resource.resourceType} ${said}`
}
