import { encodeTerms, grantArgs, sealForCustodian, signTermsLink } from '@salus/consent'
import { grantRow } from '@salus/consent/client'
import {
  AppError,
  type CborValue,
  concat,
  decode,
  encode,
  equal,
  readHeader,
  type SigningKey,
  signedMessage,
  signingKey,
  txIdOf,
  utf8,
} from '@salus/core'
import type { AppendFile, Disk } from '@salus/host'
import { linkKey } from '@salus/keys'
import { encodeBundle, type Item, signBody } from '@salus/ledger'
import type { NodeHost } from '@salus/node'
import { listOwnVersions, openOwnVersions, sealOwnEntry, storeOwnEntry } from '@salus/records/client'
import { type Connection, execute, itemJson, send, sendForJson, txStatus } from '@salus/sdk'
import { signOrgMessage } from '@salus/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  chartOf,
  draftFor,
  grantTo,
  HOSPITALS,
  SAMPLE_PATIENT,
  type Scenario,
  sessionAt,
  startScenario,
} from '../src/index.ts'
import { temporaryDir } from './temporary-dir.ts'

const MINUTE_MS = 60_000
const CBOR = 'application/cbor'

const { dir, remove } = temporaryDir()
let s: Scenario
/** While set, A's disk has no room. */
let full = false

beforeAll(async () => {
  const adapt = (org: string, host: NodeHost): NodeHost =>
    org === HOSPITALS.a ? { ...host, disk: thatFills(host.disk) } : host
  // One unit a second: what the story itself needs fits, a flood does not.
  s = await startScenario({ dir, adapt, params: { quotaUnitsPerSecond: 1, quotaBurstUnits: 1_500 } })
})

afterAll(async () => {
  await s.close()
  remove()
})

