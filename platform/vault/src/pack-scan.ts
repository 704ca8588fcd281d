import { equal, sha256 } from '@salus/core'
import { FRAME_BYTES, type Frame, readFrame } from './pack-format.ts'

export interface ScannedObject {
  readonly address: Uint8Array
  /** Of the frame. */
  readonly offset: number
  readonly lengthBytes: number
}

/** What a pack holds from some offset on. Contents of objects are not hashed, but for the tail's. */
export interface PackScan {
  readonly objects: readonly ScannedObject[]
  /** Bytes of erased frames, headers included. */
  readonly deadBytes: number
  /** Stretches that are no frames, in the part that was proven durable: alterations. */
  readonly unreadable: readonly { readonly offset: number; readonly lengthBytes: number }[]
  /**
   * Where a tail begins that a crash tore (or that cannot be told from one), if there is one. `objects` has
   * nothing of it; `salvaged` has what of it still hashes to its address.
   */
  readonly tornAt: number | undefined
  readonly salvaged: readonly { readonly address: Uint8Array; readonly bytes: Uint8Array }[]
}

interface Step {
  readonly offset: number
  readonly end: number
  readonly frame: Frame | undefined
}

/** Reads the frames of a pack; `bytes` is the whole file, what lies before `from` is known already. */
export function scanPack(bytes: Uint8Array, from: number): PackScan {
  const steps = [...walk(bytes, from)]
  const provenEnd = proven(bytes, steps, from)
  const torn = provenEnd < bytes.length
  const tail = steps.filter((step) => step.offset >= provenEnd)
  const kept = steps.filter((step) => step.offset < provenEnd)
  return {
    objects: kept.flatMap(objectOf),
    deadBytes: kept.reduce(
      (sum, step) => sum + (step.frame?.kind === 'erased' ? step.end - step.offset : 0),
      0,
    ),
    unreadable: kept
      .filter((step) => step.frame === undefined)
      .map(({ offset, end }) => ({ offset, lengthBytes: end - offset })),
    tornAt: torn ? provenEnd : undefined,
    salvaged: torn ? tail.flatMap(objectOf).flatMap((object) => salvage(bytes, object)) : [],
  }
}

/** The content of an object's frame. */
export const contentOf = (bytes: Uint8Array, { offset, lengthBytes }: ScannedObject): Uint8Array =>
  bytes.subarray(offset + FRAME_BYTES, offset + FRAME_BYTES + lengthBytes)

function* walk(bytes: Uint8Array, from: number): Generator<Step> {
  let offset = from
  while (offset < bytes.length) {
    const frame = readFrame(bytes, offset)
    const end = frame === undefined ? 0 : endOf(frame, offset)
    if (frame !== undefined && end <= bytes.length) {
      yield { offset, end, frame }
      offset = end
      continue
    }
    const next = resume(bytes, offset + 1)
    yield { offset, end: next, frame: undefined }
    offset = next
  }
}

/** A batch or pack frame ends with its header: what it holds are frames of their own. */
function endOf(frame: Frame, offset: number): number {
  return offset + FRAME_BYTES + (frame.kind === 'object' || frame.kind === 'erased' ? frame.length : 0)
}

/**
 * The next place where frames go on. An object's content may contain what looks like a frame, so an object
 * counts only if it hashes to its address; then it is what it says, wherever it lies.
 */
function resume(bytes: Uint8Array, from: number): number {
  for (let offset = from; offset + FRAME_BYTES <= bytes.length; offset++) {
    if (bytes[offset] !== 0x53 || bytes[offset + 1] !== 0x4c) continue
    const frame = readFrame(bytes, offset)
    if (frame === undefined || endOf(frame, offset) > bytes.length) continue
    if (frame.kind === 'batch') return offset
    if (frame.kind === 'object' && salvage(bytes, { ...frame, offset, lengthBytes: frame.length }).length > 0)
      return offset
  }
  return bytes.length
}

/**
 * Everything before the last batch was durable when that batch was written; the last batch is whole if all of its
 * frames hold. What follows that is a tail that a crash tore.
 */
function proven(bytes: Uint8Array, steps: readonly Step[], from: number): number {
  const last = steps.findLastIndex((step) => step.frame?.kind === 'batch')
  const batch = steps[last]
  if (batch?.frame === undefined) return steps[0]?.frame?.kind === 'pack' ? steps[0].end : from
  const end = batch.end + batch.frame.length
  const inside = steps.slice(last + 1).filter((step) => step.offset < end)
  return end === (inside.at(-1) ?? batch).end && inside.every((step) => holds(bytes, step))
    ? end
    : batch.offset
}

/** Whether a step is a frame, and an object hashes to its address. */
const holds = (bytes: Uint8Array, step: Step): boolean =>
  step.frame !== undefined && objectOf(step).every((object) => salvage(bytes, object).length > 0)

function objectOf({ frame, offset }: Step): ScannedObject[] {
  return frame?.kind === 'object' ? [{ address: frame.address, offset, lengthBytes: frame.length }] : []
}

function salvage(bytes: Uint8Array, object: ScannedObject): { address: Uint8Array; bytes: Uint8Array }[] {
  const content = contentOf(bytes, object)
  return equal(sha256(content), object.address) ? [{ address: object.address, bytes: content.slice() }] : []
}
