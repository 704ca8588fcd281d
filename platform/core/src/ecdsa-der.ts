/**
 * r ‖ s (64 bytes) of a strict DER ECDSA-Sig-Value, so that what is accepted does not depend on how
 * lenient a library is: short lengths, minimal positive integers, nothing behind. Undefined otherwise.
 */
export function fromDer(der: Uint8Array): Uint8Array | undefined {
  if (der.length < 8 || der.length > 72 || der[0] !== 0x30 || der[1] !== der.length - 2) return undefined
  const out = new Uint8Array(64)
  const sAt = readInteger(der, 2, out.subarray(0, 32))
  if (sAt === undefined) return undefined
  return readInteger(der, sAt, out.subarray(32)) === der.length ? out : undefined
}

/** Reads the INTEGER at `at` into 32 bytes; gives the offset behind it. */
function readInteger(der: Uint8Array, at: number, out: Uint8Array): number | undefined {
  const lengthBytes = der[at + 1]
  if (der[at] !== 0x02 || lengthBytes === undefined || lengthBytes < 1 || lengthBytes > 33) return undefined
  const start = at + 2
  const end = start + lengthBytes
  if (end > der.length) return undefined
  const first = der[start] as number
  if (first >= 0x80) return undefined // negative
  const padded = first === 0 && lengthBytes > 1
  if (padded && (der[start + 1] as number) < 0x80) return undefined // not minimal
  const body = der.subarray(padded ? start + 1 : start, end)
  if (body.length > 32) return undefined
  out.set(body, 32 - body.length)
  return end
}
