import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cosign,
  formatNote,
  objectAddress,
  parseNote,
  type SigningKey,
  sealObject,
  sha256,
  signingKey,
  utf8,
} from '@salus/core'
import { openBlockLog } from '@salus/engine/embedded'
import { seededRandom } from '@salus/host'
import { openSql, systemClock, systemDisk } from '@salus/host/system'
import {
  chainIdOf,
  DEFAULT_PARAMS,
  encodeBundle,
  encodeGenesis,
  Ledger,
  logIdOf,
  signBody,
  verifiedBy,
  verifyBundle,
} from '@salus/ledger'
import { openLmdbStore } from '@salus/ledger/lmdb'
import { cosignerKey, factLeaf, factLogOrigin, TileLog } from '@salus/log'
import { CustodyStore } from '@salus/records'
import { Vault } from '@salus/vault'
import { LAYOUT } from '../src/audit/layout.ts'
import { CONTRACTS } from '../src/contracts.ts'
import { DEMO_NETWORK_NAME } from '../src/demo-network.ts'

const keyOf = (name: string): SigningKey => signingKey(sha256(utf8(`directory/${name}`)))
const ORG = 'st-anna'
const START_MS = 1_700_000_000_000

export interface OrganisationDirectory {
  readonly folder: string
  readonly genesis: Uint8Array
  readonly chainId: Uint8Array
  readonly oids: readonly Uint8Array[]
  readonly addresses: readonly Uint8Array[]
  /** The fact log's checkpoint before the last facts, and after. */
  readonly checkpoint: string
  remove(): void
}

/** A stopped organisation's data directory: some blocks, both logs, anchors, records in vault and custody. */
export async function organisationDirectory({ versions = 6 } = {}): Promise<OrganisationDirectory> {
  const folder = mkdtempSync(join(tmpdir(), 'salus-audit-'))
  const disk = systemDisk(folder)
  const random = seededRandom('organisation directory')
  const keys = { sign: keyOf('sign'), log: keyOf('log') }
  const genesis = encodeGenesis({
    v: 1,
    name: DEMO_NETWORK_NAME,
    timeMs: START_MS,
    engine: 'embedded',
    operator: ORG,
    members: [
      {
        org: ORG,
        name: 'St Anna',
        url: 'http://127.0.0.1:1',
        sign: keys.sign.publicKey,
        seal: new Uint8Array(1_216),
        log: keys.log.publicKey,
      },
    ],
    witnesses: [{ name: 'witness.example', key: keyOf('witness').publicKey }],
    params: DEFAULT_PARAMS,
    contracts: ['governance', 'organisations', 'log', 'consent', 'identity', 'records'].map((name) => ({
      name,
      version: 1,
    })),
  })
  const chainId = chainIdOf(genesis)
  await disk.makeDir('ledger')
  const store = openLmdbStore({ path: join(folder, LAYOUT.ledger), chainId })
  const ledger = Ledger.open({ store, contracts: CONTRACTS, genesis })
  const blockLog = await openBlockLog(ledger, { disk, path: LAYOUT.blockLog, key: keys.log })
  const origin = factLogOrigin(chainId, ORG)
  const facts = await TileLog.open({ disk, path: LAYOUT.log, origin, key: keys.log })
  const vault = await Vault.open({ disk, path: LAYOUT.vault, clock: systemClock() })
  const custody = new CustodyStore(openSql(join(folder, LAYOUT.custody), { durable: true }))

  async function execute(call: string, args: Parameters<typeof signBody>[0]['args']): Promise<void> {
    const timeMs = ledger.head.timeMs + 1_000
    const untilMs = timeMs + 60_000
    const signed = signBody({ chainId, call, args, untilMs, keys: [keys.sign], random })
    const wire = encodeBundle({ chain: chainId, sponsor: ORG, until: untilMs, items: [signed] }, keys.sign)
    const verified = verifiedBy([verifyBundle(wire, ledger.sponsorKey(ORG))])
    const outcome = ledger.execute(
      { v: 1, height: ledger.head.height + 1, timeMs, bundles: [wire] },
      verified,
    )
    if (outcome.results[0]?.code !== 0) throw new Error(`${call} was rejected: ${outcome.results[0]?.code}`)
    await blockLog.catchUp()
  }
  async function anchor(oldSize: number): Promise<void> {
    await execute('log/anchor', {
      logId: logIdOf(ORG, origin),
      oldSize,
      note: facts.checkpoint(),
      proof: await facts.consistency(oldSize, facts.size),
    })
  }

  const oids: Uint8Array[] = []
  const addresses: Uint8Array[] = []
  async function addVersion(): Promise<void> {
    // An owner each: their keys are not here, so nothing of theirs could be put under new ones.
    const owner = random(16)
    custody.addOwner({ owner, rid: random(16), kind: 'patient', status: 'unclaimed' })
    const oid = random(16)
    const bytes = sealObject({
      oid,
      dek: random(32),
      comp: random(16),
      epoch: 0,
      plaintext: random(400),
      random,
    })
    const address = objectAddress(bytes)
    await vault.putMany([{ address, bytes }])
    const { index } = await facts.append(
      factLeaf(1, [`Observation/${oids.length}`, 1, random(32)], random(32)),
    )
    custody.addVersions([
      {
        oid,
        owner,
        rid: random(16),
        version: 1,
        address,
        comp: random(16),
        epoch: 0,
        batch: undefined,
        ownerWrap: undefined,
        custodyWrap: random(60),
        sealed: random(80),
        leafIndex: index,
        current: true,
      },
    ])
    oids.push(oid)
    addresses.push(address)
  }

  await execute('log/open', { org: ORG, origin })
  for (let i = 0; i < versions / 2; i++) await addVersion()
  await anchor(0)
  const half = facts.size
  for (let i = 0; i < versions / 2; i++) await addVersion()
  await anchor(half)
  const text = blockLog.tiles.checkpoint()
  const line = cosign(
    parseNote(text).text,
    { name: 'witness.example', key: keyOf('witness') },
    START_MS / 1_000,
  )
  await blockLog.tiles.addCosignatures(formatNote({ text: parseNote(text).text, signatures: [line] }), [
    cosignerKey('witness.example', keyOf('witness').publicKey),
  ])
  const checkpoint = facts.checkpoint()

  custody.sql.close()
  await vault.close()
  await facts.close()
  await blockLog.close()
  store.close()
  return {
    folder,
    genesis,
    chainId,
    oids,
    addresses,
    checkpoint,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
