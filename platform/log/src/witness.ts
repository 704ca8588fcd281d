import {
  AppError,
  type Checkpoint,
  cosign,
  emptyRoot,
  equal,
  formatNote,
  formatNoteSignature,
  NOTE_COSIGNATURE,
  type Note,
  type NoteSigner,
  parseCheckpoint,
  parseNote,
  sha256,
  toHex,
  utf8,
  type VerifierKey,
  verifiedSignatures,
  verifierKey,
  verifyConsistency,
} from '@salus/core'
import type { Clock, Disk, DiskLock } from '@salus/host'
import { damaged } from './log-layout.ts'
import { type AddCheckpoint, parseAddCheckpoint } from './witness-request.ts'

export interface WitnessOptions {
  readonly disk: Disk
  /** Directory of its memory. A witness that lost it must not go on under the same key. */
  readonly path: string
  /** Its name in cosignatures and its key; a key serves one name. */
  readonly signer: NoteSigner
  readonly clock: Clock
}

/** An HTTP answer, without HTTP. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422
  readonly contentType: string
  readonly body: string
}

interface Known {
  readonly keys: VerifierKey[]
  last: { readonly note: Note; readonly checkpoint: Checkpoint } | undefined
  /** Requests for one log run one after another: the check and the record are one step. */
  queue: Promise<unknown>
}

/**
 * Cosigns checkpoints of known logs, each only as an extension of the one before (C2SP tlog-witness). What it has
 * cosigned is durable before the cosignature leaves, so it never signs two histories, whatever happens in between.
 */
export class Witness {
  /** What verifiers trust: type 0x04. */
  readonly verifierKey: VerifierKey
  readonly #options: WitnessOptions
  readonly #lock: DiskLock
  readonly #logs = new Map<string, Known>()

  private constructor(options: WitnessOptions, lock: DiskLock) {
    this.#options = options
    this.#lock = lock
    this.verifierKey = verifierKey(options.signer.name, options.signer.key.publicKey, NOTE_COSIGNATURE)
  }

  static async open(options: WitnessOptions): Promise<Witness> {
    return new Witness(options, await options.disk.lock(`${options.path}/lock`))
  }

  /** Trusts `key` for checkpoints of `origin`, besides keys it has. What was cosigned of it before is remembered. */
  async addLog(origin: string, key: VerifierKey): Promise<void> {
    const known = this.#logs.get(origin) ?? {
      keys: [],
      last: await this.#read(origin),
      queue: Promise.resolve(),
    }
    this.#logs.set(origin, known)
    if (!known.keys.some((old) => equal(old.publicKey, key.publicKey) && old.name === key.name))
      known.keys.push(key)
  }

  /** The size of the last checkpoint cosigned of this log, 0 for none. */
  sizeOf(origin: string): number {
    return this.#logs.get(origin)?.last?.checkpoint.size ?? 0
  }

  /** Two checkpoints of one size with different roots, both signed by the log: proof that it forked. */
  async evidence(origin: string): Promise<readonly [string, string] | undefined> {
    const { disk } = this.#options
    const [first, second] = await Promise.all([
      disk.read(this.#path(origin, 'fork-1')),
      disk.read(this.#path(origin, 'fork-2')),
    ])
    return first && second ? [new TextDecoder().decode(first), new TextDecoder().decode(second)] : undefined
  }

  /** `POST <prefix>/add-checkpoint`: the request's body in, the answer out. Fails only when the disk does. */
  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    let request: AddCheckpoint
    let note: Note
    let checkpoint: Checkpoint
    try {
      request = parseAddCheckpoint(body)
      note = parseNote(request.checkpoint)
      checkpoint = parseCheckpoint(note.text)
    } catch (error) {
      if (error instanceof AppError) return plain(400, error.message)
      throw error
    }
    const known = this.#logs.get(checkpoint.origin)
    if (!known) return plain(404, 'this witness does not know the log')
    if (!isSigned(note, known.keys)) return plain(403, 'no known key of the log has signed the checkpoint')
    const answer = known.queue.then(() => this.#consider(known, request, note, checkpoint))
    known.queue = answer.catch(() => undefined)
    return answer
  }

  async close(): Promise<void> {
    await Promise.all([...this.#logs.values()].map(({ queue }) => queue))
    await this.#lock.release()
  }

  async #consider(
    known: Known,
    { oldSize, proof }: AddCheckpoint,
    note: Note,
    checkpoint: Checkpoint,
  ): Promise<WitnessAnswer> {
    const { size, root, origin } = checkpoint
    const last = known.last?.checkpoint ?? { size: 0, root: emptyRoot }
    if (known.last && size === last.size && !equal(root, last.root)) {
      await this.#options.disk.write(this.#path(origin, 'fork-1'), utf8(formatNote(known.last.note)))
      await this.#options.disk.write(this.#path(origin, 'fork-2'), utf8(formatNote(note)))
    }
    if (oldSize > size) return plain(400, 'old size: must not be above the size of the checkpoint')
    if (oldSize !== last.size) return conflict(last.size)
    if (size === last.size && !equal(root, last.root))
      return size === 0 ? plain(422, 'the root of no leaves is H("")') : conflict(last.size)
    const consistent =
      oldSize === 0
        ? proof.length === 0
        : verifyConsistency({ size1: oldSize, size2: size, root1: last.root, root2: root, proof })
    if (!consistent) return plain(422, 'the consistency proof does not verify')

    const { disk, signer, clock } = this.#options
    if (size > last.size || !known.last) {
      await disk.write(this.#path(origin, 'last'), utf8(formatNote(note)))
      known.last = { note, checkpoint }
    }
    return plain(200, formatNoteSignature(cosign(note.text, signer, Math.floor(clock.now() / 1_000))))
  }

  #path(origin: string, what: 'last' | 'fork-1' | 'fork-2'): string {
    return `${this.#options.path}/${toHex(sha256(utf8(origin)))}.${what}`
  }

  async #read(origin: string): Promise<Known['last']> {
    const path = this.#path(origin, 'last')
    const bytes = await this.#options.disk.read(path)
    if (!bytes) return undefined
    try {
      const note = parseNote(bytes)
      const checkpoint = parseCheckpoint(note.text)
      if (checkpoint.origin === origin) return { note, checkpoint }
    } catch {
      // Said below.
    }
    throw damaged(
      path,
      'is not the last checkpoint of its log; a witness without its memory must retire its key',
    )
  }
}

function isSigned(note: Note, keys: readonly VerifierKey[]): boolean {
  try {
    return verifiedSignatures(note, keys).length > 0
  } catch {
    return false
  }
}

function plain(status: WitnessAnswer['status'], text: string): WitnessAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: text.endsWith('\n') ? text : `${text}\n` }
}

function conflict(size: number): WitnessAnswer {
  return { status: 409, contentType: 'text/x.tlog.size', body: `${size}\n` }
}
