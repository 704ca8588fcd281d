import { native } from '#native'
import { fromHex } from './bytes.ts'

/**
 * y of every point of order 1, 2, 4 or 8, little-endian with the sign bit clear, in each encoding that
 * fits 255 bits: 0, 1, p - 1, p, p + 1 and the two of order 8.
 */
const SMALL_ORDER = [
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(fromHex)

/**
 * Whether `signature` (64 bytes) over `message` holds for `publicKey` (32 bytes). Never throws.
 *
 * The one rule of the network, on every runtime: RFC 8032 §5.1.7 with S < L and without the cofactor, where
 * key and R must be canonical and not of small order. node:crypto alone would not do: Node 22 takes points of
 * small order, Node 24 does not, on the same OpenSSL. `checkSignatureAcceptance` pins it.
 * Measured on one of two shared cores: Node 24 7,700 a second for fresh keys and 10,800 for known ones, the
 * browser's layer (in Node) 450.
 */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  if (isRefused(publicKey) || isRefused(signature)) return false
  return native.ed25519Verify(publicKey, message, signature)
}

/** Whether the first 32 bytes encode a point of small order, or a y of p or more. */
function isRefused(bytes: Uint8Array): boolean {
  const top = (bytes[31] as number) & 0x7f
  if (top === 0x7f && (bytes[0] as number) >= 0xed && isFilled(bytes)) return true
  for (const point of SMALL_ORDER) {
    if (point[0] === bytes[0] && point[31] === top && agrees(point, bytes)) return true
  }
  return false
}

function isFilled(bytes: Uint8Array): boolean {
  for (let i = 1; i < 31; i++) if (bytes[i] !== 0xff) return false
  return true
}

function agrees(point: Uint8Array, bytes: Uint8Array): boolean {
  for (let i = 1; i < 31; i++) if (point[i] !== bytes[i]) return false
  return true
}
