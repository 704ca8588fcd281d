import {
  AppError,
  decode,
  encode,
  formatNote,
  type NoteSignature,
  type OpenedCheckpoint,
  parseCheckpoint,
  parseNote,
} from '@salus/core'
import type { Disk } from '@salus/host'
import { damaged } from './log-layout.ts'

/** Whether the cosigners with these names make a checkpoint worth proving under. */
export type Sufficient = (names: readonly string[]) => boolean

interface Cosigned {
  readonly size: number
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Checkpoints kept at once. Cosigners that are further behind than this cosign nothing of use. */
const KEPT = 64

/** Checkpoints of one log with the cosignatures that others made, newest last, durable. */
export class CosignedCheckpoints {
  readonly #disk: Disk
  readonly #path: string
  readonly #sufficient: Sufficient
  #kept: readonly Cosigned[]

  private constructor(disk: Disk, path: string, sufficient: Sufficient, kept: readonly Cosigned[]) {
    this.#disk = disk
    this.#path = path
    this.#sufficient = sufficient
    this.#kept = kept
  }

  static async open(disk: Disk, path: string, sufficient: Sufficient): Promise<CosignedCheckpoints> {
    const bytes = await disk.read(path)
    return new CosignedCheckpoints(disk, path, sufficient, bytes ? read(bytes, path) : [])
  }

  /** Adds the cosignatures of `opened`, whose text the log itself vouches for. */
  async add(opened: OpenedCheckpoint): Promise<void> {
    const { size } = opened.checkpoint
    const { text } = opened.note
    const made = opened.note.signatures.filter((line) =>
      opened.signedBy.some(({ key }) => key.name === line.name && key.keyId === line.keyId),
    )
    const before = this.#kept.find((one) => one.text === text)?.signatures ?? []
    // A cosigner's newer cosignature of the same checkpoint replaces its older one.
    const signatures = [
      ...before.filter((old) => !made.some((line) => line.name === old.name && line.keyId === old.keyId)),
      ...made,
    ]
    const next = [...this.#kept.filter((one) => one.text !== text), { size, text, signatures }].sort(
      (a, b) => a.size - b.size,
    )
    const newest = next.findLastIndex((one) => this.#suffices(one))
    const kept = next.slice(Math.max(0, newest)).slice(-KEPT)
    const best = next[newest]
    const whole = best && !kept.includes(best) ? [best, ...kept] : kept
    await this.#disk.write(this.#path, encode(whole.map(formatNote)))
    this.#kept = whole
  }

  /** The cosignatures of exactly this checkpoint text. */
  of(text: string): readonly NoteSignature[] {
    return this.#kept.find((one) => one.text === text)?.signatures ?? []
  }

  /** The newest sufficiently cosigned checkpoint of at least `size` leaves. */
  newest(size = 0): Cosigned | undefined {
    return this.#kept.findLast((one) => one.size >= size && this.#suffices(one))
  }

  /** Of those of at least `size` leaves the one with the most cosigners, the newest of several. */
  fullest(size = 0): Cosigned | undefined {
    let best: Cosigned | undefined
    for (const one of this.#kept) {
      if (one.size >= size && one.signatures.length >= (best?.signatures.length ?? 0)) best = one
    }
    return best
  }

  #suffices({ signatures }: Cosigned): boolean {
    return this.#sufficient(signatures.map(({ name }) => name))
  }
}

function read(bytes: Uint8Array, path: string): Cosigned[] {
  try {
    const notes = decode(bytes, { maxBytes: 64 << 20 })
    if (!Array.isArray(notes)) throw new AppError('LOG_DAMAGED', 'not a list')
    return notes.map((one) => {
      const { text, signatures } = parseNote(String(one))
      return { size: parseCheckpoint(text).size, text, signatures }
    })
  } catch {
    throw damaged(path, 'is not a list of signed notes')
  }
}
