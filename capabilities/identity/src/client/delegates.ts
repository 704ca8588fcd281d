import {
  decodeMandate,
  delegateArgs,
  type Mandate,
  type SignedMandate,
  signedMandateSchema,
  signMandate,
} from '@salus/consent'
import {
  AppError,
  bytes,
  decodeForm,
  encodeForm,
  equal,
  type Infer,
  list,
  object,
  openSealed,
  type Random,
  type SealKeyPair,
  type SigningKey,
  sealTo,
  signAs,
  signingKey,
  toBase64url,
  tuple,
} from '@salus/core'
import {
  type Category,
  type ControllerKey,
  controlledId,
  controllerKey,
  dropControllers,
  linkKey,
  linkSub,
  nextEpochs,
  openSection,
  openSharedSections,
  type Section,
  shareSections,
} from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, execute, send } from '@salus/sdk'
import { type LinkStatement, linkStatementSchema, signLinkStatement } from '../enrolment.ts'
import { type delegateLinkForm, orgText, signedJson } from './forms.ts'
import { changeKeyring, fetchKeyring } from './home.ts'
import type { DeviceContext, Person } from './person.ts'

const BODY_LIFE_MS = 5 * 60_000
const MAX_GIFT_BYTES = 128 * 1024

/** What a delegate is given: mandate, section keys and the patient's names at her organisations. */
const giftForm = object('A delegation', {
  mandate: signedMandateSchema,
  sections: bytes('Section keys, sealed to the delegate', { max: 8 * 1024 }),
  keyringId: bytes('Keyring that the sections are in', { length: 16 }),
  home: orgText,
  places: list(
    object('An organisation where the patient is enrolled', {
      org: orgText,
      sub: bytes('How it knows her', { length: 32 }),
      linkKey: bytes('Her link key there, public', { length: 32 }),
    }),
    { max: 500 },
  ),
})

const giftEnvelope = object('A sealed delegation', {
  d: bytes('Delegation', { length: 16 }),
  sealed: bytes('Sealed to the delegate', { max: MAX_GIFT_BYTES }),
})

/** A delegate's state on her own device, as one immutable value. */
export interface Delegate {
  readonly d: Uint8Array
  readonly mandate: SignedMandate
  readonly keyringId: Uint8Array
  readonly home: string
  /** The compartments that the delegation covers, by name; nothing of the others. */
  readonly sections: Readonly<Partial<Record<Category, Section>>>
  readonly places: readonly {
    readonly org: string
    readonly sub: Uint8Array
    readonly patientKey: Uint8Array
    /** The delegate's own link key there. */
    readonly key: SigningKey
  }[]
}

/**
 * Delegates (protocol §6): the mandate's commitment goes on the ledger, the section keys of its compartments to the
 * delegate's device. Returns the person and what to hand to the delegate; only her device opens it. `home` has a session.
 */
export async function addDelegate(
  home: Connection,
  input: {
    readonly person: Person
    readonly context: DeviceContext
    readonly scope: Mandate['scope']
    readonly untilMs: number
    readonly evidence: Mandate['evidence']
    /** X-Wing public key of the delegate's device. */
    readonly to: Uint8Array
    readonly sponsor: Connection
  },
): Promise<{ readonly person: Person; readonly d: Uint8Array; readonly gift: Uint8Array }> {
  const { context, scope, untilMs, evidence, to, sponsor } = input
  const { chainId, random } = context
  const controller = signingKey(random(32))
  const d = controlledId(controller.publicKey)
  const mine: ControllerKey = { kind: 'delegation', id: d, seed: controller.seed }
  const person = await changeKeyring(home, {
    person: input.person,
    context,
    change: (keyring) => ({ ...keyring, controllers: [...keyring.controllers, mine] }),
  })
  const mandate = signMandate({
    mandate: { v: 1, d, scope, until: untilMs, evidence },
    salt: random(32),
    controller,
    chainId,
  })
  await submitFor(sponsor, 'consent/delegate', delegateArgs(mandate), controller, context)
  const { keyring } = person
  const categories = scope.compartments
  const plaintext = encodeForm(giftForm, {
    mandate,
    sections: shareSections({ keyring, categories, d, to, random }),
    keyringId: keyring.keyringId,
    home: person.home,
    places: keyring.links.map(({ org, seed }) => ({
      org,
      sub: linkSub(keyring, org),
      linkKey: signingKey(seed).publicKey,
    })),
  })
  const sealed = sealTo({ to, info: giftInfo(chainId, d), plaintext, random })
  const gift = encodeForm(giftEnvelope, { d, sealed })
  return { person, d, gift }
}

/**
 * On the delegate's device: opens the gift, reads the sections that it covers, and draws link keys. The statements go
 * to the patient, whose keys endorse them (`endorseDelegate`). `home` is the patient's home, without a session.
 */
