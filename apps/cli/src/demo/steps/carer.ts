import type { HeldVersion, Terms } from '@salus/consent'
import {
  checkPreview,
  draftTerms,
  makeGrant,
  organisationOf,
  previewGrant,
  previewState,
  showMandate,
  withController,
} from '@salus/consent/client'
import { equal, toBase64url, toHex } from '@salus/core'
import {
  acceptDelegation,
  addDelegate,
  changeKeyring,
  type Delegate,
  endDelegation,
  endorseDelegate,
  openSession,
  refreshDelegate,
  writeCard,
} from '@salus/identity/client'
import { heldVersion, listOwnVersions, openOwnVersions } from '@salus/records/client'
import { type Connection, head, sendForJson } from '@salus/sdk'
import { CONFIDENTIAL_RECORD } from '../demo-made.ts'
import { ownVersions } from '../own-versions.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectRefusal, expectThat } from '../story.ts'
import { connectionTo, letTimePass } from '../time.ts'
import { type DemoPerson, ORGS, type World } from '../world.ts'
import { staffOf } from './enrol.ts'
import { chartOf, grantedIn } from './read.ts'
import { accessesAt } from './who-looked.ts'

const HOUR_MS = 3_600_000
const DAYS = 2

/** What the parent may see and share; what is confidential to the growing child is not in it. */
const ALLOWED = ['general', 'medication', 'labs', 'imaging'] as const
type Allowed = (typeof ALLOWED)[number]
const isAllowed = (name: string): name is Allowed => (ALLOWED as readonly string[]).includes(name)

/** A carer at work: her own key and session at A, under the child's delegation. */
interface Carer {
  readonly delegate: Delegate
  readonly session: Connection
}

/**
 * A parent acts for a child until a date. On her own device she lists, opens and shares what the delegation covers, with
 * a link key of her own; of the rest she is told nothing and holds no key. After the date everything is refused.
 */
export async function carer(world: World): Promise<string> {
  const { context } = world
  const child = personOf(world, 'child')
  const parent = personOf(world, 'patient')
  const untilMs = Math.ceil(context.clock.now() / HOUR_MS) * HOUR_MS + DAYS * 24 * HOUR_MS

  const made = await addDelegate(sessionOf(child, ORGS.a), {
    person: child.person,
    context,
    scope: { compartments: [...ALLOWED], actions: ['read', 'search'] },
    untilMs,
    evidence: { kind: 'parental-responsibility' },
    to: parent.person.device.seal.publicKey,
    sponsor: sessionOf(child, ORGS.a),
  })
  child.person = made.person
  const accepted = await acceptDelegation(world.connections.a, {
    gift: made.gift,
    key: parent.person.device.seal,
    context,
  })
  const { delegate } = accepted
  await expectRefusal(signIn(world, delegate), ['UNAUTHENTICATED'], 'a key that the child did not endorse')
  await endorseDelegate({
    person: child.person,
    context,
    d: made.d,
    statements: accepted.statements,
    connectionTo: (org) => connectionTo(world, org),
  })
  const acting: Carer = { delegate, session: await signIn(world, delegate) }
  const seen = await seesOnlyHers(world, acting, child)

  const granted = await shares(world, { acting, parent, untilMs, shown: seen.versions })
  const clinician = staffOf(world, 'clinician-b').connection
  const opened = grantedIn(await chartOf(clinician, child.patient))
  expectThat(
    opened.length === granted.charted,
    `B opens the ${granted.charted} versions of the grant, ${opened.length} did`,
  )
  expectThat(
    opened.every((recordId) => !seen.leftOut.includes(recordId)),
    'nothing that the delegation leaves out is opened under it',
  )
  const release = (await accessesAt(sessionOf(child, ORGS.a), ORGS.a)).find(
    ({ facts }) => facts.grant !== undefined && equal(facts.grant.g, granted.g),
  )
  expectThat(release?.facts.requester.org === ORGS.b, 'the opening is on the child’s own list')

  await letTimePass(world, untilMs + HOUR_MS - context.clock.now())
  await everythingEnds(world, { acting, parent, child, d: made.d, untilMs })
  return `until its date the parent lists and opens ${seen.versions.length} of the child’s ${seen.total} versions at ${ORGS.a} with a key of her own (${seen.leftOut.length} left out: not listed, no key), and shares ${granted.n} with the clinician at ${ORGS.b}; a grant beyond the mandate refused by ${ORGS.a}; ${DAYS} days later no session, no release, no new grant, and new keys for what comes`
}