describe('transactions', () => {
  test('bodies that are refused before they are taken', async () => {
    const key = signingKey(s.context.random(32))
    const good = bodyOf(key)
    const changed = (change: (fields: Record<string, CborValue>) => void): Item => {
      const fields = { ...(decode(good.body) as Record<string, CborValue>) }
      change(fields)
      return signedItem(encode(fields), key)
    }
    const minutes = (count: number) => s.context.clock.now() + count * MINUTE_MS
    const cases: readonly [what: string, item: Item, code: string, field: RegExp][] = [
      ['malformed CBOR', signedItem(new Uint8Array([0xff, 0x00]), key), 'TX_REFUSED', /body/],
      ['bytes after the end', signedItem(concat(good.body, new Uint8Array([0])), key), 'TX_REFUSED', /body/],
      ['non-canonical: a longer form of 1', signedItem(longForm(good.body), key), 'TX_REFUSED', /body/],
      ['unknown member', changed((fields) => Object.assign(fields, { extra: 1 })), 'TX_REFUSED', /body/],
      ['unknown version', changed((fields) => Object.assign(fields, { v: 2 })), 'TX_REFUSED', /body|v:/],
      ['too big', { body: new Uint8Array(33 * 1024), auth: good.auth }, 'SCHEMA', /^body: /],
      [
        'wrong chain',
        changed((fields) => Object.assign(fields, { chain: s.context.random(32) })),
        'TX_REFUSED',
        /^tx: chain: /,
      ],
      ['expired', bodyOf(key, { untilMs: minutes(-1) }), 'TX_REFUSED', /^tx: until: /],
      ['valid for too long', bodyOf(key, { untilMs: minutes(20) }), 'TX_REFUSED', /^tx: until: /],
      ['no such call', bodyOf(key, { call: 'consent/nothing' }), 'TX_REFUSED', /^tx: call: /],
      ['arguments of another form', bodyOf(key, { args: { g: 'text' } }), 'TX_REFUSED', /^tx: args: /],
      [
        'wrong signer',
        { ...good, auth: signedItem(good.body, signingKey(s.context.random(32))).auth },
        'TX_REFUSED',
        /^tx: auth: /,
      ],
      ['signature missing', { ...good, auth: [] }, 'SCHEMA', /^auth: /],
      [
        'one signature too many',
        { ...good, auth: [...good.auth, ...good.auth] },
        'TX_REFUSED',
        /^tx: auth: /,
      ],
    ]
    const before = await counts(s.admin.a)
    for (const [what, item, code, field] of cases) {
      const refused = await refusalOf(sendForJson(s.at.a, 'POST', '/tx', { json: itemJson(item) }))
      expect({ what, code: refused.code }).toEqual({ what, code })
      expect({ what, detail: refused.message }).toEqual({ what, detail: expect.stringMatching(field) })
      expect((await txStatus(s.at.a, txIdOf(s.context.chainId, item.body))).state).toBe('unknown')
    }
    expect(await counts(s.admin.a)).toEqual(before)
  })

  test('the same body again runs once, whoever sponsors it', async () => {
    const grant = await grantTo(s, s.patient)
    const controller = signingKey(grant.draft.controller.seed)
    const next = signingKey(s.context.random(32))
    const body = {
      ...bodyParts(),
      call: 'consent/rotate',
      args: { g: grant.g, k2: next.publicKey },
      keys: [controller, next],
    }
    const item = signBody(body)
    const first = await execute(s.at.a, item)
    expect(await execute(s.at.a, item)).toEqual(first)
    await s.net.node(HOSPITALS.b).ledger.follower?.reached(first.height)
    const again = await refusalOf(sendForJson(s.at.b, 'POST', '/tx', { json: itemJson(item) }))
    expect(again).toMatchObject({ code: 'TX_REFUSED', message: expect.stringMatching(/already run; ask/) })
    expect(equal((await grantRow(s.at.a, grant.g))?.k ?? new Uint8Array(), next.publicKey)).toBe(true)
  })

  test('a key that does not control a grant changes nothing of it', async () => {
    const grant = await grantTo(s, s.patient)
    const item = bodyOf(signingKey(s.context.random(32)), { call: 'consent/revoke', args: { g: grant.g } })
    expect((await refusalOf(execute(s.at.a, item))).code).toBe('TX_REJECTED')
    const direct = await refusalOf(sendForJson(s.at.a, 'POST', '/revocations', { json: itemJson(item) }))
    expect(direct).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/^revoke: is not signed by the key/),
    })
    expect((await grantRow(s.at.a, grant.g))?.state).toBe('active')
    expect((await chartOf(s.clinician.b.connection, SAMPLE_PATIENT)).sources).toContainEqual({
      org: HOSPITALS.a,
      state: 'granted',
    })
  })

  test('terms whose text is not the one that the signer read are not taken', async () => {
    const { chainId, random } = s.context
    const mine = linkKey(s.patient.person.keyring, HOSPITALS.a)
    if (mine === undefined) throw new Error('she is enrolled')
    const draft = draftFor(s, s.patient)
    const terms = encodeTerms({ ...draft.terms, textHash: random(32) })
    const salt = random(32)
    const keys = [signingKey(draft.controller.seed)]
    await execute(
      s.at.a,
      signBody({ ...bodyParts(), call: 'consent/grant', args: grantArgs(terms, salt), keys }),
    )
    const a = s.net.node(HOSPITALS.a).organisation
    const link = { key: mine.publicKey, sig: signTermsLink(mine, chainId, terms) }
    const sealed = sealForCustodian(
      { v: 1, terms, salt, link },
      { to: a.seal.publicKey, chainId, g: draft.g, random },
    )
    const message = (payload: CborValue) =>
      signOrgMessage(
        { from: HOSPITALS.a, to: HOSPITALS.a, kind: 'grant', payload },
        { key: a.sign, chainId, clock: s.context.clock, random },
      )
    const body = message({ g: draft.g, role: 'custodian', sealed })
    const refused = await refusalOf(send(s.at.a, 'POST', '/org/grants', { raw: { type: CBOR, body } }))
    expect(refused).toMatchObject({ code: 'TEXT_MISMATCH', message: expect.stringMatching(/^textHash: /) })
    // A seal replayed under other terms opens nothing.
    const moved = message({ g: random(16), role: 'custodian', sealed })
    expect(
      (await refusalOf(send(s.at.a, 'POST', '/org/grants', { raw: { type: CBOR, body: moved } }))).code,
    ).toBe('OPEN_FAILED')
    // And the same message again counts once.
    expect((await refusalOf(send(s.at.a, 'POST', '/org/grants', { raw: { type: CBOR, body } }))).code).toBe(
      'CONFLICT',
    )
  })

  test('one bad body in a bundle fails alone', async () => {
    const [one, bad, two] = [newGrant(), newGrant(), newGrant()]
    const items = [one.item, { ...bad.item, auth: [new Uint8Array(64)] }, two.item]
    await bundle(items)
    await until(async () => (await grantRow(s.at.a, two.g)) !== undefined)
    expect((await grantRow(s.at.a, one.g))?.state).toBe('active')
    expect(await grantRow(s.at.a, bad.g)).toBeUndefined()
    // Its id is not burnt: the right one still runs.
    await execute(s.at.a, bad.item)
    expect((await grantRow(s.at.a, bad.g))?.state).toBe('active')
  })

  test('bundles that are refused: malformed, wrong signer, stranger, wrong chain, quota', async () => {
    const { item } = newGrant()
    const b = s.net.node(HOSPITALS.b).organisation
    const untilMs = s.context.clock.now() + 5 * MINUTE_MS
    const made = (change: { chain?: Uint8Array; sponsor?: string }, key: SigningKey = b.sign) =>
      encodeBundle(
        { chain: s.context.chainId, sponsor: HOSPITALS.b, until: untilMs, items: [item], ...change },
        key,
      )
    const stranger = signingKey(s.context.random(32))
    const before = await counts(s.admin.a)
    for (const [what, wire, told] of [
      ['malformed', new Uint8Array([0x82, 0x40]), /^bundle: /],
      ['cut short', made({}).slice(0, -9), /^bundle: /],
      ['wrong signer', made({}, stranger), /^bundle: is not signed by the sign key of hospital-b/],
      ['stranger', made({ sponsor: 'nobody' }, stranger), /^bundle: /],
      ['wrong chain', made({ chain: s.context.random(32) }), /^bundle: /],
    ] as const) {
      const refused = await refusalOf(
        send(s.at.a, 'POST', '/ledger/bundles', { raw: { type: CBOR, body: wire } }),
      )
      expect({ what, detail: refused.message }).toEqual({ what, detail: expect.stringMatching(told) })
    }
    const big = new Uint8Array(300 * 1024)
    const large = await refusalOf(send(s.at.a, 'POST', '/ledger/bundles', { raw: { type: CBOR, body: big } }))
    expect(large).toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringMatching(/^body: .*; send it in smaller parts/),
    })
    expect(await counts(s.admin.a)).toEqual(before)

    let refused: AppError | undefined
    for (let sent = 0; sent < 30 && refused === undefined; sent += 1) {
      const items = Array.from({ length: 60 }, () => newGrant().item)
      refused = (await bundle(items).catch((error: AppError) => error)) as AppError | undefined
    }
    expect(refused).toMatchObject({ code: 'QUOTA', message: expect.stringMatching(/quota.*later/) })
    // Time mends it.
    await s.net.advance(10 * MINUTE_MS)
    await bundle([newGrant().item])
  })
})

