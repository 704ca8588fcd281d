import { bytes, type Infer, object, optional, text, uint } from '@salus/core'
import { MAX_ORG_CHARS } from '../tx/limits.ts'

// Forms that the built-in contracts and genesis share.

export const orgId = text('Organisation id: 1–63 of a–z, 0–9 and inner dashes', {
  min: 1,
  max: MAX_ORG_CHARS,
})
export const orgName = text('Name of the organisation, for people', { min: 1, max: 200 })
export const orgUrl = text('Where its node is reached, https', { max: 200 })
export const ed25519Key = bytes('Ed25519 public key', { length: 32 })
export const proposalId = bytes('Proposal id, drawn by the proposer', { length: 16 })
export const height = uint('Height of a block')
export const timeMs = uint('Milliseconds since 1970-01-01 UTC')

const keyFields = {
  sign: bytes('Ed25519: signs bundles, calls, statements', { length: 32 }),
  seal: bytes('X-Wing: what is sealed to the organisation', { length: 1216 }),
  log: bytes("Ed25519: signs its logs' checkpoints and cosigns blocks", { length: 32 }),
} as const

export const organisationKeys = object('Public keys of an organisation', {
  ...keyFields,
  tls: optional(bytes('SHA-256 of the TLS key (SubjectPublicKeyInfo)', { length: 32 })),
  validator: optional(bytes('Ed25519: consensus validator', { length: 32 })),
})
export type OrganisationKeys = Infer<typeof organisationKeys>

/** A member as genesis and an admission name it (protocol §11). */
export const memberFields = { org: orgId, name: orgName, url: orgUrl, ...keyFields } as const
export const memberForm = object('An organisation that runs a node', memberFields)
export type MemberForm = Infer<typeof memberForm>

/** Ten years: what is added to a time stays a whole number. */
const MAX_SPAN_MS = 10 * 366 * 24 * 60 * 60 * 1000
const span = (doc: string) => uint(doc, { max: MAX_SPAN_MS })

/** Parameters of the network; changed by vote, one at a time. */
export const paramsForm = object('Parameters of the network', {
  quotaUnitsPerSecond: uint('Refill of a sponsor’s bucket: 1 unit per body and per started KiB', {
    max: 1_000_000,
  }),
  quotaBurstUnits: uint('Size of a sponsor’s bucket, units', { max: 100_000_000 }),
  votingMs: span('How long a proposal stays open'),
  heartbeatMs: span('Longest time between blocks'),
  tickMs: span('How long sponsors collect privacy-sensitive calls before they shuffle them'),
  freshnessTreatmentMs: span('Oldest head on which a release for treatment may rest'),
  freshnessOtherMs: span('Oldest head on which any other release may rest'),
  answerMs: span('How long a log has to answer a challenge'),
  writeFloor: uint('Lowest suite that may be written; only rises', { max: 65_535 }),
  readFloor: uint('Lowest suite that may be read; only rises', { max: 65_535 }),
})
export type Params = Infer<typeof paramsForm>
export type ParamName = keyof Params
export const PARAM_NAMES = Object.keys(paramsForm.fields) as readonly ParamName[] as readonly [
  ParamName,
  ...ParamName[],
]

/** What a network starts with unless its genesis says otherwise. */
export const DEFAULT_PARAMS: Params = {
  quotaUnitsPerSecond: 5_000,
  quotaBurstUnits: 100_000,
  votingMs: 7 * 24 * 60 * 60 * 1000,
  heartbeatMs: 15_000,
  tickMs: 0,
  freshnessTreatmentMs: 15 * 60 * 1000,
  freshnessOtherMs: 60 * 1000,
  answerMs: 60 * 60 * 1000,
  writeFloor: 1,
  readFloor: 1,
}

/** Least values a vote may set: with less, nobody could vote again to mend it. */
export const LEAST_PARAMS: Partial<Params> = {
  // The largest bundle costs 384 units.
  quotaUnitsPerSecond: 1,
  quotaBurstUnits: 384,
  votingMs: 60 * 60 * 1000,
  heartbeatMs: 1_000,
}
