import { fromBase64url, fromHex, toHex } from '@salus/core'
import { usage } from './command.ts'

/** A genesis id as people write it: 64 hex digits, or base64url. Throws AppError `USAGE`. */
export function readGenesisId(text: string): Uint8Array {
  try {
    const id = /^[0-9a-fA-F]{64}$/.test(text) ? fromHex(text.toLowerCase()) : fromBase64url(text)
    if (id.length === 32) return id
  } catch {
    // Said below.
  }
  throw usage('--genesis: must be a genesis id, 64 hex digits; the network publishes it')
}

export const showId = (id: Uint8Array): string => toHex(id)
