import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { equal, fromHex, fromJson, sha256 } from '@salus/core'
import { systemClock, systemDisk, systemNetwork, systemRandom } from '@salus/host/system'
import { chainIdOf, decodeGenesis, memberForm } from '@salus/ledger'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Io, run } from '../src/main.ts'

let dir: string
let url: string
let stop = () => {}
let running: Promise<number>
let started: { url: string; genesisId: string; adminToken?: string }

const HOUR_MS = 3_600_000

/** A line on this machine, in the test's folder, with the real network. */
async function line(
  argv: readonly string[],
  more: Partial<Io> = {},
): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await run(argv, {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    env: {},
    cwd: dir,
    clock: systemClock(),
    random: systemRandom,
    network: systemNetwork(),
    disk: systemDisk,
    stopped: () => Promise.resolve(),
    ...more,
  })
  return { code, out, err }
}
const json = async (...argv: string[]) => {
  const { code, out, err } = await line([...argv, '--json'])
  return { code, err, document: JSON.parse(out) }
}

async function start(): Promise<typeof started> {
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  return new Promise((resolve, reject) => {
    running = line(['node', 'start', '--port', '0', '--json'], {
      stopped: () => stopped,
      out: (text) => resolve(JSON.parse(text)),
    }).then(({ code, err }) => {
      reject(new Error(err))
      return code
    })
  })
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'salus-node-'))
  const made = await line([
    'node',
    'init',
    '--org',
    'st-anna',
    '--name',
    'St Anna',
    '--found',
    'Region',
    '--data-dir',
    'anna',
  ])
  expect([made.code, made.err]).toEqual([0, ''])
  started = await start()
  url = started.url
})
afterAll(async () => {
  stop()
  await running
  rmSync(dir, { recursive: true, force: true })
})

test('init makes keys, a card, settings and a genesis; the root key lies outside and is the owner’s alone', () => {
  const genesis = readFileSync(join(dir, 'genesis.cbor'))
  const card = fromJson(memberForm, JSON.parse(readFileSync(join(dir, 'anna.card.json'), 'utf8')))
  const { members, operator, name } = decodeGenesis(genesis)
  expect([name, operator, members.map(({ org }) => org)]).toEqual(['Region', 'st-anna', ['st-anna']])
  expect(equal(members[0]?.sign ?? new Uint8Array(), card.sign)).toBe(true)
  expect(equal(chainIdOf(genesis), fromHex(started.genesisId))).toBe(true)
  expect(statSync(join(dir, 'anna-keys/root')).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(join(dir, 'salus.json'), 'utf8'))).toMatchObject({ org: 'st-anna' })
})

test('a network is founded once', async () => {
  const again = await line(['node', 'init', '--org', 'st-anna', '--name', 'x', '--found', 'Region'])
  expect([again.code, again.err]).toEqual([1, expect.stringMatching(/^salus node init: FILE_EXISTS: /)])
})

test('the admin token is shown at the first start', () => {
  expect(started.adminToken).toMatch(/^[\w-]{43}$/)
})

