import {
  encodeTerms,
  grantArgs,
  readableText,
  renderTerms,
  sealForCustodian,
  sealForGrantee,
  signTermsLink,
  type Terms,
  termsSchema,
  withText,
} from '@salus/consent'
import { AppError, type Infer, object, oneOf, optional, type Random } from '@salus/core'
import type { Clock } from '@salus/host'
import { addController, controllerKey, linkSub } from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Hosted, hostedLink } from './hosted.ts'
import type { Notices } from './notices.ts'
import type { IdentityAudit, IdentityKeys, IdentityLedger, OrgTransport } from './ports.ts'
import { type Relayed, relayPackages } from './relay.ts'

const BODY_LIFE_MS = 5 * 60_000
const SUITE = 1

const { fields } = termsSchema
/** What staff enters on the patient's word; the rest of the terms follows from her account. */
export const hostedDraftForm = object('A grant for a hosted patient', {
  custodian: fields.custodian,
  grantee: fields.grantee,
  scope: fields.scope,
  purpose: fields.purpose,
  actions: fields.actions,
  notBefore: fields.notBefore,
  notAfter: fields.notAfter,
  lease: fields.lease,
  rate: fields.rate,
  masks: fields.masks,
  showWithheld: optional(fields.showWithheld),
  method: oneOf('How she was identified', ['in-person', 'telephone-code', 'paper']),
  evidence: fields.hosted.inner.fields.evidence,
})
export type HostedDraft = Infer<typeof hostedDraftForm>

export interface HostedGrantsParts {
  readonly hosted: Hosted
  readonly keys: IdentityKeys
  readonly ledger: IdentityLedger
  readonly transport: OrgTransport
  readonly notices: Notices
  readonly audit: IdentityAudit
  readonly clock: Clock
  readonly random: Random
}

/** Grants that staff makes for hosted patients; every party sees in the terms who made them and how. Protocol §2. */
export class HostedGrants {
  readonly #parts: HostedGrantsParts

  constructor(parts: HostedGrantsParts) {
    this.#parts = parts
  }

  /** What staff reads to the patient before she agrees. */
  async text(owner: Uint8Array, draft: HostedDraft, staff: string): Promise<string> {
    const keyring = await this.#parts.hosted.keyring(owner)
    const { key, id: g } = addController(keyring, 'grant', this.#parts.random)
    const sub = linkSub(keyring, draft.grantee.org)
    const terms = termsOf(draft, { g, controller: key.publicKey, sub, staff })
    return readableText(renderTerms(terms), ({ id, kind }) =>
      kind === 'organisation' ? this.#parts.ledger.organisation(id)?.name : undefined,
    )
  }

  /**
   * Makes a grant: the controller key is stored before the ledger knows it, the grant is final before anybody gets
   * its terms. Throws AppError `NOT_HOSTED`, `KEYRING_LINK`, `TERMS`, `TX_REJECTED`.
   */
  async grant(
    owner: Uint8Array,
    draft: HostedDraft,
    staff: string,
  ): Promise<{ readonly g: Uint8Array; readonly terms: Uint8Array; readonly delivered: readonly Relayed[] }> {
    const { hosted, keys, notices, audit, random } = this.#parts
    const custodian = this.#member(draft.custodian)
    const grantee = this.#member(draft.grantee.org)
    const made = await hosted.change(owner, (keyring) => {
      const link = hostedLink(keyring, draft.custodian)
      const added = addController(keyring, 'grant', random)
      const sub = linkSub(keyring, draft.grantee.org)
      const terms = termsOf(draft, { g: added.id, controller: added.key.publicKey, sub, staff })
      return {
        keyring: added.keyring,
        result: { terms: encodeTerms(terms), key: added.key, g: added.id, link },
      }
    })
    const { terms, g, link } = made
    const salt = random(32)
    await this.#submit('consent/grant', grantArgs(terms, salt), made.key)
    const sig = signTermsLink(link, keys.chainId, terms)
    const sealing = { chainId: keys.chainId, g, random }
    const delivered = await relayPackages(this.#parts, [
      {
        to: custodian.org,
        g,
        role: 'custodian',
        sealed: sealForCustodian(
          { v: 1, terms, salt, link: { key: link.publicKey, sig } },
          { to: custodian.seal, ...sealing },
        ),
      },
      {
        to: grantee.org,
        g,
        role: 'grantee',
        sealed: sealForGrantee({ v: 1, terms, salt }, { to: grantee.seal, ...sealing }),
      },
    ])
    notices.add(owner, { kind: 'hosted-grant', about: { g, staff } })
    await audit.record({ owner, act: 'grant', staff })
    return { g, terms, delivered }
  }

  /** Withdraws a hosted grant on the patient's word. Throws AppError `NOT_FOUND`, `TX_REJECTED`. */
  async revoke(owner: Uint8Array, g: Uint8Array, staff: string): Promise<void> {
    const { hosted, audit } = this.#parts
    const key = controllerKey(await hosted.keyring(owner), g)
    if (key === undefined) throw new AppError('NOT_FOUND', 'g: is no grant that was made for this patient')
    await this.#submit('consent/revoke', { g }, key)
    await audit.record({ owner, act: 'grant', staff })
  }

  async #submit(
    call: string,
    args: Parameters<typeof signBody>[0]['args'],
    key: Parameters<typeof signBody>[0]['keys'][number],
  ): Promise<void> {
    const { ledger, keys, clock, random } = this.#parts
    const untilMs = clock.now() + BODY_LIFE_MS
    await ledger.submit(signBody({ chainId: keys.chainId, call, args, untilMs, keys: [key], random }))
  }

  #member(org: string) {
    const member = this.#parts.ledger.organisation(org)
    if (member === undefined || !member.active)
      throw new AppError('NOT_FOUND', 'organisation: is no active member of this network', { org })
    return member
  }
}

function termsOf(
  draft: HostedDraft,
  made: {
    readonly g: Uint8Array
    readonly controller: Uint8Array
    readonly sub: Uint8Array
    readonly staff: string
  },
): Terms {
  const { method, evidence, showWithheld, ...entered } = draft
  const { staff, ...ids } = made
  return withText({
    v: 1,
    ...entered,
    ...ids,
    conditions: [],
    showWithheld: showWithheld ?? false,
    hosted: { method, staff, evidence },
    minSuite: SUITE,
  })
}
