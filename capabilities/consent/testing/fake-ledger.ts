import { AppError, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import { decodeBody, type Item } from '@salus/ledger'
import { controlledStateAt, glassStateAt } from '../contract/states.ts'
import type { LogState } from '../src/decision.ts'
import type { ConsentLedger, OrganisationKeysView } from '../src/service/ports.ts'

interface Controlled {
  readonly c: Uint8Array
  readonly k: Uint8Array
  readonly na: number
  revokedMs?: number
}

/** The ledger as a test moves it: what is final is what was put here, time is the clock's until it is stopped. */
export class FakeLedger implements ConsentLedger {
  readonly chainId: Uint8Array
  readonly grants = new Map<string, Controlled>()
  readonly delegations = new Map<string, Controlled>()
  readonly credentials = new Map<string, { issuer: string; status: 'active' | 'suspended' | 'ended' }>()
  readonly emergencies = new Map<
    string,
    { org: string; c: Uint8Array; na: number; openedMs: number; reviewedMs?: number; outcome?: string }
  >()
  readonly members = new Map<string, OrganisationKeysView>()
  readonly logs = new Map<string, LogState>()
  readonly #clock: Clock
  #stoppedAtMs: number | undefined

  constructor(chainId: Uint8Array, clock: Clock) {
    this.chainId = chainId
    this.#clock = clock
  }

  /** Nothing becomes final, and the head's time stands still. */
  stop(): void {
    this.#stoppedAtMs ??= this.head().timeMs
  }

  go(): void {
    this.#stoppedAtMs = undefined
  }

  head(): { height: number; timeMs: number } {
    return { height: 100, timeMs: this.#stoppedAtMs ?? this.#clock.now() - 1_000 }
  }

  query(contract: string, name: string, input: Readonly<Record<string, unknown>>): unknown {
    const atMs = this.head().timeMs
    const id = (member: string): string => toHex(input[member] as Uint8Array)
    const controlled = (row: Controlled | undefined) => row && { ...row, state: controlledStateAt(row, atMs) }
    switch (`${contract}/${name}`) {
      case 'consent/grant':
        return controlled(this.grants.get(id('g')))
      case 'consent/delegation':
        return controlled(this.delegations.get(id('d')))
      case 'identity/credential':
        return this.credentials.get(id('h'))
      case 'consent/emergency': {
        const row = this.emergencies.get(id('b'))
        return row && { ...row, state: glassStateAt(row, atMs) }
      }
      default:
        throw new Error(`no fake of ${contract}/${name}`)
    }
  }

  param(name: string): number {
    return { readFloor: 1, freshnessTreatmentMs: 15 * 60_000, freshnessOtherMs: 60_000 }[name] as number
  }

  organisation(org: string): OrganisationKeysView | undefined {
    return this.members.get(org)
  }

  logState(org: string): LogState {
    return this.logs.get(org) ?? 'open'
  }

  /** Runs a body at once; what a stopped ledger is given is lost. */
  async submit(item: Item): Promise<{ height: number; index: number }> {
    if (this.#stoppedAtMs !== undefined) throw new AppError('TX_NOT_FINAL', 'tx: not final yet')
    const { call, args } = decodeBody(item.body)
    const at = this.head().timeMs
    const bytes = (member: string) => args[member] as Uint8Array
    const na = args['na'] as number
    if (call === 'consent/grant') {
      this.grants.set(toHex(bytes('g')), { c: bytes('c'), k: bytes('k'), na })
    } else if (call === 'consent/revoke') {
      const row = this.grants.get(toHex(bytes('g')))
      if (row !== undefined) row.revokedMs ??= at
    } else if (call === 'consent/delegate') {
      this.delegations.set(toHex(bytes('d')), { c: bytes('c'), k: bytes('k'), na })
    } else if (call === 'consent/endDelegation') {
      const row = this.delegations.get(toHex(bytes('d')))
      if (row !== undefined) row.revokedMs ??= at
    } else if (call === 'consent/emergency') {
      if (na <= at) throw new AppError('TX_REJECTED', 'tx: endsInPast')
      this.emergencies.set(toHex(bytes('b')), { org: args['org'] as string, c: bytes('c'), na, openedMs: at })
    } else if (call === 'consent/reviewEmergency') {
      const row = this.emergencies.get(toHex(bytes('b')))
      if (row === undefined) throw new AppError('TX_REJECTED', 'tx: notFound')
      row.reviewedMs = at
      row.outcome = args['outcome'] as string
    } else throw new Error(`no fake of ${call}`)
    return { height: 100, index: 0 }
  }
}
