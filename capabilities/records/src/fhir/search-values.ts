import type { Filter } from '@medplum/core'
import type { LooseResource } from './types.ts'

/** Token inputs of a resource: `type|param|kind|value` each; the caller keys them (HMAC under `IK_p`). */
export declare function searchTokens(resource: LooseResource): string[]
/** The token input every resource of a type has. */
export declare function typeToken(type: string): string
/**
 * Token inputs that a hit of this filter must have: any of the inner list, for each of the outer.
 * Undefined where tokens cannot narrow it (the caller then takes `typeToken` and re-checks).
 */
export declare function queryTokens(type: string, filter: Filter): string[][] | undefined
