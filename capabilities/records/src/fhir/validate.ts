import type { Issue } from './types.ts'

/** One of the 148 resource types of R4 4.0.1. */
export declare function isKnownType(type: string): boolean
/** Every issue of a parsed resource; empty when it may be stored. Never throws for bad input, never repeats a value. */
export declare function validate(resource: unknown): Issue[]