describe('envelopes', () => {
  test('another suite is refused at the door; changed chunks, commitments and wraps do not open', async () => {
    const session = sessionAt(s.patient, 'a')
    const { keyring } = s.patient.person
    const { chainId, random } = s.context
    const entry = () => ({
      record: random(16),
      recordId: 'Observation/at-home',
      version: 1,
      json: utf8(JSON.stringify({ resourceType: 'Observation', note: [{ text: 'x'.repeat(1_200_000) }] })),
    })
    const seal = () => sealOwnEntry(entry(), { keyring, chainId, random })
    const before = await counts(s.admin.a)
    const other = seal()
    const refused = await refusalOf(
      storeOwnEntry(session, { ...other, object: withHeader(other.object, { suite: 2 }) }),
    )
    expect(refused).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^header\.suite: .*; update/),
    })
    const broken = await refusalOf(storeOwnEntry(session, { ...other, object: other.object.slice(1) }))
    expect(broken).toMatchObject({ code: 'OBJECT', message: expect.stringMatching(/^header: /) })
    expect(await counts(s.admin.a)).toEqual(before)

    const stored = async (change: (object: Uint8Array) => Uint8Array, wrap?: Uint8Array): Promise<string> => {
      const form = seal()
      const object = change(form.object)
      await storeOwnEntry(session, { ...form, object, ...(wrap === undefined ? {} : { wrap }) })
      const { oid } = readHeader(object).header
      const versions = (await listOwnVersions(session)).filter((version) => equal(version.oid, oid))
      expect(versions).toHaveLength(1)
      try {
        await openOwnVersions(session, { keyring, chainId, versions })
        return 'opened'
      } catch (error) {
        return codeOf(error)
      }
    }
    expect(await stored((object) => object)).toBe('opened')
    expect(await stored((object) => object.slice(0, -1))).toBe('OPEN_FAILED')
    expect(
      await stored((object) =>
        chunks(object, ([first, ...rest]) => [first as Uint8Array, ...rest.slice(0, -1)]),
      ),
    ).toBe('OPEN_FAILED')
    expect(
      await stored((object) =>
        chunks(object, ([x, y, ...rest]) => [y as Uint8Array, x as Uint8Array, ...rest]),
      ),
    ).toBe('OPEN_FAILED')
    expect(
      await stored((object) => chunks(object, ([x, ...rest]) => [x as Uint8Array, x as Uint8Array, ...rest])),
    ).toBe('OPEN_FAILED')
    expect(await stored((object) => withHeader(object, { keyCommit: random(32) }))).toBe('OPEN_FAILED')
    expect(await stored((object) => object, seal().wrap)).toBe('OPEN_FAILED')
  })
})

