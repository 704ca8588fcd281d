import { assert } from '@salus/core'

/** Where an object lies. `pack` is the pack's number, or `OWN_FILE`. `offset` is that of its frame. */
export interface Place {
  readonly pack: number
  readonly offset: number
  readonly lengthBytes: number
}

/** `pack` of an object that is a file of its own. */
export const OWN_FILE = 0xffff_ffff

const KEY_BYTES = 32
const FIELDS = 3
const MIN_SLOTS = 1_024
/** `lengthBytes` of an empty slot: no object is that long. */
const EMPTY = 0xffff_ffff

/**
 * Address → place, in two flat arrays with open addressing: 44 B a slot, at most three quarters full, so 60 to 120 B
 * an object. Addresses are SHA-256 outputs, so their first four bytes are the hash.
 */
export class AddressIndex {
  #slots = MIN_SLOTS
  #keys = new Uint8Array(MIN_SLOTS * KEY_BYTES)
  #places = new Uint32Array(MIN_SLOTS * FIELDS).fill(EMPTY)
  #count = 0

  get size(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#keys.byteLength + this.#places.byteLength
  }

  get(address: Uint8Array): Place | undefined {
    const slot = this.#find(address)
    return this.#isEmpty(slot) ? undefined : this.#placeAt(slot)
  }

  has(address: Uint8Array): boolean {
    return !this.#isEmpty(this.#find(address))
  }

  set(address: Uint8Array, place: Place): void {
    assert(address.length === KEY_BYTES, 'an address has 32 bytes')
    if ((this.#count + 1) * 4 > this.#slots * 3) this.#grow()
    const slot = this.#find(address)
    if (this.#isEmpty(slot)) this.#count++
    this.#keys.set(address, slot * KEY_BYTES)
    this.#places.set([place.pack, place.offset, place.lengthBytes], slot * FIELDS)
  }

  delete(address: Uint8Array): boolean {
    let hole = this.#find(address)
    if (this.#isEmpty(hole)) return false
    this.#count--
    // Move later members of the run back into the hole, so that no search ends early at it.
    for (let slot = this.#next(hole); !this.#isEmpty(slot); slot = this.#next(slot)) {
      const home = this.#home(this.#keys, slot * KEY_BYTES)
      const reachable = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot
      if (reachable) continue
      this.#keys.copyWithin(hole * KEY_BYTES, slot * KEY_BYTES, (slot + 1) * KEY_BYTES)
      this.#places.copyWithin(hole * FIELDS, slot * FIELDS, (slot + 1) * FIELDS)
      hole = slot
    }
    this.#keys.fill(0, hole * KEY_BYTES, (hole + 1) * KEY_BYTES)
    this.#places.fill(EMPTY, hole * FIELDS, (hole + 1) * FIELDS)
    return true
  }

  /** Every entry; the address is a copy. Nothing may be set or deleted on the way. */
  *entries(): Generator<readonly [address: Uint8Array, place: Place]> {
    for (let slot = 0; slot < this.#slots; slot++) {
      if (!this.#isEmpty(slot)) {
        yield [this.#keys.slice(slot * KEY_BYTES, (slot + 1) * KEY_BYTES), this.#placeAt(slot)]
      }
    }
  }

  /** Bytes of all objects, and how many are files of their own. */
  totals(): { readonly liveBytes: number; readonly ownFiles: number } {
    let liveBytes = 0
    let ownFiles = 0
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#isEmpty(slot)) continue
      liveBytes += this.#places[slot * FIELDS + 2] ?? 0
      if (this.#places[slot * FIELDS] === OWN_FILE) ownFiles++
    }
    return { liveBytes, ownFiles }
  }

  #placeAt(slot: number): Place {
    const [pack = 0, offset = 0, lengthBytes = 0] = this.#places.subarray(slot * FIELDS, (slot + 1) * FIELDS)
    return { pack, offset, lengthBytes }
  }

  #isEmpty(slot: number): boolean {
    return this.#places[slot * FIELDS + 2] === EMPTY
  }

  #next(slot: number): number {
    return (slot + 1) & (this.#slots - 1)
  }

  #home(bytes: Uint8Array, at: number): number {
    const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
    return ((a << 24) | (b << 16) | (c << 8) | d) & (this.#slots - 1)
  }

  /** The slot that holds the address, or the empty one where it belongs. */
  #find(address: Uint8Array): number {
    let slot = this.#home(address, 0)
    while (!this.#isEmpty(slot) && !this.#matches(slot, address)) slot = this.#next(slot)
    return slot
  }

  #matches(slot: number, address: Uint8Array): boolean {
    const at = slot * KEY_BYTES
    for (let i = 0; i < KEY_BYTES; i++) if (this.#keys[at + i] !== address[i]) return false
    return true
  }

  #grow(): void {
    const [keys, places, slots] = [this.#keys, this.#places, this.#slots]
    this.#slots = slots * 2
    this.#keys = new Uint8Array(this.#slots * KEY_BYTES)
    this.#places = new Uint32Array(this.#slots * FIELDS).fill(EMPTY)
    for (let slot = 0; slot < slots; slot++) {
      if (places[slot * FIELDS + 2] === EMPTY) continue
      const key = keys.subarray(slot * KEY_BYTES, (slot + 1) * KEY_BYTES)
      const to = this.#find(key)
      this.#keys.set(key, to * KEY_BYTES)
      this.#places.set(places.subarray(slot * FIELDS, (slot + 1) * FIELDS), to * FIELDS)
    }
  }
}
