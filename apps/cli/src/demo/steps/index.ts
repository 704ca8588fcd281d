import type { Story } from '../story.ts'
import type { World } from '../world.ts'
import { carer } from './carer.ts'
import { emergency } from './emergency.ts'
import { erasure } from './erasure.ts'
import { expiryAndRevocation } from './expiry.ts'
import { previewAndGrant } from './grant.ts'
import { portability } from './portability.ts'
import { readChart } from './read.ts'
import { recoveryAndClaim } from './recovery.ts'
import { refused } from './refused.ts'
import { tampering } from './tampering.ts'
import { whoLooked } from './who-looked.ts'

/** The steps of the story after people are enrolled and records are imported, in their order. */
export const STEPS: readonly (readonly [
  name: string,
  step: (world: World, story: Story) => Promise<string>,
])[] = [
  ['refused', refused],
  ['preview and grant', previewAndGrant],
  ['read', readChart],
  ['who looked', whoLooked],
  ['expiry and revocation', expiryAndRevocation],
  ['carer', carer],
  ['emergency', emergency],
  ['tampering', tampering],
  ['portability', portability],
  ['recovery and claim', recoveryAndClaim],
  ['erasure', erasure],
]
