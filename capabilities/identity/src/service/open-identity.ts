import type { Random } from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import type { OrgMessages, Route, Sessions } from '@salus/server'
import { Claims } from './claims.ts'
import { delegationEndMs } from './delegations.ts'
import { EnrolmentCodes } from './enrolment-codes.ts'
import { Home } from './home.ts'
import { Hosted } from './hosted.ts'
import { HostedGrants } from './hosted-grants.ts'
import { Links } from './links.ts'
import { Matching } from './matching.ts'
import { Notices } from './notices.ts'
import type {
  CodeSender,
  HostedKeys,
  IdentityAudit,
  IdentityKeys,
  IdentityLedger,
  LeafSink,
  OrgTransport,
  OwnerDirectory,
  PatientFinder,
} from './ports.ts'
import { Recovery } from './recovery.ts'
import { identityRoutes } from './routes.ts'
import { HolderSessions } from './sessions.ts'
import { StaffDesk } from './staff.ts'

/** Everything that identity needs from its node. */
export interface IdentityParts {
  readonly sql: Sql
  /** Organisation secret that seals identity's rows; from the keystore. 32 B. */
  readonly key: Uint8Array
  readonly keys: IdentityKeys
  readonly ledger: IdentityLedger
  readonly owners: OwnerDirectory
  /** Where acts that concern no known patient are logged. */
  readonly organisationOwner: Uint8Array
  readonly sessions: Sessions
  readonly log: LeafSink
  readonly audit: IdentityAudit
  readonly hostedKeys: HostedKeys
  readonly transport: OrgTransport
  readonly messages: OrgMessages
  readonly patients: PatientFinder
  readonly codeSender: CodeSender
  readonly clock: Clock
  readonly random: Random
}

export interface IdentityServices {
  readonly codes: EnrolmentCodes
  readonly links: Links
  readonly notices: Notices
  readonly home: Home
  readonly holders: HolderSessions
  readonly staff: StaffDesk
  readonly hosted: Hosted
  readonly hostedGrants: HostedGrants
  readonly claims: Claims
  readonly recovery: Recovery
  readonly matching: Matching
  readonly routes: readonly Route[]
}

/** Identity's services over one node's parts, and their routes. */
export function openIdentity(parts: IdentityParts): IdentityServices {
  const { ledger, clock, messages } = parts
  const endMs = (d: Uint8Array) => delegationEndMs(ledger, d, clock.now())
  const codes = new EnrolmentCodes(parts)
  const notices = new Notices(parts)
  const delegationIsActive = (d: Uint8Array) => endMs(d) !== undefined
  const links = new Links({ ...parts, codes, notices, delegationIsActive })
  const home = new Home(parts)
  const holders = new HolderSessions({ ...parts, links, delegationEndMs: endMs })
  const staff = new StaffDesk(parts)
  const hosted = new Hosted({ ...parts, codes, links, home })
  const hostedGrants = new HostedGrants({ ...parts, hosted, notices })
  const claims = new Claims({ ...parts, codes, home, notices })
  const recovery = new Recovery({ ...parts, codes, home, notices })
  const matching = new Matching(parts)
  const services = {
    codes,
    links,
    notices,
    home,
    holders,
    staff,
    hosted,
    hostedGrants,
    claims,
    recovery,
    matching,
  }
  return {
    ...services,
    routes: identityRoutes({ ...services, owners: parts.owners, messages, clock, relay: parts }),
  }
}