describe('calls and queries come from the contracts’ schemas', () => {
  test('a call is built unsigned, signed with a key file, sent, and found on the ledger', async () => {
    const made = await json('key', 'new', 'grant.key')
    const key = made.document.publicKey as string
    const g = Buffer.from(sha256(fromHex(key)))
      .toString('hex')
      .slice(0, 32)
    const na = String((Math.floor(systemClock().now() / HOUR_MS) + 2) * HOUR_MS)
    const fields = ['--g', g, '--c', '11'.repeat(32), '--k', key, '--na', na]
    const unsigned = await json(
      'call',
      'consent',
      'grant',
      ...fields,
      '--public',
      key,
      '--genesis',
      started.genesisId,
    )
    expect(unsigned.document).toMatchObject({ ok: true, call: 'consent/grant', body: expect.any(String) })
    expect(unsigned.document.auth).toBeUndefined()
    const sent = await json(
      'call',
      'consent',
      'grant',
      ...fields,
      '--key',
      'grant.key',
      '--node',
      url,
      '--send',
    )
    expect([sent.code, sent.document]).toMatchObject([0, { state: 'final', index: 0 }])
    const shown = await json('grant', 'show', g, '--node', url)
    expect([shown.code, shown.document]).toMatchObject([
      0,
      { ok: true, g, grant: { state: 'active', na: Number(na) } },
    ])
    const asked = await json('query', 'consent', 'grant', '--g', g, '--node', url)
    expect(asked.document.answer).toEqual(shown.document.grant)
    // The same grant again: the ledger says no, by name.
    const twice = await line([
      'call',
      'consent',
      'grant',
      ...fields,
      '--key',
      'grant.key',
      '--node',
      url,
      '--send',
    ])
    expect([twice.code, twice.err]).toEqual([1, expect.stringMatching(/^salus call: TX_REJECTED: /)])
  })

  test('what is wrong names the field, the rule and the choices', async () => {
    for (const [argv, message] of [
      [['call'], /^CONTRACT: must be one of governance, /],
      [['call', 'consent', 'gossip'], /^CALL “gossip”: consent has grant, /],
      [['call', 'consent', 'revoke', '--public', '00'.repeat(32)], /^--g: is needed/],
      [
        ['call', 'consent', 'revoke', '--g', 'xyz', '--public', '00'.repeat(32)],
        /^--g: must be 16 bytes in hex or base64url/,
      ],
      [['call', 'consent', 'revoke', '--g', '00'.repeat(16)], /^--key or --public: /],
      [['query', 'consent', 'nothing', '--node', url], /^QUERY: consent has grant/],
      [['query', 'governance', 'members'], /^--node: is needed/],
    ] as const) {
      const { code, out, err } = await line(argv)
      expect([code, out, err.replace(/^salus \w+: USAGE: /, '')]).toEqual([
        2,
        '',
        expect.stringMatching(message),
      ])
    }
  })

  test('the fields of a call stand on its help page', async () => {
    const { out } = await line(['call', 'consent', 'revoke', '--help'])
    expect(out).toMatch(/--g BYTES +Grant.*16 B/)
  })
})

test('keys of a node, and of a card, are the same; its logs verify under them', async () => {
  const ofNode = await json('key', 'show', url)
  const ofCard = await json('key', 'show', 'anna.card.json', '--genesis', started.genesisId)
  expect(ofNode.document.keys).toEqual(ofCard.document.keys)
  const verified = await json(
    'log',
    'verify',
    'anna/ledger/blocks',
    '--key',
    ofNode.document.keys['block log'],
  )
  expect([verified.code, verified.document]).toMatchObject([0, { ok: true, problems: [] }])
  const wrong = await json('log', 'verify', 'anna/ledger/blocks', '--key', ofNode.document.keys['fact log'])
  expect([wrong.code, wrong.document]).toMatchObject([1, { ok: false }])
})

test('records are refused to a stranger, in one line with the node’s own code', async () => {
  for (const argv of [
    ['record', 'read', 'Observation/1'],
    ['record', 'list', 'Observation'],
    ['grant', 'list'],
  ]) {
    const { code, out, err } = await line([...argv, '--node', url])
    expect([code, out, err.split('\n').length], argv.join(' ')).toEqual([1, '', 2])
  }
  const bad = await line(['record', 'read', '../../etc/passwd', '--node', url])
  expect([bad.code, bad.err]).toEqual([2, expect.stringContaining('TYPE/ID: must be a FHIR reference')])
})

test('a root key in a file does not serve a network, unless it was agreed to by name', async () => {
  const open = await line([
    'node',
    'start',
    '--address',
    '0.0.0.0',
    '--data-dir',
    'other',
    '--genesis-file',
    'genesis.cbor',
  ])
  expect([open.code, open.err]).toEqual([1, expect.stringMatching(/^salus node start: ROOT_PROVIDER_WEAK: /)])
})

