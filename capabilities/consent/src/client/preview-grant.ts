import {
  AppError,
  bytes,
  equal,
  type Infer,
  list,
  object,
  sha256,
  text,
  toBase64url,
  uint,
} from '@salus/core'
import { type Connection, sendFor } from '@salus/sdk'
import { type ConditionKinds, noConditions } from '../conditions.ts'
import type { DecisionState } from '../decision.ts'
import {
  type HeldVersion,
  openPreview,
  type Preview,
  type PreviewStatement,
  preview,
  shownHashOf,
} from '../preview.ts'
import { decodeTerms } from '../terms.ts'

const tally = { n: uint('Versions shown'), m: uint('Versions held') }
const previewForm = object('A preview', {
  ...tally,
  shown: list(bytes('Object', { length: 16 }), { max: 1_000_000 }),
  byCompartment: list(object('', { compartment: text('Category', { max: 64 }), ...tally }), { max: 16 }),
  byType: list(object('', { type: text('FHIR type', { max: 64 }), ...tally }), { max: 256 }),
  statement: bytes('What the custodian signed', { max: 16_384 }),
  sig: bytes('Signature, type statement', { length: 64 }),
})

/** A custodian's preview, its signature checked. */
export interface SignedPreview {
  readonly preview: Preview
  readonly statement: PreviewStatement
}

/**
 * Asks the custodian (a session there) what draft terms would show, and holds the numbers to what it signed.
 * Throws AppError `BAD_SIGNATURE`, `PREVIEW` where numbers and statement differ, and the custodian's own.
 */
export async function previewGrant(
  connection: Connection,
  input: {
    /** Encoded terms. */
    readonly terms: Uint8Array
    readonly chainId: Uint8Array
    /** The custodian's `sign` key, as the ledger has it. */
    readonly custodianKey: Uint8Array
  },
): Promise<SignedPreview> {
  const { terms, chainId, custodianKey } = input
  const told: Infer<typeof previewForm> = await sendFor(connection, 'POST', '/me/preview', previewForm, {
    json: { terms: toBase64url(terms) },
  })
  const { statement: bytesOf, sig, ...preview } = told
  const statement = openPreview(custodianKey, chainId, { bytes: bytesOf, sig })
  const differ = (field: string): never => {
    throw new AppError('PREVIEW', `${field}: is not what the custodian signed; do not rely on this preview`, {
      field,
    })
  }
  if (!equal(statement.terms, sha256(terms))) differ('terms')
  if (statement.custodian !== decodeTerms(terms).custodian) differ('custodian')
  if (statement.n !== preview.n || statement.m !== preview.m) differ('n')
  if (preview.shown.length !== preview.n || !equal(statement.shown, shownHashOf(preview.shown)))
    differ('shown')
  return { preview, statement }
}

/**
 * Runs the same decision on the device, over the versions and labels that her own keys opened. Throws AppError
 * `PREVIEW` naming what differs: versions that the custodian counts and did not hand over, or a decision that is not
 * the one this program makes.
 */
export function checkPreview(
  signed: SignedPreview,
  input: {
    readonly terms: Uint8Array
    /** Current versions of this custodian, with the labels that the device made of them. */
    readonly versions: readonly HeldVersion[]
    /** The person's name in those labels; any text, the same in all. */
    readonly owner: string
    readonly state: DecisionState
    readonly kinds?: ConditionKinds
  },
): Preview {
  const { terms, versions, owner, state, kinds = noConditions } = input
  const own = preview({ terms: decodeTerms(terms), owner, state, versions }, kinds)
  const differ = (field: string, rule: string): never => {
    throw new AppError('PREVIEW', `${field}: ${rule}`, {
      field,
      own: own.n,
      custodian: signed.statement.n,
    })
  }
  if (own.m !== signed.statement.m) differ('m', 'the custodian counts other versions than it handed over')
  if (own.n !== signed.statement.n) differ('n', 'the custodian would show another number of versions')
  if (!equal(shownHashOf(own.shown), signed.statement.shown))
    differ('shown', 'the custodian would show other versions')
  return own
}

/** The little of a state that a preview on the device looks at; conditions that read more cannot be run there. */
export function previewState(input: {
  readonly chainId: Uint8Array
  readonly custodian: string
  readonly nowMs: number
  readonly head: { readonly height: number; readonly timeMs: number }
  readonly readFloor?: number
}): DecisionState {
  return {
    chainId: input.chainId,
    custodian: input.custodian,
    clockMs: input.nowMs,
    head: input.head,
    revokedOnSight: false,
    links: [],
    log: 'open',
    params: { readFloor: input.readFloor ?? 1, freshnessTreatmentMs: 900_000, freshnessOtherMs: 60_000 },
    usage: { requestsLastHour: 0, versionsLastHour: 0, lastSeq: 0, lastRequest: new Uint8Array(32) },
  }
}
