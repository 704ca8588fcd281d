import { concat, equal, sha256 } from '@salus/core'
import type { ScannedObject } from './pack-scan.ts'

// What a scan of the first `coveredBytes` of a pack would find, so that a start need not read the pack:
//   "SLI1" ‖ coveredBytes u32 ‖ deadBytes u32 ‖ count u32 ‖ count × (address 32 ‖ offset u32 ‖ length u32) ‖ SHA-256 of all before
// It is a convenience: one that does not hold is left aside and the pack is read. Erasing removes it first.
const MAGIC = new Uint8Array([0x53, 0x4c, 0x49, 0x31])
const HEAD_BYTES = 16
const ENTRY_BYTES = 40
const SUM_BYTES = 32

export interface PackIndex {
  readonly coveredBytes: number
  readonly deadBytes: number
  readonly objects: readonly ScannedObject[]
}

export function encodePackIndex({ coveredBytes, deadBytes, objects }: PackIndex): Uint8Array {
  const out = new Uint8Array(HEAD_BYTES + objects.length * ENTRY_BYTES)
  const view = new DataView(out.buffer)
  out.set(MAGIC)
  view.setUint32(4, coveredBytes)
  view.setUint32(8, deadBytes)
  view.setUint32(12, objects.length)
  objects.forEach(({ address, offset, lengthBytes }, i) => {
    const at = HEAD_BYTES + i * ENTRY_BYTES
    out.set(address, at)
    view.setUint32(at + 32, offset)
    view.setUint32(at + 36, lengthBytes)
  })
  return concat(out, sha256(out))
}

/** The index, or undefined if the bytes are not one, whole and unaltered. */
export function decodePackIndex(bytes: Uint8Array): PackIndex | undefined {
  const body = bytes.subarray(0, -SUM_BYTES)
  if (body.length < HEAD_BYTES || !equal(sha256(body), bytes.subarray(-SUM_BYTES))) return undefined
  if (!equal(body.subarray(0, 4), MAGIC)) return undefined
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const count = view.getUint32(12)
  if (body.length !== HEAD_BYTES + count * ENTRY_BYTES) return undefined
  const objects = Array.from({ length: count }, (_, i) => {
    const at = HEAD_BYTES + i * ENTRY_BYTES
    return {
      address: body.slice(at, at + 32),
      offset: view.getUint32(at + 32),
      lengthBytes: view.getUint32(at + 36),
    }
  })
  return { coveredBytes: view.getUint32(4), deadBytes: view.getUint32(8), objects }
}
