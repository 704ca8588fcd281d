import { hmac, sha256, tuple, utf8 } from '@salus/core'
import { expect, test } from 'vitest'
import { factLeaf, quorumAndWitness } from './names.ts'

test('a fact’s leaf is HMAC(salt, (kind, …fields)); a tombstone is in clear; nothing else', () => {
  const salt = sha256(utf8('salt'))
  expect(factLeaf(1, ['record', 2, salt], salt)).toEqual(hmac(salt, 1, 'record', 2, salt))
  expect(factLeaf(4, [salt.slice(16)], undefined)).toEqual(tuple(4, salt.slice(16)))
  const refused = expect.objectContaining({ code: 'FACT' })
  expect(() => factLeaf(1, ['record'], undefined)).toThrow(refused)
  expect(() => factLeaf(4, ['oid'], salt)).toThrow(refused)
  expect(() => factLeaf(1, ['record'], salt.slice(1))).toThrow(refused)
})

test('sufficient is ⌊2n/3⌋+1 organisations, and below four also a witness', () => {
  const rule = (count: number) =>
    quorumAndWitness(
      () => ['a', 'b', 'c', 'd'].slice(0, count),
      () => ['w', 'x'],
    )
  expect(rule(1)(['a'])).toBe(false)
  expect(rule(1)(['a', 'x'])).toBe(true)
  expect(rule(3)(['a', 'b', 'w'])).toBe(false)
  expect(rule(3)(['a', 'b', 'c', 'w'])).toBe(true)
  expect(rule(4)(['a', 'b', 'd'])).toBe(true)
  expect(rule(4)(['a', 'b', 'w', 'x', 'z'])).toBe(false)
})