function signIn(world: World, delegate: Delegate): Promise<Connection> {
  const { key } = placeOf(delegate, ORGS.a)
  return openSession(world.connections.a, { org: ORGS.a, key, context: world.context })
}

function placeOf(delegate: Delegate, org: string): Delegate['places'][number] {
  const place = delegate.places.find((each) => each.org === org)
  expectThat(place !== undefined, `the child is enrolled at ${org}`)
  return place
}

/** Her list is exactly the child's, cut down to the mandate; of the rest her device has no key either. */
async function seesOnlyHers(world: World, { delegate, session }: Carer, child: DemoPerson) {
  const { chainId } = world.context
  const keyring = { sections: delegate.sections }
  await expectRefusal(listOwnVersions(session), ['FORBIDDEN'], 'a list before the mandate is shown')
  await showMandate(session, { mandate: delegate.mandate })
  const all = await ownVersions(world, child, ORGS.a)
  const mayBeSeen = all.filter(({ labels }) => isAllowed(labels.compartment))
  const leftOut = all.filter(({ labels }) => !isAllowed(labels.compartment))
  expectThat(
    leftOut.some(({ labels }) => labels.recordId === CONFIDENTIAL_RECORD) && mayBeSeen.length > 0,
    'the child has records on both sides of the line',
  )
  const listed = (await listOwnVersions(session)).filter(({ current }) => current)
  const oids = (versions: readonly { readonly oid: Uint8Array }[]) =>
    versions.map(({ oid }) => toHex(oid)).sort()
  expectThat(
    oids(listed).join() === oids(mayBeSeen).join(),
    `A lists exactly the ${mayBeSeen.length} versions of her categories, ${listed.length} were listed`,
  )
  const opened = await openOwnVersions(session, { keyring, chainId, versions: listed })
  expectThat(opened.length === listed.length, 'she opens each of them with the section keys shared to her')
  const hidden = (await listOwnVersions(sessionOf(child, ORGS.a))).find(({ oid }) =>
    leftOut.some((one) => equal(one.oid, oid)),
  )
  expectThat(hidden !== undefined, 'the child herself is listed the rest')
  await expectRefusal(
    openOwnVersions(session, { keyring, chainId, versions: [hidden] }),
    ['KEYRING_COMPARTMENT'],
    'a left-out version, even where its row falls into her hands',
  )
  await expectRefusal(sendForJson(session, 'GET', '/home/keyring'), ['FORBIDDEN'], 'the child’s account')
  return {
    versions: opened.map((version) => heldVersion(version, child.patient)),
    leftOut: leftOut.map(({ labels }) => labels.recordId),
    total: all.length,
  }
}

/** A grant for the child under the mandate, previewed on both sides; one beyond the mandate is refused by A. */
async function shares(
  world: World,
  input: {
    readonly acting: Carer
    readonly parent: DemoPerson
    readonly untilMs: number
    readonly shown: readonly HeldVersion[]
  },
): Promise<{ g: Uint8Array; n: number; charted: number }> {
  const { acting, parent, untilMs, shown } = input
  const { context } = world
  const compartments = [...new Set(shown.map(({ labels }) => labels.compartment))]
  const draft = draftFor(world, { acting, parent, compartments, notAfter: untilMs })
  const { sign } = await organisationOf(acting.session, ORGS.a)
  const asked = { terms: draft.encoded, chainId: context.chainId }
  const signed = await previewGrant(acting.session, { ...asked, custodianKey: sign })
  const state = previewState({
    chainId: context.chainId,
    custodian: ORGS.a,
    nowMs: context.clock.now(),
    head: await head(acting.session),
  })
  const owner = personOf(world, 'child').patient
  const { n, shown: shownOids } = checkPreview(signed, {
    terms: draft.encoded,
    versions: shown,
    owner,
    state,
  })
  expectThat(n > 0, 'the grant shows something')
  const made = await makeFor(world, input, draft)
  expectThat(made.undelivered.length === 0, `the terms reach both: ${made.undelivered[0]?.detail}`)
  expectThat(made.acceptedMs !== undefined, 'B signs that it accepted')
  const beyond = draftFor(world, { acting, parent, compartments: ['substance'], notAfter: untilMs })
  expectThat(await isRefusedByA(world, input, beyond), 'A refuses terms that the mandate does not cover')
  // The Patient resource heads a chart and is no entry of it.
  const heads = shown.filter(
    ({ oid, labels }) => labels.type === 'Patient' && shownOids.some((one) => equal(one, oid)),
  )
  return { g: made.g, n, charted: n - heads.length }
}

