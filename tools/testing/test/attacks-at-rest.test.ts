import { execFile } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AppError, objectAddress, parseCheckpoint, parseNote, toBase64url, toHex, utf8 } from '@salus/core'
import type { NodeHost } from '@salus/node'
import { PATHS } from '@salus/node'
import {
  fetchObjects,
  listOwnVersions,
  type OwnVersion,
  openOwnVersions,
  sealOwnEntry,
  storeOwnEntry,
} from '@salus/records/client'
import { head, sendForJson } from '@salus/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  chartOf,
  enrolPatient,
  grantedIn,
  grantTo,
  HOSPITALS,
  importText,
  SAMPLE_PATIENT,
  type Scenario,
  sessionAt,
  startScenario,
} from '../src/index.ts'
import { temporaryDir } from './temporary-dir.ts'

const run = promisify(execFile)
const { dir, remove } = temporaryDir()
let s: Scenario
/** While set, B reaches nobody. */
let cut = false
/** Sizes of the checkpoints that B cosigned. */
const cosigned: number[] = []

beforeAll(async () => {
  const adapt = (org: string, host: NodeHost): NodeHost => {
    if (org !== HOSPITALS.b) return host
    return {
      ...host,
      network: {
        async fetch(url, init) {
          if (cut) throw new AppError('UNREACHABLE', 'the line is cut')
          if (url.endsWith('/ledger/cosign')) cosigned.push(sizeIn(String(init?.body)))
          return host.network.fetch(url, init)
        },
      },
    }
  }
  s = await startScenario({ dir, adapt })
})

afterAll(async () => {
  await s.close()
  remove()
})

describe('wrap substitution', () => {
  test('no wrap opens anything but its own object, whichever pair is swapped', async () => {
    const { custody, owners, reader } = s.net.node(HOSPITALS.a).records
    const owner = owners.findPatient(s.patient.patient)?.owner
    if (owner === undefined) throw new Error('she is here')
    const rows = custody.currentVersions(owner, { after: 0, limit: 40 })
    expect(rows.length).toBe(40)
    let tried = 0
    for (const row of rows)
      for (const other of rows) {
        if (other === row || other.custodyWrap === undefined) continue
        await expect(reader.dataKey({ ...row, custodyWrap: other.custodyWrap })).rejects.toThrow(AppError)
        tried += 1
      }
    expect(tried).toBe(40 * 39)
    // Nor does the other wrap of the same object, nor the same wrap beside another object.
    const [first, second] = rows
    if (first?.ownerWrap === undefined || second === undefined) throw new Error('she is enrolled')
    await expect(reader.dataKey({ ...first, custodyWrap: first.ownerWrap })).rejects.toThrow(AppError)
    await expect(reader.dataKey({ ...first, address: second.address })).rejects.toThrow(AppError)
  })

  test('the device of the patient opens nothing under a swapped wrap', async () => {
    const session = sessionAt(s.patient, 'a')
    const [first, second] = await listOwnVersions(session)
    if (first === undefined || second === undefined) throw new Error('she has records')
    const open = (version: OwnVersion) =>
      openOwnVersions(session, {
        keyring: s.patient.person.keyring,
        chainId: s.context.chainId,
        versions: [version],
      })
    expect(await open(first)).toHaveLength(1)
    for (const swapped of [
      { ...first, wrap: second.wrap },
      { ...first, oid: second.oid },
      { ...first, address: second.address },
      { ...first, oid: second.oid, address: second.address },
    ])
      await expect(open(swapped)).rejects.toThrow(AppError)
  })

  test('wraps swapped on the disk of a stopped node open nothing, and the chart says so', async () => {
    const { practitioner, connection } = s.clinician.a
    expect(practitioner).not.toBe('')
    const before = await chartOf(connection, s.patient.patient)
    await s.net.stopNode(HOSPITALS.a)
    const swap = () => {
      const db = new DatabaseSync(join(s.net.dataDir(HOSPITALS.a), PATHS.custody))
      const rows = db
        .prepare('SELECT seq, custodyWrap FROM records_version WHERE current = 1 ORDER BY seq DESC LIMIT 2')
        .all() as { seq: number; custodyWrap: Uint8Array }[]
      const [x, y] = rows
      if (x === undefined || y === undefined) throw new Error('there are records')
      const put = db.prepare('UPDATE records_version SET custodyWrap = ? WHERE seq = ?')
      put.run(x.custodyWrap, y.seq)
      put.run(y.custodyWrap, x.seq)
      db.close()
    }
    swap()
    await s.net.startNode(HOSPITALS.a)
    await expect(chartOf(connection, s.patient.patient)).rejects.toThrow(AppError)
    await s.net.stopNode(HOSPITALS.a)
    swap()
    await s.net.startNode(HOSPITALS.a)
    expect((await chartOf(connection, s.patient.patient)).total).toBe(before.total)
  })
})

