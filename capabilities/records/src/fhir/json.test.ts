import { AppError } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson, serialise, storedText } from './json.ts'

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
  return 'none'
}

describe('numbers', () => {
  test.each([
    '1.0',
    '1e2',
    '1E+2',
    '-0',
    '-0.0',
    '0.10',
    '12345678901234567890',
    '0.1234567890123456789012',
    '5.40',
    '1e400',
  ])('%s stays as it came', (number) => {
    const text = `{"value":${number}}`
    expect(serialise(parseJson(text).exact)).toBe(text)
  })

  test('property: any decimal text comes out as it went in', () => {
    const digits = fc.stringMatching(/^\d{1,25}$/)
    const number = fc
      .tuple(
        fc.boolean(),
        fc.stringMatching(/^(0|[1-9]\d{0,20})$/),
        fc.option(digits),
        fc.option(fc.stringMatching(/^[eE][+-]?\d{1,2}$/)),
      )
      .map(
        ([negative, whole, fraction, exponent]) =>
          `${negative ? '-' : ''}${whole}${fraction === null ? '' : `.${fraction}`}${exponent ?? ''}`,
      )
    fc.assert(
      fc.property(fc.array(number, { maxLength: 8 }), (numbers) => {
        const text = `{"a":[${numbers.join(',')}],"b":{"c":${numbers[0] ?? '1'}}}`
        expect(serialise(parseJson(text).exact)).toBe(text)
      }),
    )
  })

  test('the plain tree has plain numbers', () => {
    expect(parseJson('{"value":5.40,"list":[1.0]}').value).toEqual({ value: 5.4, list: [1] })
  })

  test('digits in strings are not numbers', () => {
    const parsed = parseJson('{"text":"1.0 and \\"2.0\\" {[: "}')
    expect(parsed.exact).toBe(parsed.value)
  })
})

test('property: member order and strings survive', () => {
  const key = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,12}$/)
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    ),
  })).value
  fc.assert(
    fc.property(tree, (value) => {
      const text = JSON.stringify(value)
      expect(serialise(parseJson(text).exact)).toBe(text)
    }),
  )
})

describe('bad input', () => {
  test.each([
    ['', 'NOT_JSON'],
    ['{', 'NOT_JSON'],
    ['{"a":1,}', 'NOT_JSON'],
    ["{'a':1}", 'NOT_JSON'],
    ['{"a":01}', 'NOT_JSON'],
    ['{"a":NaN}', 'NOT_JSON'],
    ['{"a":1}{"b":2}', 'NOT_JSON'],
    ['{"a":1,"a":2}', 'DUPLICATE_MEMBER'],
    ['{"a":{"b":1,"b":1}}', 'DUPLICATE_MEMBER'],
    ['{"a":1,"\\u0061":2}', 'DUPLICATE_MEMBER'],
    ['{"__proto__":1,"__proto__":2}', 'DUPLICATE_MEMBER'],
    [`${'['.repeat(65)}${']'.repeat(65)}`, 'TOO_DEEP'],
    ['['.repeat(1_000_000), 'TOO_DEEP'],
  ])('%#: %s', (text, code) => {
    expect(codeOf(() => parseJson(text))).toBe(code)
  })

  test('64 levels pass', () => {
    expect(codeOf(() => parseJson(`${'['.repeat(64)}${']'.repeat(64)}`))).toBe('none')
  })

  test('too long', () => {
    expect(codeOf(() => parseJson('[1,2,3,4,5]', { characters: 10 }))).toBe('TOO_BIG')
  })

  test('the error does not repeat the text', () => {
    expect(() => parseJson('{"name":"Marisol"')).toThrow(/^(?!.*Marisol)/)
  })

  test('property: any text parses exactly or fails with one of our codes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((text) => text.slice(0, -1)),
        ),
        (text) => {
          const code = codeOf(() => parseJson(text))
          expect(['none', 'NOT_JSON', 'TOO_DEEP', 'DUPLICATE_MEMBER']).toContain(code)
          if (code === 'none') expect(JSON.parse(serialise(parseJson(text).exact))).toEqual(JSON.parse(text))
        },
      ),
    )
  })
})

describe('storedText', () => {
  test.each([
    [
      '{"resourceType":"Patient","active":true}',
      '{"resourceType":"Patient","id":"n","meta":{"versionId":"1"},"active":true}',
    ],
    [
      '{"resourceType":"Patient","id":"o","active":true}',
      '{"resourceType":"Patient","id":"n","meta":{"versionId":"1"},"active":true}',
    ],
    [
      '{"resourceType":"Patient","active":true,"meta":{"tag":[],"versionId":"7"},"id":"o"}',
      '{"resourceType":"Patient","active":true,"meta":{"tag":[],"versionId":"1"},"id":"n"}',
    ],
    [
      '{"active":true,"resourceType":"Patient"}',
      '{"active":true,"resourceType":"Patient","id":"n","meta":{"versionId":"1"}}',
    ],
    [
      '{"resourceType":"Patient","meta":{"tag":[]}}',
      '{"resourceType":"Patient","id":"n","meta":{"tag":[],"versionId":"1"}}',
    ],
  ])('%s', (text, expected) => {
    expect(storedText(parseJson(text).exact, { id: 'n', meta: { versionId: '1' } })).toBe(expected)
  })

  test('numbers keep their digits', () => {
    const text = '{"resourceType":"Observation","id":"a","valueQuantity":{"value":5.40}}'
    expect(storedText(parseJson(text).exact, { id: 'a' })).toBe(text)
  })

  test('the parsed tree is not changed', () => {
    const { exact } = parseJson('{"resourceType":"Patient","meta":{"tag":[]}}')
    storedText(exact, { id: 'n', meta: { versionId: '1' } })
    expect(serialise(exact)).toBe('{"resourceType":"Patient","meta":{"tag":[]}}')
  })
})
