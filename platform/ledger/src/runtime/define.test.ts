import { bytes, object, optional, uint } from '@salus/core'
import { expect, test } from 'vitest'
import { type CallContext, defineContract, implement } from './define.ts'

const g = bytes('Grant id', { length: 16 })
const row = object('A grant', { untilMs: uint('Ends, ms UTC'), revokedMs: optional(uint('Revoked, ms UTC')) })

const schema = defineContract({
  name: 'example',
  version: 1,
  doc: 'A grant that can be made and withdrawn.',
  rejects: { exists: 100, notFound: 101 },
  tables: { grants: { doc: 'Grants by id', key: [g], row } },
  events: { granted: { doc: 'A grant was made', data: object('', { g }) } },
  calls: {
    grant: { doc: 'Make one.', input: object('', { g, untilMs: uint('ms UTC') }) },
    revoke: {
      doc: 'Withdraw one.',
      input: object('', { g }),
      output: object('', { revokedMs: uint('ms UTC') }),
    },
  },
  queries: { get: { doc: 'One grant.', input: object('', { g }), output: optional(row) } },
})

const example = implement(schema, {
  calls: {
    grant(context, input) {
      if (context.tables.grants.has([input.g])) context.reject('exists')
      context.tables.grants.put([input.g], { untilMs: input.untilMs })
      context.emit('granted', { g: input.g })
    },
    revoke(context, input) {
      const grant = context.tables.grants.get([input.g]) ?? context.reject('notFound')
      const revokedMs = grant.revokedMs ?? context.timeMs
      context.tables.grants.put([input.g], { ...grant, revokedMs })
      return { revokedMs }
    },
  },
  queries: { get: (view, input) => view.tables.grants.get([input.g]) },
})

test('a contract keeps its schema and offers its functions by name', () => {
  expect(example.schema).toBe(schema)
  expect(Object.keys(example.calls)).toEqual(['grant', 'revoke'])
})

test('a call checks types: table keys, rows, reasons and events are known at compile time', () => {
  const wrong = (context: CallContext<typeof schema>): void => {
    // @ts-expect-error the key is bytes
    context.tables.grants.get(['text'])
    // @ts-expect-error no such reason
    context.reject('unknown')
    // @ts-expect-error no such event
    context.emit('revoked', {})
  }
  expect(wrong).toBeTypeOf('function')
})

test('rejection codes below 100 and names that are no identifiers do not start', () => {
  const make = (change: object) => () => defineContract({ ...schema, ...change })
  expect(make({ rejects: { exists: 1 } })).toThrow('100–65535')
  expect(make({ rejects: { a: 100, b: 100 } })).toThrow('twice')
  expect(make({ name: 'no-dash' })).toThrow('must match')
})
