import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { organisationOf } from '@salus/consent/client'
import { fromBase64url, toBase64url, toHex, utf8 } from '@salus/core'
import { erasedArgs, openReceipt } from '@salus/identity'
import { openOwnSession } from '@salus/identity/client'
import {
  fetchObjects,
  listOwnVersions,
  openOwnVersions,
  sealOwnEntry,
  storeOwnEntry,
} from '@salus/records/client'
import { type Connection, sendForJson } from '@salus/sdk'
import { auditFindings } from '../children.ts'
import { personOf } from '../people.ts'
import { expectRefusal, expectThat, type Story } from '../story.ts'
import { ORGS, type World } from '../world.ts'
import { staffOf } from './enrol.ts'
import { verifyFiles } from './who-looked.ts'

const MONTH_MS = 31 * 86_400_000

interface ErasedAnswer {
  readonly destroyed: number
  readonly restricted: number
  readonly receipts: readonly { readonly bytes: string; readonly sig: string; readonly salt: string }[]
}

/**
 * The patient erases her record at A: what she made herself is destroyed at once, the hospital's legal record is hidden
 * from care until its date, with a signed receipt that names the law, then destroyed. A restored backup brings nothing
 * back, and ledger, logs and earlier receipts still verify, with every node stopped.
 */
export async function erasure(world: World, story: Story): Promise<string> {
  const { net, context } = world
  const dir = net.dataDir(ORGS.a)
  const patient = personOf(world, 'patient')
  let session = await herSession(world)
  const own = ownEntry(world, patient.patient)
  await storeOwnEntry(session, sealOwnEntry(own, { keyring: patient.person.keyring, ...context }))
  const before = await listOwnVersions(session)
  const opened = await openOwnVersions(session, {
    keyring: patient.person.keyring,
    chainId: context.chainId,
    versions: before,
  })
  expectThat(
    opened.some(({ recordId }) => recordId === own.recordId),
    'her own entry opens with her keys alone',
  )
  const traces = await tracesOf(session, before)
  expectThat(
    traces.every((trace) => isOnDisk(dir, trace)),
    'ciphertext and wraps are on disk before',
  )

  await net.stopNode(ORGS.a)
  const backup = join(world.dataDir, 'backup-a')
  cpSync(dir, backup, { recursive: true })
  await net.startNode(ORGS.a)

  session = await herSession(world)
  const answer = (await sendForJson(session, 'POST', '/me/erase', { json: {} })) as ErasedAnswer
  const { sign } = await organisationOf(world.connections.a, ORGS.a)
  const signed = answer.receipts.map(({ bytes, sig, salt }) => ({
    bytes: fromBase64url(bytes),
    sig: fromBase64url(sig),
    salt: fromBase64url(salt),
  }))
  const receipts = signed.map((one) => openReceipt(sign, context.chainId, one))
  for (const one of signed) {
    const { e, c } = erasedArgs(one, one.salt)
    const row = await sendForJson(world.connections.a, 'POST', '/ledger/query/records/erasure', {
      json: { e: toBase64url(e) },
    })
    expectThat(
      (row as { c?: string } | null)?.c === toBase64url(c),
      'the salt opens the commitment that the ledger has',
    )
  }
  const erased = receipts.find(({ kind }) => kind === 'erasure')
  const refusal = receipts.find(({ kind }) => kind === 'refusal')
  expectThat(
    erased?.kind === 'erasure' && erased.count === answer.destroyed && answer.destroyed > 0,
    'a signed receipt says that what she made is destroyed',
  )
  expectThat(
    refusal?.kind === 'refusal' && refusal.basis !== '',
    'a signed receipt names the law that keeps the rest, and its date',
  )
  expectThat(answer.destroyed + answer.restricted === before.length, 'every version is destroyed or hidden')
  const chart = `/chart?patient=${encodeURIComponent(patient.patient)}`
  const clinician = staffOf(world, 'clinician-a').connection
  await expectRefusal(
    sendForJson(clinician, 'GET', chart),
    ['NOT_FOUND', 'UNAUTHENTICATED'],
    'care finds the hidden record',
  )

  story.progress(`time moves on to ${refusal.retainUntil}, when the law lets go`)
  await net.advance(Math.max(0, Date.parse(`${refusal.retainUntil}T00:00:00Z`) - net.clock.now()) + MONTH_MS)
  await untilDestroyed(world)
  const left = traces.filter((trace) => isOnDisk(dir, trace)).length
  expectThat(
    left === 0,
    `no file of A holds ciphertext or wraps of the erased record, ${left} of ${traces.length} traces are left`,
  )

  await net.stopNode(ORGS.a)
  for (const store of ['vault', 'custody.sqlite', 'index.sqlite']) {
    for (const suffix of store.endsWith('.sqlite') ? ['', '-wal', '-shm'] : [''])
      rmSync(join(dir, store + suffix), { recursive: true, force: true })
    cpSync(join(backup, store), join(dir, store), { recursive: true })
  }
  expectThat(isOnDisk(dir, traces[0] as Uint8Array), 'the backup does hold the old bytes')
  await net.startNode(ORGS.a)
  const back = traces.filter((trace) => isOnDisk(dir, trace)).length
  expectThat(back === 0, `a restored backup brings nothing back, ${back} traces did`)
  const list = await listOwnVersions(await herSession(world)).catch(() => [])
  expectThat(list.length === 0, 'nothing of her record is listed any more')

  for (const org of net.running()) await net.stopNode(org)
  const findings = await auditFindings(world, dir)
  expectThat(findings.length === 0, `ledger and logs verify: ${findings[0]?.where} ${findings[0]?.what}`)
  const verified = await verifyFiles(world, [...world.receipts.keys()])
  for (const org of Object.values(ORGS)) await net.startNode(org)
  rmSync(backup, { recursive: true })
  return `her own entry destroyed at once, and emergency summaries with it, ${answer.destroyed} versions; ${answer.restricted} versions of the legal record hidden until ${refusal.retainUntil} (${refusal.basis}), then destroyed; ${traces.length} traces gone from every file of ${ORGS.a}, and not back with a restored backup; with all nodes stopped ledger and logs still verify, and so do ${verified} receipts`
}

