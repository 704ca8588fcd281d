/** Most bodies in a bundle (protocol §11). */
export const MAX_BUNDLE_BODIES = 128
/** Largest bundle with its sponsor's signature (protocol §11). */
export const MAX_BUNDLE_BYTES = 256 * 1024
/** Largest body. */
export const MAX_BODY_BYTES = 32 * 1024
/** Most keys that sign one body. */
export const MAX_BODY_KEYS = 8
/** How far ahead of block time `until` may lie (protocol §11, Replay). */
export const UNTIL_WINDOW_MS = 10 * 60 * 1000
/** Replay sets are kept per minute of `until`. */
export const MINUTE_MS = 60 * 1000
/** Largest block: the proposer's 2 MiB of bundles and their framing. */
export const MAX_BLOCK_BYTES = 4 * 1024 * 1024
/** Most bundles in a block. */
export const MAX_BLOCK_BUNDLES = 4096
/** Longest organisation id. */
export const MAX_ORG_CHARS = 63
/** Lists and maps within lists and maps in what comes from outside. */
export const MAX_DEPTH = 16
