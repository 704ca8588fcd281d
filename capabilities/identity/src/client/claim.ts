import { fromBase64url, type Infer } from '@salus/core'
import type { DeviceKeys } from '@salus/keys'
import { type Connection, sendFor } from '@salus/sdk'
import { type ClaimRequest, openClaimReply, signClaimRequest } from '../claim.ts'
import { openReceipt, type Receipt } from '../receipts.ts'
import { openOwnSession } from './enrol.ts'
import { claimedForm, type claimForm, deletionForm, signedJson } from './forms.ts'
import type { DeviceContext, Person } from './person.ts'
import { finishRenewal, takeOver, type Unfinished } from './renewal.ts'

/** What the desk gives a hosted patient for her device; usually one picture code. */
export interface ClaimTicket {
  readonly code: string
  readonly account: Uint8Array
  readonly proofing: ClaimRequest['proofing']
}

/**
 * Claims a hosted account: `KRK` comes sealed to this device, everything the host knows is replaced, and the host then
 * deletes its copies. With `unfinished` steps the claim is not complete: call `completeClaim` again later; the person
 * is stored and safe meanwhile. `host` is a connection without a session.
 */
export async function claimHosted(
  host: Connection,
  input: {
    readonly org: string
    /** The host's registered `sign` key, from the ledger. */
    readonly hostKey: Uint8Array
    readonly ticket: ClaimTicket
    readonly device: DeviceKeys
    readonly deviceLabel: string
    readonly context: DeviceContext
    readonly connectionTo: (org: string) => Connection
    readonly sponsor: Connection
  },
): Promise<ClaimOutcome> {
  const { org, hostKey, ticket, device, context } = input
  const request: ClaimRequest = {
    v: 1,
    host: org,
    account: ticket.account,
    deviceKey: device.sign.publicKey,
    sealKey: device.seal.publicKey,
    proofing: ticket.proofing,
    time: context.clock.now(),
  }
  const signedRequest = signClaimRequest(device.sign, context.chainId, request)
  const answer = await sendFor(host, 'POST', '/claims', claimedForm, {
    json: { code: ticket.code, request: signedJson(signedRequest) } satisfies {
      [K in keyof Infer<typeof claimForm>]: unknown
    },
  })
  const { krk } = openClaimReply({
    signed: answer.reply,
    request,
    signedRequest,
    hostKey,
    key: device.seal,
    chainId: context.chainId,
  })
  const person = await takeOver(host, { ...input, krk, keyring: answer.keyring, keyringId: ticket.account })
  return completeClaim(host, { ...input, person })
}

export interface ClaimOutcome {
  readonly person: Person
  readonly unfinished: readonly Unfinished[]
  /** The host's signed word that its copies are gone; absent while it still waits for something. */
  readonly receipt: Receipt | undefined
}

/** Goes on with a claim that an unreachable organisation interrupted. */
export async function completeClaim(
  host: Connection,
  input: {
    readonly org: string
    readonly hostKey: Uint8Array
    readonly person: Person
    readonly context: DeviceContext
    readonly connectionTo: (org: string) => Connection
    readonly sponsor: Connection
  },
): Promise<ClaimOutcome> {
  const { org, context } = input
  const { person, unfinished } = await finishRenewal(host, input)
  if (unfinished.some((each) => each.org === org)) return { person, unfinished, receipt: undefined }
  const session = await openOwnSession(host, { org, person, context })
  const { receipt } = await sendFor(session, 'POST', '/me/claim/complete', deletionForm)
  return { person, unfinished, receipt: openReceipt(input.hostKey, context.chainId, receipt) }
}

/** A ticket as the desk's answer gives it. */
export function claimTicket(
  answer: { readonly code: string; readonly account: string },
  proofing: ClaimRequest['proofing'],
): ClaimTicket {
  return { code: answer.code, account: fromBase64url(answer.account), proofing }
}