function herSession(world: World): Promise<Connection> {
  const { person } = personOf(world, 'patient')
  return openOwnSession(world.connections.a, { org: ORGS.a, person, context: world.context })
}

/** An entry that she makes on her device; no hospital can read it. */
function ownEntry({ context }: World, patient: string) {
  const id = toHex(context.random(8))
  const resource = {
    resourceType: 'Observation',
    id,
    meta: { versionId: '1' },
    status: 'final',
    code: { text: 'Slept badly' },
    subject: { reference: patient },
  }
  return {
    record: context.random(16),
    recordId: `Observation/${id}`,
    version: 1,
    json: utf8(JSON.stringify(resource)),
  }
}

/** Bytes by which the record would be recognised on a disk: pieces of ciphertext, and wraps of its keys. */
async function tracesOf(
  session: Connection,
  versions: Awaited<ReturnType<typeof listOwnVersions>>,
): Promise<Uint8Array[]> {
  const some = [...versions.slice(0, 12), ...versions.slice(-12)]
  const objects = await fetchObjects(
    session,
    some.map(({ address }) => address),
  )
  const pieces = objects.flatMap((object) => (object === undefined ? [] : [object.slice(-48)]))
  return [...pieces, ...some.flatMap(({ wrap }) => (wrap === undefined ? [] : [wrap]))]
}

function isOnDisk(dir: string, trace: Uint8Array): boolean {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name)
    if (statSync(path).isDirectory() ? isOnDisk(path, trace) : readFileSync(path).indexOf(trace) >= 0)
      return true
  }
  return false
}

/** Waits for the daily job that destroys what is due. */
async function untilDestroyed(world: World): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const list = await listOwnVersions(await herSession(world)).catch(() => [])
    if (list.length === 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
