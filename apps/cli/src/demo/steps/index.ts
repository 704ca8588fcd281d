import type { Story } from '../story.ts'
import type { World } from '../world.ts'

/** The steps of the story after people are enrolled and records are imported, in their order. */
export const STEPS: readonly (readonly [
  name: string,
  step: (world: World, story: Story) => Promise<string>,
])[] = []
