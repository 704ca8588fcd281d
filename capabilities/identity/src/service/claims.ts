import { AppError, decode, equal, type Random, type SignedForm } from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import { type ClaimRequest, openClaimRequest, replyToClaim } from '../claim.ts'
import { signReceipt } from '../receipts.ts'
import type { EnrolmentCodes } from './enrolment-codes.ts'
import type { Home } from './home.ts'
import type { Notices } from './notices.ts'
import type { HostedKeys, IdentityAudit, IdentityKeys, OwnerDirectory } from './ports.ts'

export interface ClaimsParts {
  readonly sql: Sql
  readonly keys: IdentityKeys
  readonly owners: OwnerDirectory
  readonly codes: EnrolmentCodes
  readonly home: Home
  readonly hostedKeys: HostedKeys
  readonly notices: Notices
  readonly audit: IdentityAudit
  readonly clock: Clock
  readonly random: Random
}

/** A hosted patient takes her account (protocol §2): the host hands `KRK` over, then deletes its own and signs that. */
export class Claims {
  readonly #parts: ClaimsParts

  constructor(parts: ClaimsParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_claim (
         account BLOB PRIMARY KEY, owner BLOB NOT NULL, deviceKey BLOB NOT NULL, generation INTEGER NOT NULL,
         receipt BLOB, sig BLOB) WITHOUT ROWID`,
    )
  }

  /**
   * Wraps `KRK` to the device that proves with a code that staff identified its person. May be repeated with a new
   * code until the claim is complete. Throws AppError `CODE_REFUSED`, `BAD_SIGNATURE`, `CLAIM`, `NOT_HOSTED`.
   */
  async open(input: {
    readonly code: string
    readonly request: SignedForm
  }): Promise<{ readonly reply: SignedForm; readonly keyring: Uint8Array }> {
    const { keys, codes, home, hostedKeys, notices, audit, random } = this.#parts
    const deviceKey = deviceKeyIn(input.request)
    const request = openClaimRequest(deviceKey, keys.chainId, input.request)
    if (request.host !== keys.org) throw new AppError('CLAIM', 'host: is another organisation')
    const stored = home.byId(request.account)
    const krk = stored && hostedKeys.hostedKey(stored.owner)
    // An unknown account answers like a wrong code: nobody learns here which accounts are hosted.
    const { owner, proofing } = codes.redeem(input.code, 'claim')
    if (stored === undefined || !equal(stored.owner, owner))
      throw new AppError('CLAIM', 'account: is not the one that the code was given for')
    if (krk === undefined) throw new AppError('NOT_HOSTED', 'account: has been claimed already')
    if (!sameProofing(request, proofing))
      throw new AppError('CLAIM', 'proofing: is not what staff recorded for this code')
    this.#note(request.account, { owner, deviceKey, generation: stored.generation })
    notices.add(owner, { kind: 'claim-started' })
    await audit.record({ owner, act: 'claim', ...staffOf(proofing.staff) })
    const reply = replyToClaim({
      request,
      signedRequest: input.request,
      krk,
      keyringVersion: stored.version,
      hostKey: keys.sign,
      chainId: keys.chainId,
      random,
    })
    return { reply, keyring: stored.bytes }
  }

  /**
   * Ends the claim: the keyring is under the device's own `KRK` and the link key here is hers, so the host deletes what
   * it has and signs a receipt. Asked again it gives the same receipt. Throws AppError `CLAIM`, `NOT_FOUND`.
   */
  async complete(owner: Uint8Array): Promise<SignedForm> {
    const { sql, keys, owners, home, hostedKeys, audit, clock, random } = this.#parts
    const row = sql.prepare('SELECT * FROM identity_claim WHERE owner = ?').get(owner)
    if (row === undefined) throw new AppError('NOT_FOUND', 'claim: was not started for this account')
    if (row['receipt'] instanceof Uint8Array) return { bytes: row['receipt'], sig: row['sig'] as Uint8Array }
    const stored = home.ofOwner(owner)
    const registered = owners.byOwner(owner)
    if (stored === undefined || stored.generation <= (row['generation'] as number))
      throw new AppError('CLAIM', 'keyring: is still under the host’s KRK; store it under a new one first')
    if (registered?.status !== 'self' || registered.sub === undefined)
      throw new AppError('CLAIM', 'link: is still the host’s here; replace it first')
    const { how } = await hostedKeys.destroyHostedKey(owner)
    const receipt = signReceipt(keys.sign, keys.chainId, {
      v: 1,
      kind: 'deletion',
      org: keys.org,
      sub: registered.sub,
      time: clock.now(),
      requestId: random(16),
      what: 'hosted-keys',
      method: how,
    })
    sql
      .prepare('UPDATE identity_claim SET receipt = ?, sig = ? WHERE owner = ?')
      .run(receipt.bytes, receipt.sig, owner)
    await audit.record({ owner, act: 'claim' })
    return receipt
  }

  #note(
    account: Uint8Array,
    claim: { readonly owner: Uint8Array; readonly deviceKey: Uint8Array; readonly generation: number },
  ): void {
    this.#parts.sql
      .prepare('INSERT OR REPLACE INTO identity_claim VALUES (?, ?, ?, ?, NULL, NULL)')
      .run(account, claim.owner, claim.deviceKey, claim.generation)
  }
}

/** The device key that a claim request names, before its signature is checked. */
function deviceKeyIn(request: SignedForm): Uint8Array {
  const value = decode(request.bytes, { maxBytes: 4_096 }) as { readonly deviceKey?: unknown } | null
  const deviceKey = value?.deviceKey
  if (!(deviceKey instanceof Uint8Array)) throw new AppError('CLAIM', 'deviceKey: is missing')
  return deviceKey
}

function sameProofing(
  request: ClaimRequest,
  proofing: { readonly kind: string; readonly hash?: Uint8Array | undefined },
): boolean {
  const { kind, hash } = request.proofing
  if (kind !== proofing.kind) return false
  return hash === undefined ? proofing.hash === undefined : equal(hash, proofing.hash ?? new Uint8Array())
}

const staffOf = (staff: string | undefined) => (staff === undefined ? {} : { staff })
