/** How many slots: organisations, delegates and staff of a large network fit; patients' keys are used once. */
const SLOTS = 2048

interface Slot<T> {
  readonly key: Uint8Array
  /** Absent until the key was seen a second time. */
  value: T | undefined
  /** A stranger takes the place only after another stranger came and the resident was not used in between. */
  held: boolean
}

/**
 * Bounded direct-mapped cache from public keys to parsed key objects. A key is kept only from its
 * second sighting on, so one-time keys pay for a byte comparison and no more, and keys in use stay.
 * @param parse throws on a malformed key; nothing is kept then
 */
export function keyCache<T>(parse: (key: Uint8Array) => T): (key: Uint8Array) => T {
  const slots: (Slot<T> | undefined)[] = new Array(SLOTS).fill(undefined)
  return (key) => {
    // Two bytes in the middle: the first byte of a compressed point and the last of an Ed25519 key are biased.
    const at = (((key[8] ?? 0) << 8) | (key[9] ?? 0)) % SLOTS
    const slot = slots[at]
    if (slot !== undefined && sameBytes(slot.key, key)) {
      slot.value ??= parse(key)
      slot.held = true
      return slot.value
    }
    const value = parse(key)
    if (slot?.held === true) slot.held = false
    else slots[at] = { key: key.slice(), value: undefined, held: false }
    return value
  }
}

/** Public keys only: not constant-time. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
