import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readVectors } from '../test/vectors.ts'
import { concat, fromBase64, fromHex, toHex, utf8 } from './bytes.ts'
import {
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
  verifiedSignatures,
} from './checkpoint.ts'
import { cosign, cosignatureMessage, cosignatureTime, verifyCosignature } from './cosignature.ts'
import { isAppError } from './errors.ts'
import {
  formatNote,
  formatVerifierKey,
  NOTE_COSIGNATURE,
  type NoteSignature,
  noteKeyId,
  noteSignature,
  parseNote,
  parseNoteSignature,
  parseVerifierKey,
  signNote,
  verifierKey,
  verifyNoteSignature,
} from './note.ts'
import { signingKey } from './sign.ts'

interface KeyVector {
  readonly vkey: string
  readonly name: string
  readonly keyId: string
  readonly type: number
}
const vectors = readVectors<{
  verifierKeys: { good: KeyVector[]; bad: { vkey: string; rule: string }[] }
  sign: { name: string; seed: string; text: string; note: string }[]
  open: { note: string; text: string; keys: string[]; signedBy: string[] }[]
  refuse: { note: string; keys: string[]; code: string }[]
  malformed: { note: string }[]
  checkpoints: {
    good: { text: string; origin: string; size: number; root: string; extensions?: string[] }[]
    bad: { text: string; rule: string }[]
  }
  cosigned: { note: string; keys: string[]; size: number; signedBy: { name: string; timeSeconds?: number }[] }
  cosignature: {
    message: { timeSeconds: number; text: string; is: string }
    times: { line: string; timeSeconds: number | null }[]
  }
}>('notes.json')

const code = (value: string) => expect.objectContaining({ code: value })
const hexId = (keyId: number) => keyId.toString(16).padStart(8, '0')
const signer = (name: string, byte: number) => ({ name, key: signingKey(new Uint8Array(32).fill(byte)) })
const log = signer('log.example/a', 1)
const witness = signer('witness.example/w', 2)
const logKey = verifierKey(log.name, log.key.publicKey)
const witnessKey = verifierKey(witness.name, witness.key.publicKey, NOTE_COSIGNATURE)
const checkpoint = { origin: log.name, size: 7, root: new Uint8Array(32).fill(7) }
const text = formatCheckpoint(checkpoint)

describe('verifier keys', () => {
  it.each(vectors.verifierKeys.good)('reads $vkey', ({ vkey, name, keyId, type }) => {
    const key = parseVerifierKey(vkey)
    expect([key.name, hexId(key.keyId), key.type]).toEqual([name, keyId, type])
    expect(formatVerifierKey(key)).toBe(vkey)
    expect(hexId(noteKeyId(name, key.type, key.publicKey))).toBe(keyId)
  })

  it.each(vectors.verifierKeys.bad)('refuses $rule', ({ vkey }) => {
    expect(() => parseVerifierKey(vkey)).toThrow(code('NOTE'))
  })

  it('refuses every substring and every byte raised by one, as the Go reference does', () => {
    const { vkey } = vectors.verifierKeys.good[0] as KeyVector
    for (let i = 0; i < vkey.length; i++) {
      for (let j = i + 1; j <= vkey.length; j++)
        if (i > 0 || j < vkey.length) expect(() => parseVerifierKey(vkey.slice(i, j))).toThrow(code('NOTE'))
      const raised = String.fromCharCode(vkey.charCodeAt(i) + 1)
      expect(() => parseVerifierKey(vkey.slice(0, i) + raised + vkey.slice(i + 1))).toThrow(code('NOTE'))
    }
  })

  it.each(['', 'a b', 'a+b', 'a\u00a0b', 'a\u2003b', 'a\u0001b', 'a\nb', 'x'.repeat(256)])(
    'refuses the name %j',
    (name) => {
      expect(() => verifierKey(name, log.key.publicKey)).toThrow(code('NOTE'))
    },
  )
})