describe('cross-patient reference', () => {
  test('mother and newborn, Group, List and Provenance: nothing of one is in the chart or release of the other', async () => {
    const code = (text: string) => ({ text, coding: [{ system: 'http://loinc.org', code: '8302-2' }] })
    const weight = 'Birth weight of the newborn 3215 g'
    const lines = [
      { resourceType: 'Patient', id: 'mother', name: [{ family: 'Mother' }] },
      { resourceType: 'Patient', id: 'newborn', name: [{ family: 'Newborn' }] },
      observation('mother-pressure', 'Patient/mother', {
        hasMember: [{ reference: 'Observation/newborn-weight', display: weight }],

        code: code('Blood pressure'),
      }),
      observation('newborn-weight', 'Patient/newborn', { code: code(weight) }),
      {
        resourceType: 'RelatedPerson',
        id: 'mother-of',
        patient: { reference: 'Patient/newborn' },
        relationship: [{ text: 'mother' }],
      },
      {
        resourceType: 'Group',
        id: 'family',
        type: 'person',
        actual: true,
        member: [{ entity: { reference: 'Patient/mother' } }, { entity: { reference: 'Patient/newborn' } }],
      },
      {
        resourceType: 'List',
        id: 'both',
        status: 'current',
        mode: 'working',
        entry: [
          { item: { reference: 'Observation/mother-pressure' } },
          { item: { reference: 'Observation/newborn-weight' } },
        ],
      },
      provenance('of-both', ['Observation/mother-pressure', 'Observation/newborn-weight']),
      provenance('of-newborn', ['Observation/newborn-weight']),
    ]
    const report = (await sendForJson(s.admin.a, 'POST', '/import?name=birth.ndjson', {
      raw: { type: 'application/fhir+ndjson', body: lines.map((line) => JSON.stringify(line)).join('\n') },
    })) as { imported: number; rejected: unknown[]; organisationOwned: string[] }
    expect(report.rejected).toEqual([])
    expect([...report.organisationOwned].sort()).toEqual(['Group/family', 'List/both', 'Provenance/of-both'])
    await importText(s.admin.b, JSON.stringify(lines[0]))
    const mother = await enrolPatient(s, 'Patient/mother', ['a', 'b'])

    const hers = ['Observation/mother-pressure']
    const atA = await chartOf(s.clinician.a.connection, 'Patient/mother')
    expect(atA.entries.map(({ resource }) => `${resource.resourceType}/${resource.id}`).sort()).toEqual(hers)
    const own = await listOwnVersions(sessionAt(mother, 'a'))
    expect(own).toHaveLength(2)

    const compartments = ['general', 'labs', 'notes', 'imaging', 'medication'] as const
    await grantTo(s, mother, { scope: { compartments } as never })
    const atB = await chartOf(s.clinician.b.connection, 'Patient/mother')
    expect(grantedIn(atB).sort()).toEqual(hers)
    const text = JSON.stringify(atB)
    for (const trace of [weight, '3215', 'Patient/newborn', 'Group/family', 'List/both', 'Provenance'])
      expect({ trace, shown: text.includes(trace) }).toEqual({ trace, shown: false })
    // The reference itself is bare: it says no more than that something exists.
    expect(text).toContain('{"reference":"Observation/newborn-weight"}')
  })
})

