import { AppError, type SignedForm, sealKeyPair, toHex, verifierKey } from '@salus/core'
import { type AdjustableClock, manualClock, seededRandom } from '@salus/host'
import { memorySql } from '@salus/host/system'
import { signBody } from '@salus/ledger'
import type { ReleaseRequest } from '../src/release-request.ts'
import {
  Custodian,
  type CustodianTransport,
  Delegations,
  Grantee,
  GrantStore,
  Leases,
  type LinkRegistry,
} from '../src/service/index.ts'
import { encodeTerms, type Terms } from '../src/terms.ts'
import { grantArgs, sealForCustodian, sealForGrantee, signTermsLink } from '../src/terms-link.ts'
import { FakeLedger } from './fake-ledger.ts'
import { FakeAccessLog, FakeRecords, readFakeEvent } from './fake-stores.ts'
import { chainId, controller, fixed, keyOf, linkKey, NOON, salt, sampleTerms } from './sample.ts'

export const A = 'hospital-a'
export const B = 'hospital-b'
export const ownerAtA = fixed('owner at a').slice(0, 16)
export const ownerAtB = fixed('owner at b').slice(0, 16)
export const clinician = { practitioner: 'p-17', unit: 'cardiology', credential: fixed('credential') }

/** One organisation's own keys, stores and registries. */
export function house(org: string, clock: AdjustableClock) {
  const random = seededRandom(org)
  const sql = memorySql()
  const origin = `log/${org}`
  const logKey = keyOf(`log ${org}`)
  return {
    org,
    random,
    sql,
    keys: { org, sign: keyOf(`sign ${org}`), seal: sealKeyPair(fixed(`seal ${org}`)) },
    log: { origin, key: verifierKey(origin, logKey.publicKey) },
    logKey,
    grants: new GrantStore({ sql, key: fixed(`store ${org}`), random }),
    records: new FakeRecords(random),
    access: new FakeAccessLog(origin, logKey, random),
    leases: new Leases(clock),
  }
}
export type House = ReturnType<typeof house>

export const json = { parse: (text: string) => JSON.parse(text) as unknown, serialise: JSON.stringify }

/** A and B, one patient known to both, a ledger that a test moves, a wire that a test can bend. */
export function twoHouses() {
  const clock = manualClock(NOON + 60_000)
  const ledger = new FakeLedger(chainId, clock)
  const a = house(A, clock)
  const b = house(B, clock)
  for (const { org, keys, logKey } of [a, b])
    ledger.members.set(org, {
      org,
      name: org,
      url: `http://${org}`,
      sign: keys.sign.publicKey,
      seal: keys.seal.publicKey,
      log: logKey.publicKey,
      active: true,
    })
  ledger.credentials.set(toHex(clinician.credential), { issuer: B, status: 'active' })
  const links = new Map<string, { owner: Uint8Array; delegation?: Uint8Array }>()
  links.set(toHex(linkKey.publicKey), { owner: ownerAtA })
  const linksAt = (org: string): LinkRegistry => ({
    ownerOf: (key) => (org === A ? links.get(toHex(key)) : undefined),
    ownerOfSub: (sub) => (org === B && toHex(sub) === toHex(fixed('sub')) ? ownerAtB : undefined),
    organisationOwner: fixed(`organisation ${org}`).slice(0, 16),
  })
  const delegations = new Delegations({
    sql: a.sql,
    key: fixed('mandates'),
    ledger,
    clock,
    random: a.random,
  })
  const custodian = new Custodian({
    ...a,
    ledger,
    clock,
    links: linksAt(A),
    delegations,
    json,
    isRequired: () => false,
  })
  const wire = {
    /** What happens to an answer on its way; throws to lose it. */
    bend: (reply: SignedForm): SignedForm => reply,
    sent: [] as SignedForm[],
    replies: [] as SignedForm[],
    objects: async (addresses: readonly Uint8Array[]) =>
      addresses.map((address) => a.records.objects.get(toHex(address))),
  }
  const transport: CustodianTransport = {
    async release(to, signed) {
      if (to !== A) throw new AppError('UNREACHABLE', 'no such house')
      wire.sent.push(signed)
      const reply = await custodian.release(B, signed)
      wire.replies.push(reply)
      return wire.bend(reply)
    },
    objects: (_to, addresses) => wire.objects(addresses),
  }
  const granteeWith = (leases: Leases) =>
    new Grantee({
      ...b,
      leases,
      ledger,
      clock,
      links: linksAt(B),
      transport,
      logOf: (org) => (org === A ? a : b).log,
      readEvent: readFakeEvent,
    })
  const grantee = granteeWith(b.leases)

  /** Makes a grant as a device does: final on the ledger, packages to both. Returns its id. */
  async function grant(
    change: Partial<Omit<Terms, 'template' | 'textHash'>> = {},
    { link = linkKey, key = controller, deliver = true } = {},
  ): Promise<Uint8Array> {
    const terms = encodeTerms(sampleTerms(change))
    await ledger.submit(body('consent/grant', grantArgs(terms, salt), key))
    const g = grantArgs(terms, salt).g
    const random = seededRandom('device')
    const sig = signTermsLink(link, chainId, terms)
    const toA = sealForCustodian(
      { v: 1, terms, salt, link: { key: link.publicKey, sig } },
      { to: a.keys.seal.publicKey, chainId, g, random },
    )
    const toB = sealForGrantee({ v: 1, terms, salt }, { to: b.keys.seal.publicKey, chainId, g, random })
    if (deliver) {
      custodian.receive(g, toA)
      grantee.accept(g, toB)
    }
    return g
  }

  function body(call: string, args: Parameters<typeof signBody>[0]['args'], ...keys: (typeof controller)[]) {
    const untilMs = clock.now() + 60_000
    return signBody({ chainId, call, args, untilMs, keys, random: seededRandom(call) })
  }
  const revocation = (g: Uint8Array, key = controller) => {
    const { body: bytes, auth } = body('consent/revoke', { g }, key)
    return { body: bytes, auth: auth as Uint8Array[] }
  }

  return {
    clock,
    ledger,
    a,
    b,
    links,
    linksAt,
    delegations,
    custodian,
    grantee,
    granteeWith,
    wire,
    grant,
    body,
    revocation,
    /** A lab result of the patient at A. */
    lab: (id: string, more: Record<string, unknown> = {}) =>
      a.records.add(ownerAtA, { resourceType: 'Observation', id, ...more }),
  }
}
export type TwoHouses = ReturnType<typeof twoHouses>

export type { ReleaseRequest }