describe('FHIR', () => {
  const observation = (change: Record<string, unknown> = {}) => ({
    resourceType: 'Observation',
    id: 'bad-1',
    status: 'final',
    code: { text: 'Test' },
    subject: { reference: SAMPLE_PATIENT },
    ...change,
  })

  test('each file that is refused names its entry, the rule and the mend, and leaves nothing', async () => {
    const deep = `${'{"extension":['.repeat(80)}{}${']}'.repeat(80)}`
    const cases: readonly [what: string, text: string, code: RegExp, told: RegExp][] = [
      ['not JSON', '{"resourceType": Observation}', /JSON/, /JSON/],
      [
        'two members of one name',
        '{"resourceType":"Basic","id":"x","id":"y","code":{}}',
        /DUPLICATE_MEMBER/,
        /Keep one/,
      ],
      ['nested too deep', `{"resourceType":"Basic","code":{},"extension":[${deep}]}`, /DEEP/, /Flatten/],
      [
        'too big',
        JSON.stringify(observation({ note: [{ text: 'x'.repeat(5_400_000) }] })),
        /BIG|LARGE/,
        /Split|larger/,
      ],
      ['unknown type', JSON.stringify({ resourceType: 'Obzervation', id: 'x' }), /TYPE/, /Obzervation|type/],
      ['no type', JSON.stringify({ id: 'x' }), /TYPE|JSON|RESOURCE/, /resourceType/],
      ['wrong required code', JSON.stringify(observation({ status: 'finished' })), /CODE|INVALID/, /status/],
      ['missing required element', JSON.stringify(observation({ code: undefined })), /./, /code/],
      ['wrong type of value', JSON.stringify(observation({ valueInteger: 'five' })), /./, /value/],
    ]
    const before = await counts(s.admin.a)
    for (const [what, text, code, told] of cases) {
      const report = (await importFile(text)) as Report
      const [first] = report.rejected
      expect({ what, imported: report.imported, rejected: report.rejected.length }).toEqual({
        what,
        imported: 0,
        rejected: 1,
      })
      expect({ what, code: first?.code }).toEqual({ what, code: expect.stringMatching(code) })
      expect({ what, message: first?.message }).toEqual({ what, message: expect.stringMatching(told) })
    }
    expect(await counts(s.admin.a)).toEqual(before)
  })

  test('a record never moves to another patient, and one bad line leaves the others', async () => {
    const other = { resourceType: 'Patient', id: 'bad-other', name: [{ family: 'Else' }] }
    const hers = observation({ id: 'moves' })
    const lines = [other, hers].map((line) => JSON.stringify(line)).join('\n')
    expect((await importFile(lines)).imported).toBe(2)
    const before = await counts(s.admin.a)
    const moved = { ...hers, subject: { reference: 'Patient/bad-other' }, status: 'amended' }
    const report = await importFile(JSON.stringify(moved))
    expect(report.rejected[0]).toMatchObject({
      code: 'OTHER_PATIENT',
      type: 'Observation',
      id: 'moves',
      message: expect.stringMatching(/^subject: .*use a new id/),
    })
    const overHttp = await refusalOf(
      sendForJson(s.clinician.a.connection, 'PUT', '/fhir/Observation/moves', {
        raw: { type: 'application/fhir+json', body: JSON.stringify(moved) },
      }),
    )
    expect(overHttp.code).toMatch(/^FHIR_/)
    expect(await counts(s.admin.a)).toEqual(before)
    const mixed = [observation({ id: 'fine' }), observation({ id: 'not-fine', status: 'x' })]
    const both = await importFile(mixed.map((line) => JSON.stringify(line)).join('\n'))
    expect(both).toMatchObject({ imported: 1, rejected: [{ id: 'not-fine', entry: 1 }] })
  })

  test('requests whose body is not what the route takes', async () => {
    for (const [path, body, code] of [
      ['/staff', '{', 'BAD_REQUEST'],
      ['/staff', '{"name":"x"}', 'SCHEMA'],
      ['/staff', '{"name":"x","roles":["king"]}', 'SCHEMA'],
      ['/staff', '{"name":"x","roles":["admin"],"extra":1}', 'SCHEMA'],
      ['/staff', '[]', 'SCHEMA'],
      ['/staff', `{"name":"${'x'.repeat(300_000)}","roles":["admin"]}`, 'TOO_LARGE'],
    ] as const) {
      const refused = await refusalOf(
        send(s.admin.a, 'POST', path, { raw: { type: 'application/json', body } }),
      )
      expect({ body: body.slice(0, 40), code: refused.code }).toEqual({ body: body.slice(0, 40), code })
      expect(refused.message).toMatch(/^[\w.[\]]+: ./)
    }
  })
})

