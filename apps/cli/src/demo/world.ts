import type { DeviceContext, Person } from '@salus/identity/client'
import type { Connection } from '@salus/sdk'
import type { Constellation } from '@salus/testing'
import type { Source, SourcedResource } from './source-files.ts'
import type { Split } from './split.ts'

/** Two hospitals that treat, and a third that is admitted by vote. */
export const ORGS = { a: 'hospital-a', b: 'hospital-b', c: 'clinic-c' } as const

/** A patient or carer with a device of her own. */
export interface DemoPerson {
  readonly name: string
  /** `Patient/id` at the hospitals. */
  readonly patient: string
  person: Person
  /** Sessions at the organisations where she is enrolled. */
  readonly sessions: Map<string, Connection>
  recoveryCode: string | undefined
}

export interface DemoStaff {
  readonly name: string
  readonly org: string
  readonly practitioner: string
  readonly token: string
  readonly connection: Connection
}

/** A grant of the story, so that later steps can use or withdraw it. */
export interface StoryGrant {
  readonly g: Uint8Array
  readonly shown: readonly Uint8Array[]
  readonly madeMs: number
}

/** Everything that the steps pass on to each other. */
export interface World {
  readonly net: Constellation
  readonly context: DeviceContext
  readonly source: Source
  /** Where each person of the story comes from: the named files, or the shipped sample. */
  readonly fromSample: readonly string[]
  readonly split: Split
  readonly cast: Cast
  readonly connections: Readonly<Record<'a' | 'b' | 'c', Connection>>
  readonly admins: Map<'a' | 'b' | 'c', DemoStaff>
  readonly staff: Map<string, DemoStaff>
  readonly people: Map<string, DemoPerson>
  readonly figures: Record<string, number | Record<string, number>>
  readonly receipts: Map<string, string>
  readonly grants: Map<string, StoryGrant>
  readonly dataDir: string
}

/** Who of the files plays which part, by `Patient/id`. */
export interface Cast {
  readonly patient: string
  /** Whose account is kept by hospital B until she claims it. */
  readonly hosted: string
  readonly child: string
  readonly displayName: (patient: string) => string
  readonly resourcesOf: (patient: string) => readonly SourcedResource[]
}
