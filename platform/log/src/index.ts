export type { Sufficient } from './cosigned.ts'
export { LEAF_MAX_BYTES, readEntries } from './log-layout.ts'
export { changedMembership, genesisMembership, logKeysOf, type Membership } from './membership.ts'
export {
  blockLogOrigin,
  cosignerKey,
  FACT_KINDS,
  factLeaf,
  factLogOrigin,
  quorumAndWitness,
} from './names.ts'
export {
  decodeReceipt,
  encodeReceipt,
  type KeyHint,
  type Receipt,
  type ReceiptBlock,
  type ReceiptState,
  receiptAuth,
  receiptForm,
} from './receipt.ts'
export type { TileLogOptions } from './recover.ts'
export { TileLog } from './tile-log.ts'
export { formatTilePath, parseTilePath, TILE_WIDTH, type TileAddress } from './tile-path.ts'
export { verifyBlock } from './verify-block.ts'
export { type LogProblem, type LogVerdict, verifyLog } from './verify-log.ts'
export {
  type ReceiptCheck,
  type ReceiptStatus,
  type ReceiptTrust,
  type ReceiptVerdict,
  verifyReceipt,
} from './verify-receipt.ts'
export { Witness, type WitnessAnswer, type WitnessOptions } from './witness.ts'
export { type WitnessAddress, WitnessClient, type WitnessOutcome } from './witness-client.ts'
export { type AddCheckpoint, formatAddCheckpoint, parseAddCheckpoint } from './witness-request.ts'
