import { AppError, assert } from '@salus/core'
import { governance } from '../contracts/governance/schema.ts'
import { startsWith } from '../state/memory-store.ts'
import type { StateStore } from '../state/store.ts'
import type { Active } from './context.ts'
import type { Contract } from './define.ts'
import { keyCodec } from './keys.ts'
import { storedRows } from './overlay.ts'
import { readTables } from './tables.ts'

/** Which contracts this program has, in all their versions. */
export interface Registry {
  /**
   * The contracts that act in a block at `height`, on the state before it.
   * @throws {AppError} UPGRADE_REQUIRED when a version acts that this program does not have
   */
  activeAt(store: StateStore, height: number): Active
  /** Tells it what a committed block changed: the voted upgrades are read again only if they did. */
  committed(keys: Iterable<readonly [key: Uint8Array, value: unknown]>): void
}

const UPGRADES = keyCodec(governance.name, 'upgrades', governance.tables.upgrades).prefix

export interface ContractVersion {
  readonly name: string
  readonly version: number
}

/** @param first what genesis names */
export function openRegistry(contracts: readonly Contract[], first: readonly ContractVersion[]): Registry {
  const versions = new Map<string, Contract>()
  for (const contract of contracts) {
    const id = `${contract.schema.name}@${contract.schema.version}`
    assert(!versions.has(id), `contract ${id} is registered twice`)
    versions.set(id, contract)
  }

  function contractOf({ name, version }: ContractVersion): Contract {
    const found = versions.get(`${name}@${version}`)
    if (found !== undefined) return found
    throw new AppError(
      'UPGRADE_REQUIRED',
      `contract ${name} version ${version} acts on this ledger and is not in this program; install a newer version`,
      { contract: name, version },
    )
  }

  let voted: readonly (ContractVersion & { readonly from: number })[] | undefined

  function read(store: StateStore) {
    const rows = [...readTables(governance, storedRows(store)).upgrades.scan([])]
    return rows.flatMap(([[name, from], { version, readyHeight }]) =>
      readyHeight === undefined ? [] : [{ name, version, from }],
    )
  }

  return {
    activeAt(store, height) {
      voted ??= read(store)
      const active = new Map(first.map((version) => [version.name, contractOf(version)]))
      // Ordered by contract and height, so of several upgrades the latest wins.
      for (const upgrade of voted) if (upgrade.from <= height) active.set(upgrade.name, contractOf(upgrade))
      return active
    },
    committed(keys) {
      for (const [key] of keys) if (startsWith(key, UPGRADES)) voted = undefined
    },
  }
}
