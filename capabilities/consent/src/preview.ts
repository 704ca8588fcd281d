import {
  bytes,
  hash,
  type Infer,
  list,
  object,
  oneOf,
  openForm,
  type SignedForm,
  type SigningKey,
  signForm,
  text,
  toHex,
  uint,
} from '@salus/core'
import { type ConditionKinds, noConditions } from './conditions.ts'
import { type Admission, decideVersion } from './decide.ts'
import type { DecisionState, Labels } from './decision.ts'
import type { ReleaseRequest } from './release-request.ts'
import type { Terms } from './terms.ts'
import { COMPARTMENTS } from './vocabulary.ts'

/** One version that a custodian holds of the patient. */
export interface HeldVersion {
  readonly oid: Uint8Array
  readonly labels: Labels
}

/** What a grant on these terms would show: n of the m versions the custodian holds of her. */
export interface Preview {
  readonly shown: readonly Uint8Array[]
  readonly n: number
  readonly m: number
  readonly byCompartment: readonly { readonly compartment: string; readonly n: number; readonly m: number }[]
  readonly byType: readonly { readonly type: string; readonly n: number; readonly m: number }[]
}

/**
 * Runs the decision of a release on draft terms: everything about the version is asked as it would be then; what only
 * a release has (the ledger's grant, the asker's credential, the rate) is taken as given. Pure, so the custodian and
 * the device, from her own keys, get the same numbers. Architecture §9.
 */
export function preview(
  input: {
    readonly terms: Terms
    readonly owner: string
    readonly state: DecisionState
    readonly versions: readonly HeldVersion[]
  },
  kinds: ConditionKinds = noConditions,
): Preview {
  const { terms, owner, state } = input
  const admission = draftAdmission(terms, owner)
  const request = draftRequest(terms)
  const shown: Uint8Array[] = []
  const compartments = new Map<string, { n: number; m: number }>()
  const types = new Map<string, { n: number; m: number }>()
  let m = 0
  for (const { oid, labels } of input.versions) {
    if (labels.owner !== owner) continue
    m++
    const { permit } = decideVersion(admission, request, state, labels, kinds)
    if (permit) shown.push(oid)
    count(compartments, labels.compartment, permit)
    count(types, labels.type, permit)
  }
  const byCompartment = COMPARTMENTS.flatMap((compartment) => {
    const found = compartments.get(compartment)
    return found ? [{ compartment, ...found }] : []
  })
  const byType = [...types]
    .map(([type, found]) => ({ type, ...found }))
    .sort((a, b) => (a.type < b.type ? -1 : 1))
  return { shown, n: shown.length, m, byCompartment, byType }
}

function draftAdmission(terms: Terms, owner: string): Admission {
  const obligations = {
    masks: terms.masks,
    leaseUntilMs: terms.notAfter,
    maxVersions: terms.rate.versions,
    showWithheld: terms.showWithheld,
  }
  return { reasons: [], terms, owner, obligations }
}

function draftRequest(terms: Terms): ReleaseRequest {
  return {
    v: 1,
    g: terms.g,
    seq: 1,
    prev: new Uint8Array(32),
    requestId: new Uint8Array(16),
    time: terms.notBefore,
    actor: terms.grantee,
    purpose: terms.purpose,
    action: terms.actions.includes('read') ? 'read' : (terms.actions[0] as ReleaseRequest['action']),
    replyKey: new Uint8Array(1_216),
    suite: terms.minSuite,
  }
}

function count(into: Map<string, { n: number; m: number }>, name: string, permit: boolean): void {
  const found = into.get(name) ?? { n: 0, m: 0 }
  into.set(name, { n: found.n + (permit ? 1 : 0), m: found.m + 1 })
}

const tally = {
  n: uint('Versions shown'),
  m: uint('Versions held'),
}

/** What a custodian signs about a preview, type `statement`, so that the device can hold it to the numbers. */
export const previewStatementSchema = object('A preview, as the custodian counted it', {
  v: uint('Form version'),
  custodian: text('Organisation', { min: 1, max: 64 }),
  terms: bytes('H(draft terms)', { length: 32 }),
  ...tally,
  shown: bytes('H of the shown objects in ascending order', { length: 32 }),
  byCompartment: list(object('', { compartment: oneOf('Category', COMPARTMENTS), ...tally }), { max: 16 }),
  headHeight: uint('Height of the head'),
  time: uint('ms UTC'),
})
export type PreviewStatement = Infer<typeof previewStatementSchema>

/** `H` over the shown objects in ascending order: the device compares it with its own. */
export function shownHashOf(shown: readonly Uint8Array[]): Uint8Array {
  const ids = shown.map(toHex).sort()
  return hash(...ids)
}

export function signPreview(key: SigningKey, chainId: Uint8Array, statement: PreviewStatement): SignedForm {
  return signForm(previewStatementSchema, statement, { key, type: 'statement', chainId })
}

export function openPreview(
  publicKey: Uint8Array,
  chainId: Uint8Array,
  signed: SignedForm,
): PreviewStatement {
  const limits = { maxBytes: 16_384, version: 1 }
  return openForm(previewStatementSchema, signed, { publicKey, type: 'statement', chainId, ...limits })
}