function draftFor(
  world: World,
  input: {
    readonly acting: Carer
    readonly parent: DemoPerson
    readonly compartments: Terms['scope']['compartments']
    readonly notAfter: number
  },
) {
  const { delegate } = input.acting
  return draftTerms(input.parent.person.keyring, {
    choices: {
      custodian: ORGS.a,
      grantee: { org: ORGS.b, practitioner: staffOf(world, 'clinician-b').practitioner },
      scope: { compartments: input.compartments },
      purpose: 'TREAT',
      actions: ['read', 'search'],
      notBefore: world.context.clock.now() - 1_000,
      notAfter: input.notAfter,
    },
    context: world.context,
    actingFor: { mandate: delegate.mandate, sub: placeOf(delegate, ORGS.b).sub },
  })
}

type Shared = { readonly acting: Carer; readonly parent: DemoPerson }

/** The grant's key lies in the parent's own keyring; the terms carry the signature of her key for the child. */
async function makeFor(world: World, { acting, parent }: Shared, draft: ReturnType<typeof draftTerms>) {
  const { context } = world
  const home = sessionOf(parent, ORGS.a)
  parent.person = await changeKeyring(home, {
    person: parent.person,
    context,
    change: (keyring) => withController(keyring, draft.controller),
  })
  const link = placeOf(acting.delegate, ORGS.a).key
  return makeGrant(home, { draft, keyring: parent.person.keyring, context, link })
}

async function isRefusedByA(world: World, shared: Shared, draft: ReturnType<typeof draftTerms>) {
  const { undelivered } = await makeFor(world, shared, draft)
  return undelivered.some(({ to, code }) => to === ORGS.a && code === 'TERMS_REFUSED')
}

/** After the date: no session, no release, no new grant; and nothing newer opens once the child's keys are new. */
async function everythingEnds(
  world: World,
  input: Shared & { readonly child: DemoPerson; readonly d: Uint8Array; readonly untilMs: number },
): Promise<void> {
  const { acting, child, d, parent } = input
  const { context } = world
  await expectRefusal(listOwnVersions(acting.session), ['UNAUTHENTICATED'], 'the session of before')
  await expectRefusal(signIn(world, acting.delegate), ['UNAUTHENTICATED'], 'a new session after the date')
  const clinician = staffOf(world, 'clinician-b').connection
  expectThat(grantedIn(await chartOf(clinician, child.patient)).length === 0, 'B opens nothing any more')
  const notAfter = context.clock.now() + HOUR_MS
  const late = draftFor(world, { acting, parent, compartments: ['general'], notAfter })
  expectThat(await isRefusedByA(world, input, late), 'A refuses terms under a mandate that ended')
  child.person = await endDelegation(sessionOf(child, ORGS.a), {
    person: child.person,
    context,
    d,
    categories: [...ALLOWED],
    sponsor: sessionOf(child, ORGS.a),
  })
  for (const [org, session] of child.sessions) {
    const card = writeCard(context, child.person.keyring, org)
    await sendForJson(session, 'PUT', '/me/card', {
      json: { card: toBase64url(card.bytes), sig: toBase64url(card.sig) },
    })
  }
  await expectRefusal(
    refreshDelegate(world.connections.a, acting.delegate),
    ['OPEN_FAILED'],
    'the child’s newer keys',
  )
}