describe('full disk', () => {
  test('nothing half-written, nothing opened unlogged, and all goes on when there is room', async () => {
    const line = JSON.stringify({
      resourceType: 'Condition',
      id: 'when-there-is-room',
      code: { text: 'x' },
      subject: { reference: SAMPLE_PATIENT },
    })
    const before = await counts(s.admin.a)
    full = true
    try {
      const refused = await refusalOf(
        sendForJson(s.admin.a, 'POST', '/import?name=x.ndjson', {
          raw: { type: 'application/fhir+ndjson', body: line },
        }),
      )
      expect(refused).toMatchObject({ code: 'DISK_FULL', data: { status: 507 } })
      expect((await refusalOf(chartOf(s.clinician.a.connection, SAMPLE_PATIENT))).code).toBe('DISK_FULL')
      const { versions, owners, events } = await counts(s.admin.a)
      expect({ versions, owners, events }).toEqual({
        versions: before.versions,
        owners: before.owners,
        events: before.events,
      })
    } finally {
      full = false
    }
    expect((await importFile(line)).imported).toBe(1)
    const chart = await chartOf(s.clinician.a.connection, SAMPLE_PATIENT)
    expect(chart.entries.some(({ resource }) => resource.id === 'when-there-is-room')).toBe(true)
  })
})

interface Report {
  readonly imported: number
  readonly rejected: readonly { code: string; message: string; entry: number; id: string; type: string }[]
}

async function importFile(text: string): Promise<Report> {
  const name = text.includes('\n') ? 'bad.ndjson' : 'bad.json'
  return (await sendForJson(s.admin.a, 'POST', `/import?name=${name}`, {
    raw: { type: 'application/fhir+json', body: text },
  })) as Report
}

/** What must not change: counts of everything kept, apart from time going on and the log of the attempt itself. */
async function counts(admin: Connection) {
  const { versions, owners, objects, events } = (await sendForJson(admin, 'GET', '/figures')) as Record<
    string,
    number
  >
  return { versions, owners, objects, events }
}

async function refusalOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it was not refused')
}

