import { createDecipheriv, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import vectors from '../../../vectors/object.json' with { type: 'json' }
import { scripted } from '../test/randomness.ts'
import { system } from '../test/system-random.ts'
import { concat, fromHex, toHex } from './bytes.ts'
import { encode } from './cbor.ts'
import { native as browser } from './native/browser.ts'
import { native as node } from './native/node.ts'
import { MAX_PLAINTEXT_BYTES, objectAddress, openObject, readHeader, sealObject } from './object.ts'

const MIB = 1024 * 1024
const CHUNK = 64 * 1024
const oid = new Uint8Array(16).fill(1)
const comp = new Uint8Array(16).fill(2)
const dek = new Uint8Array(32).fill(3)
const failed = expect.objectContaining({ code: 'OPEN_FAILED' })
const seal = (plaintext: Uint8Array) => sealObject({ oid, dek, comp, epoch: 1, plaintext, random: system })
const pattern = (lengthBytes: number) => Uint8Array.from({ length: lengthBytes }, (_, i) => i % 251)

/** The same content under another header, with its own commitment. */
function withHeader(object: Uint8Array, change: Record<string, unknown>): Uint8Array {
  const { header, ciphertext } = readHeader(object)
  return concat(encode({ ...header, ...change } as never), ciphertext)
}

/** `object` with the sealed chunks of its stream arranged by `arrange`. */
function withChunks(object: Uint8Array, arrange: (chunks: Uint8Array[]) => Uint8Array[]): Uint8Array {
  const { headerBytes, ciphertext } = readHeader(object)
  const chunks: Uint8Array[] = []
  for (let at = 7; at < ciphertext.length; at += CHUNK + 16)
    chunks.push(ciphertext.subarray(at, at + CHUNK + 16))
  return concat(headerBytes, ciphertext.subarray(0, 7), ...arrange(chunks))
}

describe('vectors', () => {
  test.each(vectors.short)('$name', (v) => {
    const [o, d, c, plaintext] = [v.oid, v.dek, v.comp, v.plaintext].map(fromHex) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    const object = sealObject({
      oid: o,
      dek: d,
      comp: c,
      epoch: v.epoch,
      plaintext,
      random: scripted(fromHex(v.nonce)),
    })
    expect(toHex(object)).toBe(v.object)
    expect(toHex(objectAddress(object))).toBe(v.address)
    expect(toHex(openObject(object, d))).toBe(v.plaintext)
    const parsed = readHeader(object)
    expect(toHex(parsed.headerBytes)).toBe(v.header)
    expect(toHex(parsed.headerHash)).toBe(v.headerHash)
    expect(parsed.header).toMatchObject({ v: 1, suite: 1, epoch: v.epoch, oid: o, comp: c })

    // The protocol's words once more with nothing of ours: commitment, then AES-256-GCM with the header as AAD.
    const commit = new Uint8Array(hkdfSync('sha256', d, o, 'salus/commit/v1', 32))
    expect(parsed.header.keyCommit).toEqual(commit)
    const content = Buffer.from(v.object.slice(v.header.length), 'hex')
    const decipher = createDecipheriv('aes-256-gcm', d, content.subarray(0, 12))
    decipher.setAAD(Buffer.from(v.header, 'hex')).setAuthTag(content.subarray(-16))
    const opened = Buffer.concat([decipher.update(content.subarray(12, -16)), decipher.final()])
    expect(opened.toString('hex')).toBe(v.plaintext)
  })

  test.each(vectors.long)('$name', (v) => {
    const plaintext = pattern(v.plaintextLength)
    const key = fromHex(v.dek)
    const object = sealObject({
      oid: fromHex(v.oid),
      dek: key,
      comp: fromHex(v.comp),
      epoch: v.epoch,
      plaintext,
      random: scripted(fromHex(v.nonce)),
    })
    expect(object.length).toBe(v.objectLength)
    expect(toHex(objectAddress(object))).toBe(v.address)
    expect(Buffer.compare(openObject(object, key), plaintext)).toBe(0)
  })

  test('a stream written out by hand: prefix ‖ u32 counter ‖ last flag, each chunk with the header as AAD', () => {
    const plaintext = pattern(MIB + 10)
    const { headerBytes, ciphertext } = readHeader(seal(plaintext))
    for (const native of [node, browser]) {
      for (const [i, last] of [
        [0, 0],
        [3, 0],
        [16, 1],
      ] as const) {
        const at = 7 + i * (CHUNK + 16)
        const nonce = concat(ciphertext.subarray(0, 7), Uint8Array.of(0, 0, 0, i, last))
        const bytes = ciphertext.subarray(at, at + CHUNK + 16)
        const opened = native.gcmOpen({ key: dek, nonce, aad: headerBytes, bytes })
        expect(opened && toHex(opened)).toBe(toHex(plaintext.subarray(i * CHUNK, (i + 1) * CHUNK)))
      }
    }
  })
})

describe('one piece', () => {
  test('opens to what was sealed; any changed bit, cut or addition does not open', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(), fc.nat(7), (plaintext, at, bit) => {
        const object = seal(plaintext)
        expect(openObject(object, dek)).toEqual(plaintext)
        const changed = object.slice()
        changed[at % changed.length] = (changed[at % changed.length] as number) ^ (1 << bit)
        // A change in the header may also make it malformed or of an unknown suite.
        expect(() => openObject(changed, dek)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^(OPEN_FAILED|OBJECT|UNSUPPORTED)$/) }),
        )
        expect(() => openObject(object.subarray(0, -1), dek)).toThrow(failed)
        expect(() => openObject(concat(object, Uint8Array.of(0)), dek)).toThrow(failed)
      }),
    )
  })

  test('sealing twice gives different bytes', () => {
    expect(toHex(seal(dek))).not.toBe(toHex(seal(dek)))
  })

  test('the key commitment is checked before anything is opened', () => {
    const object = seal(dek)
    const other = new Uint8Array(32).fill(4)
    expect(() => openObject(object, other)).toThrow(failed)
    // Even a ciphertext that the other key does open is refused under this header.
    const { headerBytes } = readHeader(object)
    const nonce = new Uint8Array(12)
    const sealed = node.gcmSeal({ key: other, nonce, aad: headerBytes, bytes: dek })
    expect(() => openObject(concat(headerBytes, nonce, sealed), other)).toThrow(failed)
  })

  test('the header is bound: another oid, comp or epoch does not open', () => {
    const object = seal(dek)
    expect(() => openObject(withHeader(object, { oid: comp }), dek)).toThrow(failed)
    expect(() => openObject(withHeader(object, { comp: oid }), dek)).toThrow(failed)
    expect(() => openObject(withHeader(object, { epoch: 2 }), dek)).toThrow(failed)
  })
})