test('stopped, backed up, restored and audited; at the next start no other first admin is made', async () => {
  const locked = await line(['backup', 'anna', 'early'])
  expect([locked.code, locked.err.split('\n').at(-2)]).toEqual([1, expect.stringContaining('DISK_LOCKED')])
  stop()
  expect(await running).toBe(0)
  const made = await json('backup', 'anna', 'bk', '--keys', 'anna.keys')
  expect([made.code, made.document]).toMatchObject([0, { ok: true, org: 'st-anna' }])
  const restored = await json(
    'restore',
    'bk',
    'anna-2',
    '--keys',
    'anna.keys',
    '--root-file',
    'anna-keys/root',
  )
  expect([restored.code, restored.document]).toMatchObject([0, { ok: true, org: 'st-anna', removed: 0 }])
  const audited = await json('audit', 'anna-2', '--quiet', '--genesis', started.genesisId)
  expect([audited.code, audited.document.findings]).toEqual([0, []])

  const second = await start()
  expect(second.adminToken).toBeUndefined()
})

test('a backup with one changed byte, without a manifest or for another root key is refused, and leaves nothing', async () => {
  const file = join(dir, 'bk/ledger/blocks/entries')
  const bytes = readFileSync(file)
  bytes[10] = (bytes[10] ?? 0) ^ 1
  writeFileSync(file, bytes)
  const changed = await line([
    'restore',
    'bk',
    'anna-3',
    '--keys',
    'anna.keys',
    '--root-file',
    'anna-keys/root',
  ])
  expect([changed.code, changed.err]).toEqual([
    1,
    expect.stringContaining('bk/ledger/blocks/entries: is not what was backed up'),
  ])
  const noRoot = await line(['restore', 'bk', 'anna-3', '--keys', 'anna.keys', '--root-file', 'nowhere/root'])
  expect([noRoot.code, noRoot.err]).toEqual([1, expect.stringContaining('ROOT_KEY_MISSING')])
  rmSync(join(dir, 'bk/manifest.json'))
  const unfinished = await line([
    'restore',
    'bk',
    'anna-3',
    '--keys',
    'anna.keys',
    '--root-file',
    'anna-keys/root',
  ])
  expect([unfinished.code, unfinished.err]).toEqual([1, expect.stringContaining('so it is no backup')])
  expect(await systemDisk(dir).list('')).not.toContain('anna-3/')
  expect(await systemDisk(dir).list('')).not.toContain('anna-3.restoring/')
})

describe('config', () => {
  test('flags before environment before file before defaults, each with its source', async () => {
    writeFileSync(join(dir, 'c.json'), '{"org": "x", "port": 1, "address": "10.0.0.1", "dataDir": "stores"}')
    const { out } = await line(['config', '--config', 'c.json', '--port', '3', '--json'], {
      env: { SALUS_ADDRESS: '10.0.0.2', SALUS_PASSPHRASE: 'not to be seen' },
    })
    expect(out).not.toContain('not to be seen')
    const { settings, passphrase } = JSON.parse(out)
    expect(passphrase).toBe('set')
    const by = Object.fromEntries(
      settings.map(({ name, value, source }: Record<string, string>) => [name, `${value} ← ${source}`]),
    )
    expect(by).toMatchObject({
      org: 'x ← file c.json',
      port: '3 ← flag --port',
      address: '10.0.0.2 ← environment SALUS_ADDRESS',
      dataDir: `${dir}/stores ← file c.json`,
      threads: '2 ← default',
      rootFile: `${dir}/stores-keys/root ← default`,
    })
  })

  test('a member that is no setting, or a value out of bounds, is refused by name', async () => {
    writeFileSync(join(dir, 'bad.json'), '{"prot": 1}')
    expect((await line(['config', '--config', 'bad.json'])).err).toMatch(
      /^salus config: CONFIG: bad.json: “prot” is no setting; there are org, /,
    )
    expect((await line(['config', '--port', '99999'])).err).toBe(
      'salus config: CONFIG: port (flag --port): must be a whole number up to 65535\n',
    )
    expect((await line(['config', '--config', 'absent.json'])).err).toMatch(/FILE_NOT_FOUND/)
  })
})
