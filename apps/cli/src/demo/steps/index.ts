import type { Story } from '../story.ts'
import type { World } from '../world.ts'
import { carer } from './carer.ts'
import { erasure } from './erasure.ts'
import { expiryAndRevocation } from './expiry.ts'
import { previewAndGrant } from './grant.ts'
import { portability } from './portability.ts'
import { readChart } from './read.ts'
import { tampering } from './tampering.ts'
import { whoLooked } from './who-looked.ts'

/** The steps of the story after people are enrolled and records are imported, in their order. */
export const STEPS: readonly (readonly [
  name: string,
  step: (world: World, story: Story) => Promise<string>,
])[] = [
  ['preview and grant', previewAndGrant],
  ['read', readChart],
  ['who looked', whoLooked],
  ['expiry and revocation', expiryAndRevocation],
  ['carer', carer],
  ['tampering', tampering],
  ['portability', portability],
  ['erasure', erasure],
]
