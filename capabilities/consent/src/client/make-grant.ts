import {
  AppError,
  bool,
  bytes,
  decode,
  equal,
  list,
  object,
  oneOf,
  optional,
  type SigningKey,
  sha256,
  text,
  toBase64url,
} from '@salus/core'
import { type Keyring, linkKey } from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, execute, itemJson, sendFor } from '@salus/sdk'
import { grantArgs, openAcceptance, sealForCustodian, sealForGrantee, signTermsLink } from '../terms-link.ts'
import { controllerSigner, type DeviceContext, type Draft } from './draft-terms.ts'
import { organisationOf } from './organisation.ts'

/** A body may wait this long for its block. */
const BODY_LIFE_MS = 5 * 60_000

const relayedForm = object('How bringing the terms went', {
  results: list(
    object('', {
      to: text('Organisation', { max: 64 }),
      role: oneOf('Which end', ['custodian', 'grantee']),
      delivered: bool('Whether it was taken'),
      answer: optional(bytes('What it answered', { max: 64 * 1024 })),
      code: optional(text('Why not', { max: 64 })),
      detail: optional(text('Why not, for people', { max: 1_024 })),
    }),
    { max: 16 },
  ),
})

/** A sealed package that could not be brought; `deliverGrant` brings it later. */
export interface GrantPackage {
  readonly to: string
  readonly g: Uint8Array
  readonly role: 'custodian' | 'grantee'
  readonly sealed: Uint8Array
}

export interface MadeGrant {
  readonly g: Uint8Array
  /** Where the ledger has it. */
  readonly height: number
  readonly index: number
  /** When the grantee says it accepted, ms UTC; undefined where it did not yet. */
  readonly acceptedMs: number | undefined
  readonly undelivered: readonly (GrantPackage & { readonly code: string; readonly detail: string })[]
}

/**
 * Makes a grant (protocol §4, Create): the ledger first, then terms sealed to custodian and grantee and brought by
 * home. `connection` has a session at home; the draft's controller must be in the keyring stored there.
 * Throws AppError `KEYRING_LINK`, `KEYRING_CONTROLLER`, `TX_REJECTED`, `TX_NOT_FINAL`, `BAD_SIGNATURE`.
 */
export async function makeGrant(
  connection: Connection,
  input: {
    readonly draft: Draft
    readonly keyring: Keyring
    readonly context: DeviceContext
    /** A delegate's own link key at the custodian; the keyring's where left out. */
    readonly link?: SigningKey
  },
): Promise<MadeGrant> {
  const { draft, keyring, context } = input
  const { chainId, random, clock } = context
  const { terms, encoded, g, controller } = draft
  if (!keyring.controllers.some(({ id }) => equal(id, g)))
    throw new AppError(
      'KEYRING_CONTROLLER',
      'draft: its key is not in the keyring; add it with withController and store the keyring first',
    )
  const link = input.link ?? linkKey(keyring, terms.custodian)
  if (link === undefined)
    throw new AppError('KEYRING_LINK', 'custodian: the keyring has no link key for it; enrol there first', {
      org: terms.custodian,
    })
  const [custodian, grantee] = await Promise.all([
    organisationOf(connection, terms.custodian),
    organisationOf(connection, terms.grantee.org),
  ])
  const salt = random(32)
  const body = signBody({
    chainId,
    call: 'consent/grant',
    args: grantArgs(encoded, salt),
    untilMs: clock.now() + BODY_LIFE_MS,
    keys: [controllerSigner(controller)],
    random,
  })
  const sealing = { chainId, g, random }
  const sig = signTermsLink(link, chainId, encoded)
  const pack = { v: 1, terms: encoded, salt, link: { key: link.publicKey, sig } }
  const packages: GrantPackage[] = [
    {
      to: custodian.org,
      g,
      role: 'custodian',
      sealed: sealForCustodian(pack, { to: custodian.seal, ...sealing }),
    },
    {
      to: grantee.org,
      g,
      role: 'grantee',
      sealed: sealForGrantee({ v: 1, terms: encoded, salt }, { to: grantee.seal, ...sealing }),
    },
  ]
  const final = await execute(connection, body)
  const delivered = await deliverGrant(connection, {
    packages,
    chainId,
    granteeKey: grantee.sign,
    termsHash: sha256(encoded),
  })
  return { g, ...final, ...delivered }
}

