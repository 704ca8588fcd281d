import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { equal, fromUtf8, instantOf, sha256, toHex } from '@salus/core'
import { enrolAt } from '@salus/identity/client'
import { archiveText, mergedArchive, readArchive } from '@salus/records'
import { listOwnVersions, openOwnVersions } from '@salus/records/client'
import { send, sendForJson } from '@salus/sdk'
import { personOf, sessionOf } from '../people.ts'
import { expectThat } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { codeFor, firstAdmin } from './enrol.ts'
import { verifyFiles } from './who-looked.ts'

/**
 * The patient takes everything along: one file from A and B, with receipts, into a third organisation that knows
 * nothing of her. Every version has the same bytes, digest, id and number there, and says where it came from.
 */
export async function portability(world: World): Promise<string> {
  const patient = personOf(world, 'patient')
  const parts: string[] = []
  for (const org of [ORGS.a, ORGS.b]) {
    const { body } = await send(sessionOf(patient, org), 'GET', '/me/export')
    parts.push(fromUtf8(body))
  }
  const made = instantOf(Math.floor(world.context.clock.now()))
  const text = archiveText(mergedArchive(parts.map(readArchive), made))
  const file = join(world.dataDir, 'record.salus.json')
  writeFileSync(file, text)
  const archive = readArchive(text)
  expectThat(archive.versions.length > 0, 'the archive holds her record')

  if (!world.admins.has('c')) await firstAdmin(world, 'c')
  const { code } = await codeFor(world, 'c', undefined)
  const atC = await enrolAt(world.connections.c, {
    org: ORGS.c,
    code,
    person: patient.person,
    context: world.context,
    home: sessionOf(patient, ORGS.a),
  })
  patient.person = atC.person
  patient.sessions.set(ORGS.c, atC.session)
  const report = (await sendForJson(atC.session, 'POST', '/me/import', {
    raw: { type: 'application/json', body: text },
  })) as { imported: number; rejected: unknown[]; origins: string[]; receipts: number }
  expectThat(report.rejected.length === 0, `every version is taken: ${JSON.stringify(report.rejected[0])}`)
  expectThat(
    report.imported === archive.versions.length,
    `${report.imported} of ${archive.versions.length} versions arrive`,
  )
  expectThat(report.origins.includes(ORGS.a) && report.origins.includes(ORGS.b), 'both origins are named')

  const opened = await openOwnVersions(atC.session, {
    keyring: patient.person.keyring,
    chainId: world.context.chainId,
    versions: await listOwnVersions(atC.session),
  })
  const digests = new Set(
    opened.map(({ recordId, version, json }) => `${recordId} ${version} ${toHex(sha256(json))}`),
  )
  for (const { recordId, version, json, digest } of archive.versions) {
    expectThat(equal(sha256(json), digest), `${recordId}: the archive's digest is that of its bytes`)
    expectThat(
      digests.has(`${recordId} ${version} ${toHex(digest)}`),
      `${recordId} version ${version}: same bytes at ${ORGS.c}`,
    )
  }
  const files = archive.receipts.map((receipt, at) => {
    const name = join(world.dataDir, 'receipts', `archive-${at}.receipt.json`)
    writeFileSync(name, JSON.stringify(receipt))
    return name
  })
  const verified = await verifyFiles(world, files.slice(0, 40))
  return `${archive.versions.length} versions and ${archive.receipts.length} receipts of ${ORGS.a} and ${ORGS.b} in one file of ${Math.round(text.length / 1024)} KiB; at ${ORGS.c} each version has the same bytes, digest, id and number, origins ${report.origins.join(' and ')} named; ${verified} of the receipts verified again`
}