describe('notes', () => {
  it.each(vectors.sign)('signs as $name byte for byte', ({ name, seed, text: noteText, note }) => {
    expect(signNote(noteText, [{ name, key: signingKey(fromHex(seed)) }])).toBe(note)
  })

  it.each(vectors.open)('opens for $keys', ({ note, text: noteText, keys, signedBy }) => {
    const parsed = parseNote(note)
    expect(parsed.text).toBe(noteText)
    expect(parseNote(utf8(note))).toEqual(parsed)
    expect(formatNote(parsed)).toBe(note)
    expect(verifiedSignatures(parsed, keys.map(parseVerifierKey)).map(({ key }) => key.name)).toEqual(
      signedBy,
    )
  })

  it.each(vectors.refuse)('refuses with $code', ({ note, keys, code: expected }) => {
    expect(() => openCheckpoint(note, keys.map(parseVerifierKey))).toThrow(code(expected))
  })

  it.each(vectors.malformed)('does not parse $note', ({ note }) => {
    expect(() => parseNote(note)).toThrow(code('NOTE'))
  })

  it('does not parse malformed UTF-8', () => {
    const [{ note } = { note: '' }] = vectors.open
    expect(() => parseNote(concat(new Uint8Array([0xff]), utf8(note)))).toThrow(code('NOTE'))
  })

  it('is separated from its signatures by the last empty line', () => {
    const verse = 'Ognuno sta solo\n\ned è subito sera.\n'
    const parsed = parseNote(signNote(verse, [log, witness]))
    expect(parsed.text).toBe(verse)
    expect(parsed.signatures).toHaveLength(2)
  })

  it('any note read is written back the same, and any change to the text breaks the signature', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', ' ', '\u2014', '\n', '+'), maxLength: 12 })
    fc.assert(
      fc.property(line, line, (a, b) => {
        const note = signNote(`${a}\n`, [log])
        const parsed = parseNote(note)
        expect(formatNote(parsed)).toBe(note)
        const signature = parsed.signatures[0] as NoteSignature
        expect(verifyNoteSignature(`${b}\n`, signature, logKey)).toBe(a === b)
      }),
    )
  })

  it('arbitrary input is a note or AppError NOTE, nothing else', () => {
    const soup = fc.array(
      fc.constantFrom(
        '\n',
        '\n\n',
        '\u2014 ',
        'a',
        ' ',
        '+',
        'AAAAAAAA',
        '=',
        '\u2014 n AAAAAAA=\n',
        '\u0000',
        '\ud800',
      ),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(soup, (parts) => {
        const input = parts.join('')
        try {
          expect(formatNote(parseNote(input))).toBe(input)
        } catch (error) {
          if (!isAppError(error, 'NOTE')) throw error
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('has limits', () => {
    const line = `\u2014 ${log.name} AAAAAAA=\n`
    expect(() => parseNote(`t\n\n${line.repeat(1001)}`)).toThrow(code('NOTE'))
    expect(parseNote(`t\n\n${line.repeat(1000)}`).signatures).toHaveLength(1000)
    expect(() => parseNote(`${'t'.repeat(256 * 1024)}\n\n${line}`)).toThrow(code('NOTE'))
    expect(() => formatNote({ text, signatures: [] })).toThrow(code('NOTE'))
    expect(() => signNote('no newline', [log])).toThrow(code('NOTE'))
    expect(() => signNote('tab\t\n', [log])).toThrow(code('NOTE'))
  })
})

describe('checkpoints', () => {
  it.each(vectors.checkpoints.good)('reads $origin at $size', ({ text: body, root, ...rest }) => {
    const parsed = parseCheckpoint(body)
    expect(parsed).toEqual({ ...rest, root: fromBase64(root) })
    expect(formatCheckpoint(parsed)).toBe(body)
  })

  it.each(vectors.checkpoints.bad)('refuses $rule', ({ text: body }) => {
    expect(() => parseCheckpoint(body)).toThrow(code('CHECKPOINT'))
  })

  it.each([
    { ...checkpoint, origin: '' },
    { ...checkpoint, origin: 'a\nb' },
    { ...checkpoint, size: -1 },
    { ...checkpoint, size: 1.5 },
    { ...checkpoint, root: new Uint8Array(31) },
    { ...checkpoint, extensions: [''] },
  ])('does not write what it would not read', (wrong) => {
    expect(() => formatCheckpoint(wrong)).toThrow(code('CHECKPOINT'))
  })

  it('opens a public checkpoint with the cosignatures of public witnesses', () => {
    const { note, keys, size, signedBy } = vectors.cosigned
    const opened = openCheckpoint(note, keys.map(parseVerifierKey))
    expect(opened.checkpoint.size).toBe(size)
    expect(opened.signedBy.map(({ key, ...rest }) => ({ name: key.name, ...rest }))).toEqual(signedBy)
    const changed = note.replace(String(size), String(size + 1))
    for (const key of keys)
      expect(() => openCheckpoint(changed, [parseVerifierKey(key)])).toThrow(code('NOTE_SIGNATURE'))
  })

  it('ignores lines of unknown keys, also of the same name', () => {
    const other = { name: log.name, key: witness.key }
    const note = signCheckpoint(checkpoint, [other, log])
    expect(openCheckpoint(note, [logKey]).signedBy).toEqual([{ key: logKey }])
    expect(() => openCheckpoint(signCheckpoint(checkpoint, [other]), [logKey])).toThrow(
      code('NOTE_SIGNATURE'),
    )
  })

  it('refuses the whole note when a known key’s line is wrong', () => {
    const good = noteSignature(text, log)
    const bad = { ...cosign(text, witness, 5), bytes: new Uint8Array(72) }
    const note = formatNote({ text, signatures: [good, bad] })
    expect(() => openCheckpoint(note, [logKey, witnessKey])).toThrow(code('NOTE_SIGNATURE'))
    expect(openCheckpoint(note, [logKey]).signedBy).toHaveLength(1)
  })
})

describe('cosignatures', () => {
  it('sign header, time and the whole checkpoint', () => {
    const { timeSeconds, text: body, is } = vectors.cosignature.message
    expect(toHex(cosignatureMessage(body, timeSeconds))).toBe(toHex(utf8(is)))
  })

  it.each(vectors.cosignature.times)('time of $line', ({ line, timeSeconds }) => {
    expect(cosignatureTime(parseNoteSignature(line))).toBe(timeSeconds ?? undefined)
  })

  it('hold for their text, time and key only', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat({ max: 71 }), (timeSeconds, at) => {
        const signature = cosign(text, witness, timeSeconds)
        expect(verifyCosignature(text, signature, witnessKey)).toBe(timeSeconds)
        expect(verifyCosignature(`${text}extension\n`, signature, witnessKey)).toBeUndefined()
        expect(verifyCosignature(text, signature, logKey)).toBeUndefined()
        const bytes = signature.bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
        expect(verifyCosignature(text, { ...signature, bytes }, witnessKey)).toBeUndefined()
        expect(verifyNoteSignature(text, signature, verifierKey(witness.name, witness.key.publicKey))).toBe(
          false,
        )
      }),
      { numRuns: 50 },
    )
  })

  it('have no other lengths and no times beyond 2⁵³ − 1', () => {
    const signature = cosign(text, witness, 1)
    expect(cosignatureTime({ ...signature, bytes: signature.bytes.subarray(1) })).toBeUndefined()
    expect(cosignatureTime({ ...signature, bytes: new Uint8Array(72).fill(255) })).toBeUndefined()
    for (const wrong of [-1, 0.5, 2 ** 53]) expect(() => cosign(text, witness, wrong)).toThrow(code('NOTE'))
  })
})
