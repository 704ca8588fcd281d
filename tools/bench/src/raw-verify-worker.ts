import { createPublicKey, verify } from 'node:crypto'
import { serveTasks } from '@salus/host/system'

/** Signatures end to end: public key (32) ‖ signature (64) ‖ message. */
export interface RawJob {
  readonly bytes: Uint8Array
  readonly messageBytes: number
}

const spki = Buffer.from('302a300506032b6570032100', 'hex')

// The reference of the body benchmark: OpenSSL's Ed25519 alone, each key imported for one use.
serveTasks<RawJob, number>(({ bytes, messageBytes }) => {
  const stride = 96 + messageBytes
  let valid = 0
  for (let at = 0; at < bytes.length; at += stride) {
    const key = createPublicKey({
      key: Buffer.concat([spki, bytes.subarray(at, at + 32)]),
      format: 'der',
      type: 'spki',
    })
    if (verify(null, bytes.subarray(at + 96, at + stride), key, bytes.subarray(at + 32, at + 96))) valid++
  }
  return valid
})
