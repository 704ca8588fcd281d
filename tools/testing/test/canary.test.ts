import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listAccesses } from '@salus/audit/client'
import { AppError, utf8 } from '@salus/core'
import { Keystore } from '@salus/keys/organisation'
import { listOwnVersions, openOwnVersions } from '@salus/records/client'
import { sendForJson } from '@salus/sdk'
import type { AccessLine } from '@salus/server'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  chartOf,
  enrolPatient,
  grantedIn,
  grantTo,
  HOSPITALS,
  importText,
  type Scenario,
  type ScenarioPatient,
  sessionAt,
  startScenario,
  withdraw,
} from '../src/index.ts'
import { Haystack, type Needle, needlesOf, textNeedles } from './needles.ts'
import { temporaryDir } from './temporary-dir.ts'

const WORDS = {
  family: 'Zwanikenburgh',
  given: 'Quillonette',
  address: '77 Hollowpipe Terrace',
  telephone: '0091-77-400113',
  'record number': 'MRN-QX-8841-Z',
  display: 'Kuru encephalopathia canarifera',
  code: '8142-9-CANARY',
  note: 'She told us about the fall from the blue ladder',
  'patient id': 'canary-8d1e4bb7',
  'record id': 'canary-condition-51',
  'not valid': 'CanaryInARefusedResource',
} as const

const { dir, remove } = temporaryDir()
const lines: AccessLine[] = []
const printed: string[] = []
const bugs: unknown[] = []
const keystoreKeys: Uint8Array[] = []
const restore: (() => void)[] = []
let s: Scenario
let person: ScenarioPatient

beforeAll(async () => {
  for (const stream of [process.stdout, process.stderr]) {
    const spy = vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      printed.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())
      return true
    })
    restore.push(() => spy.mockRestore())
  }
  const put = Keystore.prototype.put
  const spy = vi.spyOn(Keystore.prototype, 'put').mockImplementation(function (this: Keystore, entries) {
    keystoreKeys.push(...entries.map(({ key }) => key.slice()))
    return put.call(this, entries)
  })
  restore.push(() => spy.mockRestore())
  s = await startScenario({ dir, onAccess: (line) => lines.push(line), onBug: (error) => bugs.push(error) })
})

afterAll(async () => {
  for (const undo of restore) undo()
  await s.close()
  remove()
})

test('a whole story leaves no planted word and no key in any file or line', { timeout: 60_000 }, async () => {
  await play()
  const needles: Needle[] = [
    ...Object.entries(WORDS).flatMap(([name, word]) => textNeedles(name, word)),
    ...(await secrets()).flatMap(([name, secret]) => needlesOf(name, secret)),
  ]
  expect(needles.length).toBeGreaterThan(500)

  // What finds nothing must be able to find: the same haystack over a file with one of each.
  const control = new Haystack(needles)
  const planted = join(dir, '..', 'control')
  mkdirSync(planted)
  for (const [at, { bytes }] of needles.entries())
    if (at % 37 === 0)
      writeFileSync(join(planted, `${at}.bin`), Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('y')]))
  expect(control.searchFiles(planted).length).toBeGreaterThanOrEqual(Math.ceil(needles.length / 37))

  const running = new Haystack(needles)
  expect(running.searchFiles(dir)).toEqual([])
  expect(running.searchFiles(`${dir}-keys`)).toEqual([])
  for (const org of [HOSPITALS.a, HOSPITALS.b]) await s.net.stopNode(org)
  const stopped = new Haystack(needles)
  expect(stopped.searchFiles(dir)).toEqual([])
  expect(stopped.bytesSearched).toBeGreaterThan(1_000_000)

  expect(lines.length).toBeGreaterThan(30)
  const said = [...lines.map((line) => JSON.stringify(line)), ...printed, ...bugs.map(String)].join('\n')
  expect(new Haystack(needles).search(utf8(said))).toEqual([])
})

