import type { Contract } from '../runtime/define.ts'
import { governance } from './governance/governance.ts'
import { log } from './log/log.ts'
import { organisations } from './organisations/organisations.ts'

/** The contracts that every ledger has: the runtime itself reads members, quotas and keys. */
export const builtinContracts: readonly Contract[] = [governance, organisations, log]