describe('stream', () => {
  const object = seal(pattern(MIB + 3 * CHUNK))
  const last = MIB / CHUNK + 2

  test.each<[string, (chunks: Uint8Array[]) => Uint8Array[]]>([
    ['the last chunk missing', (c) => c.slice(0, -1)],
    ['only the first 17 chunks', (c) => c.slice(0, 17)],
    ['the first chunk missing', (c) => c.slice(1)],
    ['two chunks swapped', (c) => [c[1], c[0], ...c.slice(2)] as Uint8Array[]],
    ['a chunk doubled', (c) => [c[0], c[0], ...c.slice(1)] as Uint8Array[]],
    ['a chunk in place of another', (c) => [c[1], ...c.slice(1)] as Uint8Array[]],
    ['the last chunk doubled', (c) => [...c, c[last]] as Uint8Array[]],
    ['an empty chunk after the last', (c) => [...c, new Uint8Array(16)]],
    ['the last chunk cut by a byte', (c) => [...c.slice(0, -1), (c[last] as Uint8Array).subarray(0, -1)]],
    ['a byte added', (c) => [...c, Uint8Array.of(0)]],
  ])('%s: does not open', (_, arrange) => {
    expect(() => openObject(withChunks(object, arrange), dek)).toThrow(failed)
  })

  test('unchanged it opens', () => {
    expect(
      toHex(
        openObject(
          withChunks(object, (c) => c),
          dek,
        ),
      ),
    ).toBe(toHex(pattern(MIB + 3 * CHUNK)))
  })

  test('chunks of another object under the same key do not fit', () => {
    const other = withChunks(seal(pattern(MIB + 3 * CHUNK)), (c) => c)
    const chunk = readHeader(other).ciphertext.subarray(7, 7 + CHUNK + 16)
    expect(() =>
      openObject(
        withChunks(object, (c) => [chunk, ...c.slice(1)]),
        dek,
      ),
    ).toThrow(failed)
  })

  test('what is longer than the limit is refused, sealed or opened', () => {
    const large = expect.objectContaining({ code: 'TOO_LARGE' })
    expect(() => seal(new Uint8Array(MAX_PLAINTEXT_BYTES + 1))).toThrow(large)
    const { headerBytes } = readHeader(object)
    const claimed = new Uint8Array(MAX_PLAINTEXT_BYTES + MIB)
    claimed.set(headerBytes)
    expect(() => openObject(claimed, dek)).toThrow(large)
  })
})

describe('header', () => {
  const object = seal(dek)
  const malformed = expect.objectContaining({ code: 'OBJECT' })
  const unsupported = expect.objectContaining({ code: 'UNSUPPORTED' })

  test('an unknown version or suite is refused by name, whatever else is in the header', () => {
    for (const change of [{ v: 2 }, { suite: 2 }, { suite: 0 }, { v: 2, more: 1 }, { suite: '1' }]) {
      expect(() => readHeader(withHeader(object, change))).toThrow(unsupported)
    }
  })

  test('fields of the wrong form are refused', () => {
    for (const change of [
      { oid: new Uint8Array(15) },
      { comp: 'general' },
      { keyCommit: new Uint8Array(33) },
      { epoch: -1 },
      { epoch: '1' },
      { more: 1 },
    ]) {
      expect(() => readHeader(withHeader(object, change))).toThrow(malformed)
    }
    expect(() => readHeader(encode([1, 1]))).toThrow(malformed)
  })

  test('a header in another CBOR form, or endless, is refused', () => {
    const long = object.slice()
    expect(() => readHeader(concat(Uint8Array.of(0xbf), object.subarray(1)))).toThrow(malformed)
    expect(() => readHeader(encode({ v: 1, padding: new Uint8Array(300) }))).toThrow(malformed)
    expect(() => readHeader(new Uint8Array(0))).toThrow(malformed)
    // `v` as a two-byte integer
    expect(() => readHeader(concat(long.subarray(0, 3), Uint8Array.of(0x18, 1), long.subarray(4)))).toThrow(
      malformed,
    )
  })

  test('arbitrary bytes never do anything but fail with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => openObject(bytes, dek)).toThrow(expect.objectContaining({ code: expect.any(String) }))
      }),
    )
  })

  test('parts of the wrong size are refused when sealing', () => {
    const parts = { oid, dek, comp, epoch: 1, plaintext: dek, random: system }
    for (const change of [{ oid: dek }, { dek: oid }, { comp: dek }, { epoch: 1.5 }, { epoch: -1 }]) {
      expect(() => sealObject({ ...parts, ...change })).toThrow(malformed)
    }
  })
})
