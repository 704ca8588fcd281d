import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{platform,capabilities,apps,tools}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    // Several suites hash, seal and sync for seconds on a small machine; a hung test still ends.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
  },
})
