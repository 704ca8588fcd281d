import {
  type CborValue,
  decode,
  encode,
  encodeVersion,
  equal,
  inclusionProof,
  leafHash,
  merkleRoot,
  type Random,
  type SigningKey,
  sealObject,
  sha256,
  signCheckpoint,
  toHex,
  utf8,
} from '@salus/core'
import type { Labels, SearchParameter } from '../src/decision.ts'
import type { CustodyVersion, RecordSource } from '../src/record-source.ts'
import { openingLeaf } from '../src/release-reply.ts'
import type { ReleaseEvent } from '../src/service/grantee.ts'
import type { Access, AccessLog, LoggedAccess } from '../src/service/ports.ts'
import { sampleLabels } from './sample.ts'

/** An organisation's records: real objects, labels as given. */
export class FakeRecords implements RecordSource {
  readonly objects = new Map<string, Uint8Array>()
  readonly opened: string[] = []
  readonly #random: Random
  readonly #held: { held: CustodyVersion; dek: Uint8Array; json: Uint8Array; directory: boolean }[] = []
  /** What a search finds and reads; the sources' own search is not what is tested. */
  found: { recordIds: readonly string[]; parameters: readonly SearchParameter[] } | Error = {
    recordIds: [],
    parameters: [],
  }

  constructor(random: Random) {
    this.#random = random
  }

  add(
    owner: Uint8Array,
    resource: { readonly resourceType: string; readonly id: string } & Record<string, unknown>,
    labels: Partial<Labels> = {},
    directory = false,
  ): CustodyVersion {
    const recordId = `${resource.resourceType}/${resource.id}`
    const json = utf8(JSON.stringify(resource))
    const oid = this.#random(16)
    const dek = this.#random(32)
    const object = sealObject({
      oid,
      dek,
      comp: this.#random(16),
      epoch: 1,
      plaintext: encodeVersion({ recordId, version: 1, prev: null, json }),
      random: this.#random,
    })
    const address = sha256(object)
    this.objects.set(toHex(address), object)
    const held = {
      oid,
      address,
      version: 1,
      labels: sampleLabels({ recordId, type: resource.resourceType, owner: toHex(owner), ...labels }),
    }
    this.#held.push({ held, dek, json, directory })
    return held
  }

  byOids(owner: Uint8Array, oids: readonly Uint8Array[]): CustodyVersion[] {
    return this.current(owner).filter(({ oid }) => oids.some((wanted) => equal(wanted, oid)))
  }

  current(owner: Uint8Array): CustodyVersion[] {
    return this.#held.map(({ held }) => held).filter(({ labels }) => labels.owner === toHex(owner))
  }

  async search(owner: Uint8Array) {
    const { found } = this
    if (found instanceof Error) throw found
    const versions = this.current(owner).filter(({ labels }) => found.recordIds.includes(labels.recordId))
    return { versions, parameters: found.parameters }
  }

  byRecordId(recordId: string) {
    const found = this.#held.find(({ held }) => held.labels.recordId === recordId)
    return found && { directory: found.directory, held: found.held }
  }

  async open(oid: Uint8Array) {
    const found = this.#held.find(({ held }) => equal(held.oid, oid))
    if (found === undefined) throw new Error('open: unknown')
    this.opened.push(found.held.labels.recordId)
    return { dek: Uint8Array.from(found.dek), json: Uint8Array.from(found.json) }
  }
}

/** A log with real leaves, proofs and checkpoints; events are small forms in place of AuditEvents. */
export class FakeAccessLog implements AccessLog {
  readonly events: Access[] = []
  /** Called after the leaf is written and before whoever logs goes on. */
  onRecord: (access: Access) => void = () => undefined
  readonly #leaves: Uint8Array[] = []
  readonly #origin: string
  readonly #key: SigningKey
  readonly #random: Random

  constructor(origin: string, key: SigningKey, random: Random) {
    this.#origin = origin
    this.#key = key
    this.#random = random
  }

  of(kind: Access['kind']): Access[] {
    return this.events.filter((event) => event.kind === kind)
  }

  async record(access: Access): Promise<LoggedAccess> {
    const eventId = this.#random(16)
    const salt = this.#random(32)
    const event = eventBytes(access)
    this.events.push(access)
    const leafIndex = this.#leaves.length
    this.#leaves.push(openingLeaf({ eventId, event, salt }))
    const checkpoint = signCheckpoint(
      { origin: this.#origin, size: this.#leaves.length, root: merkleRoot(this.#leaves) },
      [{ name: this.#origin, key: this.#key }],
    )
    const proof = inclusionProof(this.#leaves.map(leafHash), leafIndex)
    this.onRecord(access)
    return { eventId, event, salt, leafIndex, proof, checkpoint }
  }
}

function eventBytes({ requestHash, emergency, versions }: Access): Uint8Array {
  return encode({
    requestHash: requestHash ?? emergency?.requestHash ?? null,
    versions: versions.map((version) => ({ ...version })) as CborValue[],
  })
}

export function readFakeEvent(event: Uint8Array): ReleaseEvent | undefined {
  const read = decode(event) as unknown as ReleaseEvent
  return read.requestHash === null ? undefined : read
}
