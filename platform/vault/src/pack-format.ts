import { equal, sha256 } from '@salus/core'

// A pack is a row of frames. Every frame has a header of 48 bytes:
//   magic 4 ‖ length u32 BE ‖ address 32 ‖ check 8 (first bytes of SHA-256 over the 40 before)
// pack:   first in the file; length = format version; address = number of the pack it replaces (u32 BE), then zeros
// batch:  starts what one putMany wrote; length = bytes of the frames in it. A batch is written only after the one
//         before it was durable, so its presence proves everything before it; an empty batch only does that
// object: length = bytes of the object that follow
// erased: length = bytes of zeros that follow; address is zeros
export const FRAME_BYTES = 48
export const PACK_VERSION = 1
/** Packs grow to at most this many bytes. */
export const PACK_MAX_BYTES = 64 * 1024 * 1024

const ADDRESS_BYTES = 32
const CHECK_AT = 40
const MAGICS = { pack: 'SLP1', batch: 'SLB1', object: 'SLO1', erased: 'SLX1' } as const
const NO_ADDRESS = new Uint8Array(ADDRESS_BYTES)

export type FrameKind = keyof typeof MAGICS

export interface Frame {
  readonly kind: FrameKind
  readonly length: number
  readonly address: Uint8Array
}

/** Header of a frame, 48 B. */
export function frameHeader(kind: FrameKind, length: number, address: Uint8Array = NO_ADDRESS): Uint8Array {
  const header = new Uint8Array(FRAME_BYTES)
  for (let i = 0; i < 4; i++) header[i] = MAGICS[kind].charCodeAt(i)
  viewOf(header).setUint32(4, length)
  header.set(address, 8)
  header.set(sha256(header.subarray(0, CHECK_AT)).subarray(0, FRAME_BYTES - CHECK_AT), CHECK_AT)
  return header
}

/** The frame header at `offset`, or undefined if there is none that holds. */
export function readFrame(bytes: Uint8Array, offset: number): Frame | undefined {
  if (offset + FRAME_BYTES > bytes.length) return undefined
  if (bytes[offset] !== 0x53 || bytes[offset + 1] !== 0x4c || bytes[offset + 3] !== 0x31) return undefined
  const kind = KINDS.get(bytes[offset + 2] ?? 0)
  if (kind === undefined) return undefined
  const check = sha256(bytes.subarray(offset, offset + CHECK_AT))
  if (
    !equal(check.subarray(0, FRAME_BYTES - CHECK_AT), bytes.subarray(offset + CHECK_AT, offset + FRAME_BYTES))
  ) {
    return undefined
  }
  return { kind, length: viewOf(bytes).getUint32(offset + 4), address: bytes.slice(offset + 8, offset + 40) }
}

const KINDS = new Map<number, FrameKind>(
  (Object.keys(MAGICS) as FrameKind[]).map((kind) => [MAGICS[kind].charCodeAt(2), kind]),
)

/** First frame of a pack file. `replaces`: number of the pack whose live objects it took over, or 0. */
export function packHeader(replaces: number): Uint8Array {
  const address = new Uint8Array(ADDRESS_BYTES)
  viewOf(address).setUint32(0, replaces)
  return frameHeader('pack', PACK_VERSION, address)
}

/** What a pack's first frame says; undefined if it cannot be read. */
export function readPackHeader(bytes: Uint8Array): { version: number; replaces: number } | undefined {
  const frame = readFrame(bytes, 0)
  if (frame?.kind !== 'pack') return undefined
  return { version: frame.length, replaces: viewOf(frame.address).getUint32(0) }
}

/** Frames of one flush, as one piece of bytes to append; the batch frame is first. */
export function batchBytes(objects: readonly { address: Uint8Array; bytes: Uint8Array }[]): Uint8Array {
  const length = objects.reduce((sum, { bytes }) => sum + FRAME_BYTES + bytes.length, 0)
  const out = new Uint8Array(FRAME_BYTES + length)
  out.set(frameHeader('batch', length))
  let at = FRAME_BYTES
  for (const { address, bytes } of objects) {
    out.set(frameHeader('object', bytes.length, address), at)
    out.set(bytes, at + FRAME_BYTES)
    at += FRAME_BYTES + bytes.length
  }
  return out
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
