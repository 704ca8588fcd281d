import {
  AppError,
  bytes,
  concat,
  decodeForm,
  encodeForm,
  equal,
  gcmOpen,
  gcmSeal,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  type Random,
  sha256,
  text,
  tuple,
  uint,
} from '@salus/core'
import { ROOT_KINDS } from './root-provider.ts'

// A generation's file: "SLKS" ‖ length u32 ‖ header (CBOR) ‖ frames.
// Frame: seq u32 ‖ length u32 ‖ check 8 (first bytes of SHA-256 over the 8 before) ‖ GCM(KSK, changes, aad = context ‖ seq).
// Header and frame 0 (all keys alive at the start) are written as one whole; later frames are appended, one a flush.
// A frame is written only after the one before was durable, so only the last can be torn; an empty one proves it.
const MAGIC = new Uint8Array([0x53, 0x4c, 0x4b, 0x53])
const FRAME_HEAD_BYTES = 16
const VERSION = 1
/** A generation's file, and a flush, are at most this long. */
export const KEYSTORE_MAX_BYTES = 512 * 1024 * 1024

const headerForm = object('Header of a keystore generation', {
  v: uint('Form version'),
  keystoreId: bytes('Random id', { length: 16 }),
  generation: uint('From 1'),
  root: oneOf('Root provider', ROOT_KINDS),
  wrapped: bytes('KSK under the root key', { max: 4_096 }),
})
export type KeystoreHeader = Infer<typeof headerForm>

/** A key put (with `key`) or deleted (without). */
const changesForm = list(
  object('', {
    name: text('Name', { min: 1, max: 200 }),
    key: optional(bytes('Key', { min: 1, max: 4_096 })),
  }),
  { max: 2_000_000 },
)
export type KeyChange = Infer<typeof changesForm>[number]

/** What is bound into a wrapped KSK and every frame. */
export const keystoreContext = ({
  keystoreId,
  generation,
}: Pick<KeystoreHeader, 'keystoreId' | 'generation'>) => tuple('salus/keystore/v1', keystoreId, generation)

export function encodeHeader(fields: Omit<KeystoreHeader, 'v'>): Uint8Array {
  const header = encodeForm(headerForm, { v: VERSION, ...fields })
  return concat(MAGIC, u32(header.length), header)
}

/** Header and where the frames begin. Errors: KEYSTORE_ALTERED, KEYSTORE_NEWER. */
export function decodeHeader(file: string, content: Uint8Array): { header: KeystoreHeader; end: number } {
  const length = content.length < 8 ? 0 : readU32(content, 4)
  if (!equal(content.subarray(0, 4), MAGIC) || length > 8_192 || 8 + length > content.length) {
    throw altered(file, 0, 'the header is not that of a keystore')
  }
  try {
    const header = decodeForm(headerForm, content.subarray(8, 8 + length), {
      maxBytes: 8_192,
      version: VERSION,
    })
    return { header, end: 8 + length }
  } catch (error) {
    if (error instanceof AppError && error.code === 'UNKNOWN_VERSION') {
      throw new AppError('KEYSTORE_NEWER', `${file}: made by a newer program; use that one`, { file })
    }
    throw altered(file, 0, 'the header does not hold')
  }
}

export interface FrameKeys {
  readonly ksk: Uint8Array
  /** From `keystoreContext`. */
  readonly context: Uint8Array
}

export function encodeFrame(
  options: FrameKeys & {
    readonly seq: number
    readonly changes: readonly KeyChange[]
    readonly random: Random
  },
): Uint8Array {
  const plaintext = encodeForm(changesForm, [...options.changes])
  const sealed = gcmSeal({ key: options.ksk, aad: aadOf(options), plaintext, random: options.random })
  plaintext.fill(0)
  const head = concat(u32(options.seq), u32(sealed.length))
  return concat(head, sha256(head).subarray(0, 8), sealed)
}

export interface ReadFrames {
  readonly changes: readonly KeyChange[]
  /** Number of the next frame. */
  readonly nextSeq: number
  /** Where whole frames end; what follows is a torn flush. */
  readonly end: number
}

/** Reads frames to the end, or to where a crash tore the last. Errors: KEYSTORE_ALTERED. */
export function decodeFrames(
  options: FrameKeys & { readonly file: string; readonly content: Uint8Array; readonly from: number },
): ReadFrames {
  const { content, file } = options
  const changes: KeyChange[] = []
  let at = options.from
  let seq = 0
  while (at < content.length) {
    const frame = frameAt(options, at, seq)
    if (frame === undefined) break
    for (const change of frame.changes) changes.push(change)
    at = frame.end
    seq++
  }
  if (seq === 0) throw altered(file, at, 'the first entries do not open')
  for (let later = at + 1; later + FRAME_HEAD_BYTES <= content.length; later++) {
    const number = readU32(content, later)
    if (number < seq || number > seq + 1_000_000) continue
    if (frameAt(options, later, number) !== undefined)
      throw altered(file, at, 'an entry in the middle does not open')
  }
  return { changes, nextSeq: seq, end: at }
}

function frameAt(
  options: FrameKeys & { readonly content: Uint8Array },
  at: number,
  seq: number,
): { changes: KeyChange[]; end: number } | undefined {
  const { content } = options
  if (at + FRAME_HEAD_BYTES > content.length) return undefined
  const head = content.subarray(at, at + 8)
  const end = at + FRAME_HEAD_BYTES + readU32(content, at + 4)
  if (readU32(content, at) !== seq || end > content.length) return undefined
  if (!equal(sha256(head).subarray(0, 8), content.subarray(at + 8, at + FRAME_HEAD_BYTES))) return undefined
  try {
    const opened = gcmOpen({
      key: options.ksk,
      aad: aadOf({ ...options, seq }),
      sealed: content.subarray(at + FRAME_HEAD_BYTES, end),
    })
    return { changes: decodeForm(changesForm, opened, { maxBytes: KEYSTORE_MAX_BYTES }), end }
  } catch (error) {
    if (error instanceof AppError && error.code === 'OPEN_FAILED') return undefined
    throw error
  }
}

export const altered = (file: string, offset: number, what: string) =>
  new AppError(
    'KEYSTORE_ALTERED',
    `${file}, offset ${offset}: ${what}; restore the keystore from its backup`,
    {
      file,
      offset,
    },
  )

const aadOf = ({ context, seq }: { context: Uint8Array; seq: number }): Uint8Array =>
  concat(context, u32(seq))

function u32(value: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value)
  return out
}

const readU32 = (from: Uint8Array, at: number): number =>
  new DataView(from.buffer, from.byteOffset, from.byteLength).getUint32(at)
