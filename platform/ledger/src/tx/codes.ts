/**
 * What became of a bundle or a body, as in `txRoot`. Append only: codes are consensus.
 * 0–99 are the runtime's; contracts number their rejections from 100 (ContractSchema.rejects).
 */
export const CODES = {
  /** The bundle's envelope ran; the body's call took effect. */
  OK: 0,
  /** Not strict DAG-CBOR, an unknown version, a missing or unknown member, or over a limit. */
  MALFORMED: 1,
  WRONG_CHAIN: 2,
  /** Bundle: the sponsor is no member in the state before the block. */
  UNKNOWN_SPONSOR: 3,
  BAD_SIGNATURE: 4,
  /** Bundle: the sponsor is suspended or has left. */
  SUSPENDED: 5,
  /** `until` is before block time. */
  EXPIRED: 6,
  /** `until` is more than ten minutes after block time. */
  UNTIL_TOO_FAR: 7,
  REPLAYED: 8,
  /** Bundle: the sponsor's bucket does not hold its cost. */
  QUOTA: 9,
  /** No active contract has this call. */
  UNKNOWN_CALL: 10,
  /** The arguments do not fit the call's schema. */
  BAD_ARGS: 11,
  /** A call inside the call rejected; the result is `[contract, code, data]`. */
  REJECTED_INSIDE: 12,
} as const

export type RuntimeCode = (typeof CODES)[keyof typeof CODES]

const names = new Map<number, string>(Object.entries(CODES).map(([name, code]) => [code, name]))

/** The name of a runtime code, undefined for a contract's. */
export function runtimeCodeName(code: number): string | undefined {
  return names.get(code)
}

/**
 * Whether a body with this code is recorded: it had a valid signature and came in time, so its id is used up.
 * What is not recorded appears in `txRoot` under `H(item)`, so that nobody can burn another's txId.
 */
export function isRecorded(code: number): boolean {
  return code === CODES.OK || code >= CODES.UNKNOWN_CALL
}