function bodyParts() {
  const { chainId, random, clock } = s.context
  return { chainId, random, untilMs: clock.now() + 5 * MINUTE_MS }
}

function bodyOf(
  key: SigningKey,
  change: Partial<Pick<Parameters<typeof signBody>[0], 'call' | 'args' | 'untilMs'>> = {},
) {
  const args = { g: s.context.random(16) }
  return signBody({ ...bodyParts(), call: 'consent/revoke', args, keys: [key], ...change })
}

function signedItem(body: Uint8Array, key: SigningKey): Item {
  return { body, auth: [key.sign(signedMessage('tx', s.context.chainId, body))] }
}

/** A grant of nobody's records: its terms are noise, which the ledger cannot tell. */
function newGrant() {
  const key = signingKey(s.context.random(32))
  const draft = draftFor(s, s.patient)
  const controller = signingKey(draft.controller.seed)
  const { g } = draft
  const na = Math.ceil((s.context.clock.now() + 60 * MINUTE_MS) / (60 * MINUTE_MS)) * 60 * MINUTE_MS
  const args = { g, c: key.publicKey, k: controller.publicKey, na }
  return { g, item: signBody({ ...bodyParts(), call: 'consent/grant', args, keys: [controller] }) }
}

async function bundle(items: readonly Item[]): Promise<void> {
  const { organisation } = s.net.node(HOSPITALS.b)
  const until = s.context.clock.now() + 5 * MINUTE_MS
  const wire = encodeBundle(
    { chain: s.context.chainId, sponsor: HOSPITALS.b, until, items },
    organisation.sign,
  )
  await send(s.at.a, 'POST', '/ledger/bundles', { raw: { type: CBOR, body: wire } })
  await s.net.advance(1)
}

/** The same map with its version written in two bytes: a value that decodes alike and is not canonical. */
function longForm(body: Uint8Array): Uint8Array {
  const at = body.findIndex(
    (byte, index) => byte === 0x61 && body[index + 1] === 0x76 && body[index + 2] === 0x01,
  )
  if (at < 0) throw new Error('the body has its version')
  return concat(body.subarray(0, at + 2), new Uint8Array([0x18, 0x01]), body.subarray(at + 3))
}

function withHeader(object: Uint8Array, change: Record<string, CborValue>): Uint8Array {
  const { headerBytes, ciphertext } = readHeader(object)
  return concat(encode({ ...(decode(headerBytes) as Record<string, CborValue>), ...change }), ciphertext)
}

/** The object with its chunks put together otherwise: after the header and 7 random bytes, 64 KiB and a tag each. */
function chunks(object: Uint8Array, arrange: (chunks: Uint8Array[]) => Uint8Array[]): Uint8Array {
  const { headerBytes, ciphertext } = readHeader(object)
  const size = 64 * 1024 + 16
  const parts: Uint8Array[] = []
  for (let at = 7; at < ciphertext.length; at += size) parts.push(ciphertext.subarray(at, at + size))
  return concat(headerBytes, ciphertext.subarray(0, 7), ...arrange(parts))
}

/** A disk that refuses to grow while `full` is set. */
function thatFills(disk: Disk): Disk {
  const room = (): void => {
    if (full) throw new AppError('DISK_FULL', 'no space left on the disk; free some and try again')
  }
  return {
    read: (path) => disk.read(path),
    readRange: (path, offset, length) => disk.readRange(path, offset, length),
    async write(path, bytes) {
      room()
      return disk.write(path, bytes)
    },
    async openAppend(path) {
      const file = await disk.openAppend(path)
      const grown: AppendFile = {
        get size() {
          return file.size
        },
        async append(bytes) {
          room()
          return file.append(bytes)
        },
        sync: () => file.sync(),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      }
      return grown
    },
    overwrite: (path, offset, bytes) => disk.overwrite(path, offset, bytes),
    list: (path) => disk.list(path),
    stat: (path) => disk.stat(path),
    remove: (path) => disk.remove(path),
    makeDir: (path) => disk.makeDir(path),
    rename: (from, to) => disk.rename(from, to),
    lock: (path) => disk.lock(path),
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof AppError)) throw error
  return error.code
}

async function until(look: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await look()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it did not come')
}