export async function acceptDelegation(
  home: Connection,
  input: {
    readonly gift: Uint8Array
    /** Seal key of the delegate's device. */
    readonly key: SealKeyPair
    readonly context: DeviceContext
  },
): Promise<{ readonly delegate: Delegate; readonly statements: readonly DelegateStatement[] }> {
  const { key, context } = input
  const { chainId, random, clock } = context
  const { d, sealed } = readGift(input.gift)
  const opened = openSealed({ key, info: giftInfo(chainId, d), sealed })
  const gift = decodeForm(giftForm, opened, { maxBytes: MAX_GIFT_BYTES })
  const mandate = decodeMandate(gift.mandate.mandate)
  const shared = openSharedSections(gift.sections, key)
  if (!equal(mandate.d, d) || !equal(shared.d, d))
    throw new AppError('MANDATE', 'gift: mandate and section keys are of different delegations')
  const { keyring } = await fetchKeyring(home, gift.keyringId)
  const sections: Partial<Record<Category, Section>> = {}
  for (const each of shared.keys) sections[each.category] = openSection(keyring, each.category, each.key)
  const places = gift.places.map(({ org, sub, linkKey: patientKey }) => ({
    org,
    sub,
    patientKey,
    key: signingKey(random(32)),
  }))
  const delegate: Delegate = {
    d,
    mandate: gift.mandate,
    keyringId: gift.keyringId,
    home: gift.home,
    sections,
    places,
  }
  const statements = places.map((place) => ({
    org: place.org,
    statement: signLinkStatement(place.key, chainId, {
      v: 1,
      org: place.org,
      sub: place.sub,
      linkKey: place.key.publicKey,
      home: gift.home,
      d,
      time: clock.now(),
    }),
  }))
  return { delegate, statements }
}

/** A delegate's link statement for one organisation. */
export interface DelegateStatement {
  readonly org: string
  readonly statement: { readonly bytes: Uint8Array; readonly sig: Uint8Array }
}

/**
 * On the patient's device: endorses a delegate's link keys with the patient's own, and registers them. What a
 * statement says is checked first: this delegation, this patient, that organisation.
 */
export async function endorseDelegate(input: {
  readonly person: Person
  readonly context: DeviceContext
  readonly d: Uint8Array
  readonly statements: readonly DelegateStatement[]
  readonly connectionTo: (org: string) => Connection
}): Promise<void> {
  const { person, context, d, statements, connectionTo } = input
  for (const { org, statement } of statements) {
    const key = linkKey(person.keyring, org)
    if (key === undefined)
      throw new AppError('KEYRING_LINK', 'org: the patient is not enrolled there', { org })
    const said: LinkStatement = decodeForm(linkStatementSchema, statement.bytes, {
      maxBytes: 1_024,
      version: 1,
    })
    const fits =
      said.org === org &&
      said.d !== undefined &&
      equal(said.d, d) &&
      said.replaces === undefined &&
      equal(said.sub, linkSub(person.keyring, org))
    if (!fits) throw new AppError('LINK_KEY', 'statement: is not what this delegation allows', { org })
    const endorsement = signAs(key, 'statement', context.chainId, statement.bytes)
    await send(connectionTo(org), 'POST', '/delegates', {
      json: {
        patientKey: toBase64url(key.publicKey),
        statement: signedJson(statement),
        endorsement: toBase64url(endorsement),
      } satisfies { [K in keyof Infer<typeof delegateLinkForm>]: unknown },
    })
  }
}

/**
 * Ends a delegation: on the ledger, and for what is written from now on, by new epochs of its compartments. The
 * caller then hands new write cards to her organisations (`writeCard`). `home` has a session.
 */
export async function endDelegation(
  home: Connection,
  input: {
    readonly person: Person
    readonly context: DeviceContext
    readonly d: Uint8Array
    readonly categories: readonly Category[]
    readonly sponsor: Connection
  },
): Promise<Person> {
  const { person, context, d, categories, sponsor } = input
  const key = controllerKey(person.keyring, d)
  if (key === undefined) throw new AppError('NOT_FOUND', 'd: no key of this keyring controls it')
  await submitFor(sponsor, 'consent/endDelegation', { d }, key, context)
  const nowMs = context.clock.now()
  return changeKeyring(home, {
    person,
    context,
    change: (keyring) =>
      dropControllers(nextEpochs(keyring, categories, { random: context.random, nowMs }), [d]),
  })
}

/** Newest sections of a delegation, after the patient's device stored a new version. Throws AppError `OPEN_FAILED`. */
export async function refreshDelegate(home: Connection, delegate: Delegate): Promise<Delegate> {
  const { keyring } = await fetchKeyring(home, delegate.keyringId)
  const sections: Partial<Record<Category, Section>> = {}
  for (const [category, section] of Object.entries(delegate.sections) as [Category, Section][])
    sections[category] = openSection(keyring, category, section.key)
  return { ...delegate, sections }
}

async function submitFor(
  sponsor: Connection,
  call: string,
  args: Parameters<typeof signBody>[0]['args'],
  key: SigningKey,
  { chainId, clock, random }: { chainId: Uint8Array; clock: DeviceContext['clock']; random: Random },
): Promise<void> {
  const untilMs = clock.now() + BODY_LIFE_MS
  await execute(sponsor, signBody({ chainId, call, args, untilMs, keys: [key], random }))
}

const giftInfo = (chainId: Uint8Array, d: Uint8Array): Uint8Array =>
  tuple('salus/delegation-gift/v1', chainId, d)

function readGift(gift: Uint8Array): { readonly d: Uint8Array; readonly sealed: Uint8Array } {
  return decodeForm(giftEnvelope, gift, { maxBytes: MAX_GIFT_BYTES + 1_024 })
}