describe('backup resurrects keys', () => {
  const place = temporaryDir()
  let hospitals: Scenario

  beforeAll(async () => {
    hospitals = await startScenario({ dir: place.dir })
  })

  afterAll(async () => {
    await hospitals.close()
    place.remove()
  })

  test('what is erased in part is hidden from the chart, from reads and from searches at once', async () => {
    const { patient, clinician, context } = hospitals
    const session = sessionAt(patient, 'a')
    const { keyring } = patient.person
    const versions = await listOwnVersions(session)
    const opened = await openOwnVersions(session, { keyring, chainId: context.chainId, versions })
    const condition = opened.find(({ recordId }) => recordId.startsWith('Condition/'))
    if (condition === undefined) throw new Error('she has a condition')
    const shown = async () =>
      (await chartOf(clinician.a.connection, SAMPLE_PATIENT)).entries.some(({ sources }) =>
        sources.some(({ recordId }) => recordId === condition.recordId),
      )
    expect(await shown()).toBe(true)
    await sendForJson(session, 'POST', '/me/erase', { json: { oids: [toBase64url(condition.oid)] } })
    expect(await shown()).toBe(false)
    const read = sendForJson(clinician.a.connection, 'GET', `/fhir/${condition.recordId}`)
    await expect(read).rejects.toMatchObject({ data: { status: 404 } })
    const found = await sendForJson(
      clinician.a.connection,
      'GET',
      `/fhir/Condition?patient=${SAMPLE_PATIENT}`,
    )
    const ids = (found as { entry?: { resource: { id: string } }[] }).entry?.map(
      ({ resource }) => `Condition/${resource.id}`,
    )
    expect(ids).not.toContain(condition.recordId)
    expect(ids?.length).toBeGreaterThan(0)
  })

  test('backup, erase, restore: what was erased stays erased, on the disk and over HTTP', async () => {
    const { net, patient, context, clinician } = hospitals
    const session = sessionAt(patient, 'a')
    const { keyring } = patient.person
    const entry = {
      record: context.random(16),
      recordId: 'Observation/at-home',
      version: 1,
      json: utf8(JSON.stringify({ resourceType: 'Observation', note: [{ text: 'My own words' }] })),
    }
    const own = sealOwnEntry(entry, { keyring, chainId: context.chainId, random: context.random })
    await storeOwnEntry(session, own)
    const address = objectAddress(own.object)
    const stored = async () =>
      (await fetchObjects(hospitals.at.a, [address])).filter((object) => object !== undefined).length
    expect(await stored()).toBe(1)

    const data = net.dataDir(HOSPITALS.a)
    const copy = `${place.dir}-backup`
    const root = join(`${place.dir}-keys`, `${HOSPITALS.a}.root`)
    await net.stopNode(HOSPITALS.a)
    await salus('backup', data, copy, '--root-file', root)
    await net.startNode(HOSPITALS.a)
    await sendForJson(session, 'POST', '/me/erase', { json: {} })
    expect(await stored()).toBe(0)
    await expect(chartOf(clinician.a.connection, SAMPLE_PATIENT)).rejects.toMatchObject({ code: 'NOT_FOUND' })

    await net.stopNode(HOSPITALS.a)
    renameSync(data, `${data}-lost`)
    await salus('restore', copy, data, '--root-file', root, '--log', join(`${data}-lost`, PATHS.log))
    // What the restored node had ordered since comes from nowhere: an operator is restored with its own blocks.
    for (const path of ['ledger', PATHS.cosignMark]) {
      rmSync(join(data, path), { recursive: true, force: true })
      cpSync(join(`${data}-lost`, path), join(data, path), { recursive: true })
    }
    await net.startNode(HOSPITALS.a)
    expect(await stored()).toBe(0)
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
    const holders = files.filter((file) =>
      readFileSync(join(file.parentPath, file.name)).includes(Buffer.from(own.object.subarray(200, 260))),
    )
    expect(holders.map(({ name }) => name)).toEqual([])
    await expect(chartOf(clinician.a.connection, SAMPLE_PATIENT)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  async function salus(...args: string[]): Promise<void> {
    const cli = fileURLToPath(new URL('../../../apps/cli/src/main.ts', import.meta.url))
    await run(process.execPath, [cli, ...args, '--json'])
  }
})

describe('state rollback', () => {
  const BLOCKS = 50
  const STEP_MS = 20_000

  test('a follower put back by fifty blocks cosigns nothing below its mark and replays to the same root', async () => {
    await s.net.advance(1)
    await s.net.stopNode(HOSPITALS.b)
    const data = s.net.dataDir(HOSPITALS.b)
    cpSync(data, `${data}-old`, { recursive: true })
    await s.net.startNode(HOSPITALS.b)
    for (let at = 0; at < BLOCKS; at += 1) await s.net.advance(STEP_MS)
    const { height, stateRoot } = await head(s.at.a)
    await s.net.node(HOSPITALS.b).ledger.follower?.reached(height)
    const mark = await until(() => cosigned.at(-1) === height + 1 && cosigned.at(-1))
    await s.net.stopNode(HOSPITALS.b)

    // Everything is older but the mark, which lies apart from the data.
    const newMark = readFileSync(join(data, PATHS.cosignMark))
    rmSync(data, { recursive: true })
    renameSync(`${data}-old`, data)
    writeFileSync(join(data, PATHS.cosignMark), newMark)
    cosigned.length = 0
    cut = true
    const node = await s.net.startNode(HOSPITALS.b)
    expect((await head(s.at.b)).height).toBeLessThanOrEqual(height - BLOCKS)
    expect(node.ledger.engine.health().working).toBe(false)
    cut = false
    await node.ledger.follower?.reached(height)
    expect(toHex((await head(s.at.b)).stateRoot)).toBe(toHex(stateRoot))
    await s.net.advance(STEP_MS)
    await until(() => cosigned.length > 0)
    expect(Math.min(...cosigned)).toBeGreaterThanOrEqual(mark)
  })

  test('an operator put back below its mark does not start; put back altogether, nobody follows it', async () => {
    await s.net.stopNode(HOSPITALS.a)
    const data = s.net.dataDir(HOSPITALS.a)
    cpSync(data, `${data}-old`, { recursive: true })
    await s.net.startNode(HOSPITALS.a)
    for (let at = 0; at < 5; at += 1) await s.net.advance(STEP_MS)
    const truth = await head(s.at.a)
    await until(() => cosigned.at(-1) === truth.height + 1)
    await s.net.stopNode(HOSPITALS.a)
    const newMark = readFileSync(join(data, PATHS.cosignMark))
    const oldMark = readFileSync(join(`${data}-old`, PATHS.cosignMark))
    rmSync(data, { recursive: true })
    renameSync(`${data}-old`, data)
    writeFileSync(join(data, PATHS.cosignMark), newMark)
    await expect(s.net.startNode(HOSPITALS.a)).rejects.toMatchObject({ code: 'ROLLED_BACK' })

    writeFileSync(join(data, PATHS.cosignMark), oldMark)
    await s.net.startNode(HOSPITALS.a)
    const follower = s.net.node(HOSPITALS.b).ledger.engine
    const operator = s.net.node(HOSPITALS.a).ledger.operator
    for (let at = 0; at < 8; at += 1) {
      s.net.clock.advance(STEP_MS)
      await operator?.heartbeat()
    }
    await until(() => follower.health().alarms.length > 0)
    expect(follower.health().alarms.map(({ code }) => code)).toContain('LOG_FORKED')
    expect(follower.health().working).toBe(false)
    expect(toHex((await head(s.at.b)).stateRoot)).toBe(toHex(truth.stateRoot))
  })
})

function observation(id: string, subject: string, more: Record<string, unknown>) {
  const category = [
    {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs' }],
    },
  ]
  return {
    resourceType: 'Observation',
    id,
    status: 'final',
    category,
    subject: { reference: subject },
    ...more,
  }
}

function provenance(id: string, targets: readonly string[]) {
  return {
    resourceType: 'Provenance',
    id,
    target: targets.map((reference) => ({ reference })),
    recorded: '2024-01-01T00:00:00Z',
    agent: [{ who: { display: 'Ward' } }],
  }
}

function sizeIn(note: string): number {
  return parseCheckpoint(parseNote(note).text).size
}

/** Waits until `look` finds something; for what another node does by itself. */
async function until<T>(look: () => T | false | undefined): Promise<T> {
  for (let tries = 0; tries < 500; tries += 1) {
    const found = look()
    if (found !== false && found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it did not come')
}
