import type { Route } from '@salus/server'
import { type EnrolmentRoutesParts, enrolmentRoutes } from './enrolment-routes.ts'
import { type HomeRoutesParts, homeRoutes } from './home-routes.ts'
import { type HostedRoutesParts, hostedRoutes } from './hosted-routes.ts'
import { type MatchingRoutesParts, matchingRoutes } from './matching-routes.ts'
import { type RecoveryRoutesParts, recoveryRoutes } from './recovery-routes.ts'
import type { StaffDesk } from './staff.ts'
import { staffRoutes } from './staff-routes.ts'

export interface IdentityRoutesParts
  extends EnrolmentRoutesParts,
    HomeRoutesParts,
    HostedRoutesParts,
    RecoveryRoutesParts,
    MatchingRoutesParts {
  readonly staff: StaffDesk
}

/** The HTTP surface of identity. */
export function identityRoutes(parts: IdentityRoutesParts): Route[] {
  return [
    ...staffRoutes(parts.staff),
    ...enrolmentRoutes(parts),
    ...homeRoutes(parts),
    ...hostedRoutes(parts),
    ...recoveryRoutes(parts),
    ...matchingRoutes(parts),
  ]
}
