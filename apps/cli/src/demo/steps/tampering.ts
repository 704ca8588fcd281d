import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { listOwnVersions } from '@salus/records/client'
import { auditFindings } from '../children.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectThat, type Story } from '../story.ts'
import { ORGS, type World } from '../world.ts'

const ANCHOR_MS = 10_500

/** One way to alter a copy of the data directory, and the file that the audit must name. */
interface Tampering {
  readonly name: string
  readonly where: string
  apply(dir: string): void
}

/**
 * On copies of hospital A's data directory, seven things are altered, each alone. An audit by a child process finds
 * every one and says which file and what; the untouched copy passes.
 */
export async function tampering(world: World, story: Story): Promise<string> {
  const { net } = world
  const source = net.dataDir(ORGS.a)
  const copies = join(world.dataDir, 'copies')
  await net.advance(ANCHOR_MS)
  await listOwnVersions(sessionOf(personOf(world, 'patient'), ORGS.a))
  await net.stopNode(ORGS.a)
  const older = join(copies, 'older')
  cpSync(source, older, { recursive: true })
  await net.startNode(ORGS.a)
  // One more fact, anchored: what the older copy does not know.
  await listOwnVersions(sessionOf(personOf(world, 'patient'), ORGS.a))
  await net.advance(ANCHOR_MS)
  await settled(world)
  await net.stopNode(ORGS.a)
  const clean = join(copies, 'clean')
  cpSync(source, clean, { recursive: true })
  await net.startNode(ORGS.a)
  const untouched = await auditFindings(world, clean)
  expectThat(
    untouched.length === 0,
    `the untouched copy passes: ${untouched[0]?.where} ${untouched[0]?.what}`,
  )

  const grant = world.grants.get('first')
  expectThat(grant !== undefined, 'there is a grant')
  const tamperings: Tampering[] = [
    { name: 'object', where: 'vault/', apply: (dir) => flip(packOf(dir), 0.5) },
    { name: 'log leaf', where: 'log/entries', apply: (dir) => flip(join(dir, 'log/entries'), 0.3) },
    { name: 'log tile', where: 'log/hashes-0', apply: (dir) => flip(join(dir, 'log/hashes-0'), 0.6) },
    {
      name: 'state tree',
      where: 'ledger/state',
      apply: (dir) => flipAt(join(dir, 'ledger/state/data.mdb'), grant.g),
    },
    {
      name: 'block log',
      where: 'ledger/blocks',
      apply: (dir) => flip(join(dir, 'ledger/blocks/entries'), 0.5),
    },
    {
      name: 'log rolled back',
      where: 'log',
      apply(dir) {
        rmSync(join(dir, 'log'), { recursive: true })
        cpSync(join(older, 'log'), join(dir, 'log'), { recursive: true })
      },
    },
    { name: 'two objects swapped', where: 'custody.sqlite', apply: swapObjects },
  ]
  const found: string[] = []
  const queue = tamperings.map((one, at) => ({ ...one, dir: join(copies, `tampered-${at}`) }))
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { name, where, dir, apply } = next
      cpSync(clean, dir, { recursive: true })
      apply(dir)
      const findings = await auditFindings(world, dir)
      const named = findings.find((finding) => finding.where.includes(where))
      expectThat(
        named !== undefined,
        `${name}: the audit must name ${where}, found ${findings.map((one) => `${one.where}: ${one.what}`).join('; ') || 'nothing'}`,
      )
      found.push(name)
      story.progress(`${name}: found, ${named.where}: ${named.what}`)
      rmSync(dir, { recursive: true })
    }
  }
  await Promise.all([work(), work()])
  rmSync(copies, { recursive: true })
  world.figures['tamperingsTried'] = tamperings.length
  world.figures['tamperingsFound'] = found.length
  return `${found.length} of ${tamperings.length} found by salus audit, each with file and reason: ${found.join(', ')}; the untouched copy passes`
}

/** Waits until the newest anchor of A is final here: it is made by a job of the node. */
async function settled(world: World): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const health = (await (await fetch(`${world.net.urlOf(ORGS.a)}/health`)).json()) as {
      log: { size: number; anchoredSize: number }
    }
    if (health.log.size === health.log.anchoredSize) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function packOf(dir: string): string {
  return join(dir, 'vault/packs/00000001.pack')
}

/** Flips one bit at a fraction of a file. */
function flip(file: string, fraction: number): void {
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length * fraction)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

/** Flips one bit of every place where `needle` stands in a file. */
function flipAt(file: string, needle: Uint8Array): void {
  const bytes = readFileSync(file)
  let at = bytes.indexOf(needle)
  expectThat(at >= 0, `${file} holds the grant`)
  for (; at >= 0; at = bytes.indexOf(needle, at + 1))
    bytes[at + needle.length + 40] = (bytes[at + needle.length + 40] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

/** Lets two record versions point to each other's object. */
function swapObjects(dir: string): void {
  const database = new DatabaseSync(join(dir, 'custody.sqlite'))
  const [one, other] = database
    .prepare('SELECT seq, address FROM records_version ORDER BY seq LIMIT 2')
    .all() as {
    seq: number
    address: Uint8Array
  }[]
  expectThat(one !== undefined && other !== undefined, 'two versions are in custody')
  const set = database.prepare('UPDATE records_version SET address = ? WHERE seq = ?')
  set.run(other.address, one.seq)
  set.run(one.address, other.seq)
  database.close()
}