/** Import, enrolment, grant, chart, list, withdrawal, and what goes wrong on the way. */
async function play(): Promise<void> {
  const patient = `Patient/${WORDS['patient id']}`
  const about = {
    resourceType: 'Patient',
    id: WORDS['patient id'],
    identifier: [{ system: 'https://samples.example.org/patients', value: WORDS['record number'] }],
    name: [{ family: WORDS.family, given: [WORDS.given] }],
    telecom: [{ system: 'phone', value: WORDS.telephone }],
    address: [{ line: [WORDS.address] }],
    birthDate: '1971-02-03',
  }
  const condition = {
    resourceType: 'Condition',
    id: WORDS['record id'],
    subject: { reference: patient, display: `${WORDS.given} ${WORDS.family}` },
    code: { coding: [{ system: 'http://snomed.info/sct', code: WORDS.code, display: WORDS.display }] },
    note: [{ text: WORDS.note }],
    recordedDate: '2022-05-06',
  }
  await importText(s.admin.a, [about, condition].map((line) => JSON.stringify(line)).join('\n'))
  await importText(s.admin.b, JSON.stringify(about))
  const refused = { resourceType: 'Observation', status: WORDS['not valid'], subject: { reference: patient } }
  await sendForJson(s.admin.a, 'POST', `/import?name=${WORDS.family}.ndjson`, {
    raw: { type: 'application/fhir+ndjson', body: JSON.stringify(refused) },
  })
  person = await enrolPatient(s, patient, ['a', 'b'])
  const grant = await grantTo(s, person, { scope: { compartments: ['general'] } })
  const chart = await chartOf(s.clinician.b.connection, patient)
  expect(grantedIn(chart)).toContain(`Condition/${WORDS['record id']}`)
  expect(JSON.stringify(chart)).toContain(WORDS.note)
  await chartOf(s.clinician.a.connection, patient)
  // Words of hers in a query, a path and a body that is refused.
  for (const path of [
    `/chart?patient=${encodeURIComponent(`Patient/${WORDS.family}`)}`,
    `/chart?patient=${encodeURIComponent(patient)}&purpose=${WORDS.family}`,
    `/me/accesses/${WORDS.family}/receipt`,
    `/${WORDS.family}`,
  ])
    await expect(sendForJson(s.clinician.a.connection, 'GET', path)).rejects.toThrow(AppError)
  await expect(
    sendForJson(s.admin.a, 'POST', '/staff', { json: { name: WORDS.note, roles: [WORDS.code] } }),
  ).rejects.toThrow(AppError)
  await withdraw(s, person, grant.g)
  await s.net.advance(20_000)
}

/** Every secret that this process could get hold of. */
async function secrets(): Promise<[string, Uint8Array][]> {
  const { keyring, krk, device } = person.person
  const found: [string, Uint8Array][] = [
    ['KRK', krk],
    ['device key', device.seal.seed],
    ...keyring.controllers.map(({ seed }): [string, Uint8Array] => ['controller key', seed]),
    ...keyring.links.map(({ seed }): [string, Uint8Array] => ['link key', seed]),
    ...Object.values(keyring.sections).flatMap(({ epochs, key }): [string, Uint8Array][] => [
      ['section key', key],
      ...epochs.map(({ seed }): [string, Uint8Array] => ['compartment seed', seed]),
    ]),
    ...keystoreKeys.map((key, at): [string, Uint8Array] => [`keystore key ${at}`, key]),
    ['session of staff', Buffer.from(s.clinician.a.token, 'base64url')],
    ['session of patient', Buffer.from(sessionAt(person, 'a').token ?? '', 'base64url')],
  ]
  for (const org of [HOSPITALS.a, HOSPITALS.b]) {
    const { custody, reader, owners } = s.net.node(org).records
    for (const patient of [person.patient, s.patient.patient]) {
      const owner = owners.findPatient(patient)?.owner
      if (owner === undefined) throw new Error('she is at both')
      for (const row of custody.currentVersions(owner, { after: 0, limit: 60 })) {
        found.push(
          ['data key', (await reader.dataKey(row)).dek],
          ['salt of a record leaf', reader.labels(row).salt],
        )
      }
    }
  }
  for (const { salt } of await listAccesses(sessionAt(person, 'a')))
    found.push(['salt of an access leaf', salt])
  const session = sessionAt(person, 'a')
  const own = await listOwnVersions(session)
  expect(await openOwnVersions(session, { keyring, chainId: s.context.chainId, versions: own })).toHaveLength(
    2,
  )
  expect(keystoreKeys.length).toBeGreaterThan(20)
  return found
}
