import { concat, type Random, sha256, utf8 } from '@salus/core'

/** Repeatable randomness for tests: SHA-256 over a label and a counter. */
export function repeatable(label: string): Random {
  let count = 0
  return (lengthBytes) => {
    const blocks: Uint8Array[] = []
    for (let have = 0; have < lengthBytes; have += 32) blocks.push(sha256(utf8(`${label}/${count++}`)))
    return concat(...blocks).slice(0, lengthBytes)
  }
}

/** Hands out the given bytes in order, whatever the sizes asked for, and throws when they are used up. */
export function scripted(bytes: Uint8Array): Random {
  let at = 0
  return (lengthBytes) => {
    if (at + lengthBytes > bytes.length) throw new Error('scripted randomness is used up')
    at += lengthBytes
    return bytes.slice(at - lengthBytes, at)
  }
}
