import { AppError, assert } from '@salus/core'
import { governance } from '../contracts/governance/schema.ts'
import type { StateStore } from '../state/store.ts'
import type { Active } from './context.ts'
import type { Contract } from './define.ts'
import { storedRows } from './overlay.ts'
import { readTables } from './tables.ts'

/** Which contracts this program has, in all their versions. */
export interface Registry {
  /**
   * The contracts that act in a block at `height`, on the state before it.
   * @throws {AppError} UPGRADE_REQUIRED when a version acts that this program does not have
   */
  activeAt(store: StateStore, height: number): Active
}

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

  return {
    activeAt(store, height) {
      const active = new Map(first.map((version) => [version.name, contractOf(version)]))
      const { upgrades } = readTables(governance, storedRows(store))
      // Ordered by contract and height, so of several upgrades the latest wins.
      for (const [[name, from], { version, readyHeight }] of upgrades.scan([])) {
        if (from <= height && readyHeight !== undefined) active.set(name, contractOf({ name, version }))
      }
      return active
    },
  }
}
