import { AppError, isAppError, type Random, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import { type Keyring, linkKey, linkSub, newKeyring, newKrk, openKeyring, sealKeyring } from '@salus/keys'
import { sendFor } from '@salus/sdk'
import { signedJson, wrappedForm } from '../client/forms.ts'
import { linkPapers, prepareLink } from '../client/person.ts'
import type { EnrolmentCodes, Proofing } from './enrolment-codes.ts'
import type { Home } from './home.ts'
import type { Links } from './links.ts'
import type {
  HostedKeys,
  IdentityAudit,
  IdentityKeys,
  IdentityLedger,
  OrgTransport,
  OwnerDirectory,
} from './ports.ts'
import { Turns } from './turns.ts'

export interface HostedParts {
  readonly keys: IdentityKeys
  readonly ledger: IdentityLedger
  readonly owners: OwnerDirectory
  readonly codes: EnrolmentCodes
  readonly links: Links
  readonly home: Home
  readonly hostedKeys: HostedKeys
  readonly audit: IdentityAudit
  readonly transport: OrgTransport
  readonly clock: Clock
  readonly random: Random
}

/** A hosted account: its id is the keyring's. */
export interface HostedAccount {
  readonly owner: Uint8Array
  readonly account: Uint8Array
}

/**
 * Hosted custody (protocol §2): for a patient without a device the organisation keeps keyring and `KRK`, in the same
 * forms as anybody's, until she claims them. What the node can do for her it can also forge (protocol §8): hosted
 * grants say so in their terms.
 */
export class Hosted {
  readonly #parts: HostedParts
  readonly #turns = new Turns()

  constructor(parts: HostedParts) {
    this.#parts = parts
  }

  /**
   * Makes the account of a patient whom staff identified, and enrols her here. Asked again after a failure it goes on
   * where it stopped. Throws AppError `NOT_FOUND`, `CONFLICT` when she has an account of her own.
   */
  async host(owner: Uint8Array, proofing: Proofing): Promise<HostedAccount> {
    return this.#turns.take(toHex(owner), async () => {
      const { owners, codes, links, audit, keys } = this.#parts
      const registered = owners.byOwner(owner)
      if (registered === undefined) throw new AppError('NOT_FOUND', 'patient: is not here')
      if (registered.status !== 'unclaimed' && registered.status !== 'hosted')
        throw new AppError('CONFLICT', 'patient: has an account of her own, or none can be made for her')
      const keyring = (await this.#load(owner)) ?? (await this.#create(owner))
      if (registered.linkKey === undefined) {
        const papers = linkPapers(this.#device(), { keyring, home: keys.org, org: keys.org })
        // Set before the link, which would otherwise make the account her own.
        owners.setStatus(owner, 'hosted')
        const { code } = codes.issue({ use: 'enrol', owner, proofing })
        await links.enrol({ code, ...papers })
        await audit.record({ owner, act: 'host', ...staffOf(proofing) })
      }
      return { owner, account: keyring.keyringId }
    })
  }

  /** Whether this organisation holds the keys of this owner. */
  isHosted(owner: Uint8Array): boolean {
    return this.#parts.hostedKeys.hostedKey(owner) !== undefined
  }

  /** Enrols a hosted patient at another organisation, with a code that its desk gave her. */
  async enrolAt(
    owner: Uint8Array,
    input: { readonly org: string; readonly code: string; readonly staff: string },
  ): Promise<{ readonly sub: Uint8Array; readonly wrapped: number }> {
    const { keys, transport, audit } = this.#parts
    const { org, code } = input
    const papers = await this.change(owner, (keyring) => {
      const { keyring: next, ...made } = prepareLink(this.#device(), { keyring, home: keys.org, org })
      return { keyring: next, result: { ...made, sub: linkSub(next, org) } }
    })
    const { wrapped } = await sendFor(transport.connection(org), 'POST', '/enrolments', wrappedForm, {
      json: { code, statement: signedJson(papers.statement), card: signedJson(papers.card) },
    })
    await audit.record({ owner, act: 'link', staff: input.staff, org })
    return { sub: papers.sub, wrapped }
  }

  /** Reads the keyring of a hosted owner. Throws AppError `NOT_HOSTED`. */
  async keyring(owner: Uint8Array): Promise<Keyring> {
    return (await this.#load(owner)) ?? notHosted()
  }

  /** Changes a hosted keyring; when it resolves the change is stored. Throws AppError `NOT_HOSTED`. */
  async change<T>(
    owner: Uint8Array,
    work: (keyring: Keyring) => { readonly keyring: Keyring; readonly result: T },
  ): Promise<T> {
    return this.#turns.take(toHex(owner), async () => {
      const { keyring, result } = work(await this.keyring(owner))
      await this.#store(owner, keyring)
      return result
    })
  }

  async #load(owner: Uint8Array): Promise<Keyring | undefined> {
    const { home, hostedKeys } = this.#parts
    const krk = hostedKeys.hostedKey(owner)
    const stored = home.ofOwner(owner)
    if (krk === undefined || stored === undefined) return undefined
    try {
      return openKeyring({ bytes: stored.bytes, krk })
    } catch (error) {
      // She has stored it under a KRK of her own: the claim is under way, and the host is out.
      if (isAppError(error, 'OPEN_FAILED')) return notHosted()
      throw error
    }
  }

  async #create(owner: Uint8Array): Promise<Keyring> {
    const { home, hostedKeys, clock, random, keys } = this.#parts
    if (home.ofOwner(owner) !== undefined)
      throw new AppError('CONFLICT', 'patient: has an account whose keys are not held here')
    // The key is durable before anything is sealed under it; one from an interrupted attempt serves as well.
    const krk = hostedKeys.hostedKey(owner) ?? newKrk(random)
    await hostedKeys.putHostedKey(owner, krk)
    const empty = newKeyring({ random, nowMs: clock.now() })
    const { keyring } = prepareLink(this.#device(), { keyring: empty, home: keys.org, org: keys.org })
    return this.#store(owner, keyring)
  }

  async #store(owner: Uint8Array, keyring: Keyring): Promise<Keyring> {
    const { home, hostedKeys, random } = this.#parts
    const krk = hostedKeys.hostedKey(owner) ?? notHosted()
    const sealed = sealKeyring({ keyring, krk, random })
    await home.put(owner, { bytes: sealed.bytes, ...(keyring.version === 0 ? { envelopes: [] } : {}) })
    return sealed.keyring
  }

  #device() {
    const { keys, clock, random } = this.#parts
    return { chainId: keys.chainId, clock, random }
  }
}

/** The link key that a hosted patient has at an organisation. Throws AppError `KEYRING_LINK`. */
export function hostedLink(keyring: Keyring, org: string) {
  const key = linkKey(keyring, org)
  if (key === undefined)
    throw new AppError('KEYRING_LINK', 'org: the patient is not enrolled there; enrol her with a code', {
      org,
    })
  return key
}

function staffOf(proofing: Proofing): { readonly staff?: string } {
  return proofing.staff === undefined ? {} : { staff: proofing.staff }
}

function notHosted(): never {
  throw new AppError('NOT_HOSTED', 'patient: has no hosted account here, or has claimed it')
}
