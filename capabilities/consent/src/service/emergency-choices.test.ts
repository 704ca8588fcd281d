import { seededRandom } from '@salus/host'
import { memorySql } from '@salus/host/system'
import { describe, expect, test } from 'vitest'
import { fixed } from '../../testing/sample.ts'
import { EmergencyChoiceStore } from './emergency-choices.ts'

describe('choices about the emergency summary', () => {
  test('are kept sealed, found by the locator, and forgotten with the owner', () => {
    const sql = memorySql()
    const store = new EmergencyChoiceStore({ sql, key: fixed('key'), random: seededRandom('x') })
    const [one, two] = [fixed('one').slice(0, 16), fixed('two').slice(0, 16)]
    expect(store.get(one)).toEqual({ optOut: false, compartments: [], records: [] })
    const chosen = {
      optOut: true,
      compartments: ['mental' as const],
      records: ['Condition/c-1'],
      locator: fixed('locator'),
    }
    store.put(one, chosen)
    expect(store.get(one)).toEqual(chosen)
    expect(store.exclusions(one)).toEqual({ compartments: ['mental'], records: ['Condition/c-1'] })
    expect(store.byLocator(fixed('locator'))).toEqual(one)
    expect(store.byLocator(fixed('other'))).toBeUndefined()
    const stored = JSON.stringify(sql.prepare('SELECT * FROM consent_emergency_choice').all())
    expect(stored).not.toContain('Condition')
    store.put(two, chosen)
    expect(store.byLocator(fixed('locator'))).toBeUndefined()
    store.removeOwner(two)
    expect(store.byLocator(fixed('locator'))).toEqual(one)
  })
})
