import { type FileHandle, open } from 'node:fs/promises'
import { codeOf } from './disk-error.ts'

/** Bytes given to one read call, since Node refuses more than 2 GiB at once. */
const READ_MAX_BYTES = 1 << 30

/** Opens a file, or undefined when there is none. */
export async function openOrNone(absolute: string, flags: string): Promise<FileHandle | undefined> {
  return open(absolute, flags).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
}

/** Reads from `offset`; fewer bytes only where the file ends. */
export async function readAt(handle: FileHandle, offset: number, lengthBytes: number): Promise<Uint8Array> {
  const room = new Uint8Array(Math.max(0, Math.min(lengthBytes, (await handle.stat()).size - offset)))
  let filled = 0
  while (filled < room.length) {
    const { bytesRead } = await handle.read(
      room,
      filled,
      Math.min(READ_MAX_BYTES, room.length - filled),
      offset + filled,
    )
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return room.subarray(0, filled)
}

/** Writes every byte, at `position` or where the handle stands. */
export async function writeAll(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number | undefined,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(
      bytes,
      done,
      bytes.length - done,
      position === undefined ? null : position + done,
    )
    done += bytesWritten
  }
}
