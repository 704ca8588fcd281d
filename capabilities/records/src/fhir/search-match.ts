import type { SearchRequest } from '@medplum/core'
import type { LooseResource } from './types.ts'

/** Parses `Observation?code=…`. Throws AppError SEARCH for unknown types, parameters and modifiers. */
export declare function parseSearch(url: string): SearchRequest
/** Whether a plaintext resource matches every filter, number, quantity and composite included. */
export declare function matchesSearch(resource: LooseResource, request: SearchRequest): boolean