/**
 * Has home bring sealed terms to their organisations, again where an earlier try did not reach them; a grantee's
 * signed acceptance is checked.
 */
export async function deliverGrant(
  connection: Connection,
  input: {
    readonly packages: readonly GrantPackage[]
    readonly chainId: Uint8Array
    /** The grantee's `sign` key. */
    readonly granteeKey: Uint8Array
    /** `H(terms)`. */
    readonly termsHash: Uint8Array
  },
): Promise<Pick<MadeGrant, 'acceptedMs' | 'undelivered'>> {
  const { packages, chainId, granteeKey, termsHash } = input
  const { results } = await sendFor(connection, 'POST', '/home/grants', relayedForm, {
    json: {
      packages: packages.map(({ to, g, role, sealed }) => ({
        to,
        g: toBase64url(g),
        role,
        sealed: toBase64url(sealed),
      })),
    },
  })
  let acceptedMs: number | undefined
  const undelivered: (GrantPackage & { code: string; detail: string })[] = []
  packages.forEach((each, at) => {
    const { delivered, answer, code, detail } = results[at] ?? {}
    if (delivered !== true) undelivered.push({ ...each, code: code ?? 'UNKNOWN', detail: detail ?? '' })
    else if (each.role === 'grantee')
      acceptedMs = acceptanceIn(answer, { g: each.g, chainId, granteeKey, termsHash })
  })
  return { acceptedMs, undelivered }
}

function acceptanceIn(
  answer: Uint8Array | undefined,
  expected: {
    readonly g: Uint8Array
    readonly chainId: Uint8Array
    readonly granteeKey: Uint8Array
    readonly termsHash: Uint8Array
  },
): number {
  const parts = answer === undefined ? undefined : decode(answer, { maxBytes: 64 * 1024 })
  const [form, sig] = Array.isArray(parts) ? parts : []
  if (!(form instanceof Uint8Array) || !(sig instanceof Uint8Array))
    throw new AppError('BAD_REPLY', 'grantee: its answer is no signed acceptance')
  const accepted = openAcceptance(expected.granteeKey, expected.chainId, { bytes: form, sig })
  if (!equal(accepted.g, expected.g) || !equal(accepted.terms, expected.termsHash))
    throw new AppError('BAD_REPLY', 'grantee: it accepted other terms')
  return accepted.time
}

const revokedForm = object('What the custodian did', {
  honoured: bool('Whether it holds the grant and denies it from now on'),
  recalled: bool('Whether the grantee said that it dropped what it held'),
})

export interface Revoked {
  /** At the custodian, on sight. */
  readonly honoured: boolean
  readonly recalled: boolean
  /** Where the ledger has it; undefined where it does not move now: give the same body again later. */
  readonly final: { readonly height: number; readonly index: number } | undefined
}

/**
 * Withdraws a grant: at the custodian directly, which honours it on sight, and on the ledger through home, at the same
 * time. Throws AppError `KEYRING_CONTROLLER`; `UNREACHABLE` and the like only where neither of the two took it.
 */
export async function revokeGrant(
  home: Connection,
  input: {
    readonly g: Uint8Array
    readonly keyring: Keyring
    /** A connection to the custodian; needs no session. */
    readonly custodian: Connection
    readonly context: DeviceContext
    /** How long to wait for the ledger, ms; the custodian's answer does not wait for it. */
    readonly waitMs?: number
  },
): Promise<Revoked> {
  const { g, keyring, custodian, context, waitMs = 15_000 } = input
  const { chainId, random, clock } = context
  const controller = keyring.controllers.find(({ id }) => equal(id, g))
  if (controller === undefined)
    throw new AppError('KEYRING_CONTROLLER', 'g: no key of this keyring controls that grant')
  const body = signBody({
    chainId,
    call: 'consent/revoke',
    args: { g },
    untilMs: clock.now() + BODY_LIFE_MS,
    keys: [controllerSigner(controller)],
    random,
  })
  const [direct, ledger] = await Promise.allSettled([
    sendFor(custodian, 'POST', '/revocations', revokedForm, { json: itemJson(body) }),
    execute(home, body, waitMs),
  ])
  if (direct.status === 'rejected' && ledger.status === 'rejected') throw direct.reason
  return {
    honoured: direct.status === 'fulfilled' && direct.value.honoured,
    recalled: direct.status === 'fulfilled' && direct.value.recalled,
    final: ledger.status === 'fulfilled' ? ledger.value : undefined,
  }
}
