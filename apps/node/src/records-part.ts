import { decode, type SignedForm, tuple } from '@salus/core'
import type { OwnerDirectory, RegisteredOwner } from '@salus/identity/service'
import { cardEntry, openWriteCard, type WriteCard } from '@salus/keys'
import {
  type CompartmentTarget,
  CustodyRecordSource,
  CustodyStore,
  Ingest,
  type OwnerRow,
  PatientSearch,
  RecordReader,
  ridOf,
  TokenIndex,
  wrapForOwner,
} from '@salus/records'
import type { FactLog } from './fact-log.ts'
import type { NodeHost } from './host.ts'
import type { Organisation } from './organisation.ts'
import type { KeystoreOwnerKeys } from './owner-keys.ts'
import type { Stores } from './stores.ts'

/** Records of one node. */
export interface RecordsPart {
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly reader: RecordReader
  readonly search: PatientSearch
  readonly ingest: Ingest
  readonly source: CustodyRecordSource
  readonly owners: OwnerDirectory
  /** The public key to seal to for an enrolled owner's compartment. */
  target(owner: OwnerRow, compartment: Parameters<typeof cardEntry>[1]): CompartmentTarget | undefined
  /** Where events go that concern no patient. */
  readonly organisationOwner: Uint8Array
}

export async function openRecordsPart(parts: {
  readonly host: NodeHost
  readonly stores: Stores
  readonly organisation: Organisation
  readonly keys: KeystoreOwnerKeys
  readonly factLog: FactLog
  readonly chainId: Uint8Array
}): Promise<RecordsPart> {
  const { host, stores, organisation, keys, factLog, chainId } = parts
  const { clock, random } = host
  const { ridKey } = organisation
  const custody = new CustodyStore(stores.custody)
  const index = new TokenIndex(stores.index)
  const reader = new RecordReader({ vault: stores.vault, keys })
  const search = new PatientSearch({ custody, index, keys, reader })
  const target = (
    owner: OwnerRow,
    compartment: Parameters<typeof cardEntry>[1],
  ): CompartmentTarget | undefined => {
    const card = cardOf(owner)
    const entry = card === undefined ? undefined : cardEntry(card, compartment)
    return entry === undefined ? undefined : { comp: entry.comp, epoch: entry.epoch, publicKey: entry.pk }
  }
  const cards = new Map<string, WriteCard>()
  const cardOf = (owner: OwnerRow): WriteCard | undefined => {
    if (owner.card === undefined || owner.linkKey === undefined) return undefined
    const name = owner.card.join()
    const known = cards.get(name)
    const card = known ?? openCard(owner.card, owner.linkKey)
    if (known === undefined) {
      cards.clear()
      cards.set(name, card)
    }
    // A card that ended seals nothing more for her; the custody wrap still keeps the record readable here.
    return clock.now() < card.until ? card : undefined
  }
  const openCard = (bytes: Uint8Array, linkKey: Uint8Array): WriteCard =>
    openWriteCard(signedFrom(bytes), { linkKey, chainId, org: organisation.org, nowMs: 0 })

  const ingest = new Ingest({
    custody,
    index,
    vault: stores.vault,
    log: factLog,
    keys,
    ridKey,
    chainId,
    clock,
    random,
    workers: host.prepareWorkers,
    target,
  })
  const organisationOwner = await ensureOwner(custody, keys, ridOf(ridKey, '~organisation'), random)
  const source = new CustodyRecordSource({ custody, reader, search, ridKey })
  const owners: OwnerDirectory = {
    findPatient: (recordId) => registered(custody.ownerByRid(ridOf(ridKey, recordId))),
    byOwner: (owner) => registered(custody.owner(owner)),
    byLinkKey: (linkKey) => registered(custody.ownerByLinkKey(linkKey)),
    bySub: (sub) => registered(custody.ownerBySub(sub)),
    async addOwner() {
      const owner = random(16)
      await keys.ensure([owner])
      custody.addOwner({ owner, rid: random(16), kind: 'patient', status: 'unclaimed' })
      return registered(custody.owner(owner)) as RegisteredOwner
    },
    setLink: (owner, link) => custody.setLink(owner, link),
    setStatus: (owner, status) => custody.setStatus(owner, status),
    async setCard(owner, card, { rewrapEverything }) {
      const before = custody.owner(owner)
      if (before?.linkKey === undefined) return 0
      openWriteCard(card, { linkKey: before.linkKey, chainId, org: organisation.org, nowMs: clock.now() })
      custody.setCard(owner, tuple(card.bytes, card.sig))
      const row = custody.owner(owner) as OwnerRow
      return wrapForOwner({ custody, reader, chainId, random, target }, row, { everything: rewrapEverything })
    },
  }
  return { custody, index, reader, search, ingest, source, owners, organisationOwner, target }
}

async function ensureOwner(
  custody: CustodyStore,
  keys: KeystoreOwnerKeys,
  rid: Uint8Array,
  random: NodeHost['random'],
): Promise<Uint8Array> {
  const known = custody.ownerByRid(rid)
  if (known !== undefined) return known.owner
  const owner = random(16)
  await keys.ensure([owner])
  custody.addOwner({ owner, rid, kind: 'organisation', status: 'unclaimed' })
  return owner
}

function registered(row: OwnerRow | undefined): RegisteredOwner | undefined {
  if (row === undefined || row.kind !== 'patient') return undefined
  return { owner: row.owner, linkKey: row.linkKey, sub: row.sub, status: row.status }
}

function signedFrom(bytes: Uint8Array): SignedForm {
  const [form, sig] = decode(bytes) as readonly [Uint8Array, Uint8Array]
  return { bytes: form, sig }
}
