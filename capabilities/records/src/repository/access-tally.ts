import { toHex } from '@salus/core'
import type { OwnerRow } from '../custody/rows.ts'
import { RECORD_ACTIONS, type RecordAccess, type RecordAction, type RequestContext } from './access.ts'

type Noted = Pick<RecordAccess, 'owner' | 'outcome'> & {
  action: RecordAction
  readonly versions: Map<string, RecordAccess['versions'][number]>
  readonly queries: Set<string>
}

/** Gathers what a request does, so that it becomes one event per owner. The directory is nobody's record. */
export class AccessTally {
  readonly #noted = new Map<string, Noted>()

  note(
    owner: OwnerRow,
    action: RecordAction,
    {
      outcome = 'permitted',
      versions = [],
      query,
    }: {
      readonly outcome?: 'permitted' | 'denied'
      readonly versions?: RecordAccess['versions']
      readonly query?: string
    } = {},
  ): void {
    if (owner.kind === 'directory') return
    const name = `${toHex(owner.owner)} ${outcome}`
    const noted = this.#noted.get(name) ?? {
      owner: owner.owner,
      outcome,
      action,
      versions: new Map(),
      queries: new Set(),
    }
    this.#noted.set(name, noted)
    if (RECORD_ACTIONS.indexOf(action) > RECORD_ACTIONS.indexOf(noted.action)) noted.action = action
    for (const version of versions) noted.versions.set(toHex(version.oid), version)
    if (query !== undefined) noted.queries.add(query)
  }

  /** Logs everything, one owner after the other; the caller lets nothing out before it resolves. */
  async settle(context: RequestContext, log: (access: RecordAccess) => Promise<void>): Promise<void> {
    for (const { versions, queries, ...noted } of this.#noted.values())
      await log({ ...context, ...noted, versions: [...versions.values()], queries: [...queries] })
    this.#noted.clear()
  }
}
