import type { OptionalSchema, Schema } from '@salus/core'
import type { Contract } from './define.ts'

/** One call, as data: SDK methods, REST routes, OpenAPI and CLI verbs derive from it. */
export interface CallDescriptor {
  readonly contract: string
  readonly version: number
  readonly name: string
  /** `contract/name`: what a body says. */
  readonly call: string
  readonly doc: string
  readonly input: Schema
  readonly output: Schema | undefined
}

export interface QueryDescriptor {
  readonly contract: string
  readonly version: number
  readonly name: string
  readonly doc: string
  readonly input: Schema
  readonly output: Schema | OptionalSchema
}

export interface ContractDescriptor {
  readonly name: string
  readonly version: number
  readonly doc: string
  readonly rejects: readonly { readonly reason: string; readonly code: number }[]
  readonly calls: readonly CallDescriptor[]
  readonly queries: readonly QueryDescriptor[]
  readonly events: readonly { readonly name: string; readonly doc: string; readonly data: Schema }[]
}

/** What the contracts offer, in their own order. */
export function describeContracts(contracts: Iterable<Contract>): ContractDescriptor[] {
  return [...contracts].map(({ schema }) => {
    const { name: contract, version, doc } = schema
    return {
      name: contract,
      version,
      doc,
      rejects: Object.entries(schema.rejects).map(([reason, code]) => ({ reason, code })),
      calls: Object.entries(schema.calls).map(([name, { doc, input, output }]) => {
        return { contract, version, name, call: `${contract}/${name}`, doc, input, output }
      }),
      queries: Object.entries(schema.queries).map(([name, { doc, input, output }]) => {
        return { contract, version, name, doc, input, output }
      }),
      events: Object.entries(schema.events ?? {}).map(([name, { doc, data }]) => ({ name, doc, data })),
    }
  })
}
