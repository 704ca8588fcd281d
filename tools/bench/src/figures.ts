import type { Figure } from './harness.ts'

/** Every figure by name, in the order of the table; each is loaded only when it runs. */
export const figures: Readonly<Record<string, () => Promise<Figure>>> = {
  bodies: async () => (await import('./bodies.ts')).figure,
  leaves: async () => (await import('./leaves.ts')).figure,
  import: async () => (await import('./import.ts')).figure,
  release: async () => (await import('./release.ts')).figure,
  grant: async () => (await import('./grant.ts')).figure,
  read: async () => (await import('./read.ts')).figure,
  node: async () => (await import('./node.ts')).figure,
  story: async () => (await import('./story.ts')).figure,
}
