import {
  checkPreview,
  draftTerms,
  makeGrant,
  organisationOf,
  previewGrant,
  previewState,
  type SignedPreview,
  withController,
} from '@salus/consent/client'
import { toHex } from '@salus/core'
import { changeKeyring } from '@salus/identity/client'
import { head } from '@salus/sdk'
import { ownVersions } from '../own-versions.ts'
import { personOf, sessionOf } from '../people.ts'
import { expectThat } from '../story.ts'
import { type DemoPerson, ORGS, type StoryGrant, type World } from '../world.ts'
import { staffOf } from './enrol.ts'

const HOUR_MS = 3_600_000
const PREVIEW_TRIES = 4
const LABS_AND_MEDICATION = ['labs', 'medication'] as const

/**
 * The patient drafts "labs and medication, for treatment, from 2015, for one hour, to clinician X at B", sees exactly
 * what it would show (computed and signed by A, and again on her device from her own keys), and signs it.
 */
export async function previewAndGrant(world: World): Promise<string> {
  const patient = personOf(world, 'patient')
  const made = await grantTo(world, patient, {
    compartments: LABS_AND_MEDICATION,
    from: '2015-01-01',
    hours: 1,
  })
  world.grants.set('first', made)
  return `“${made.n} of ${made.m}” record versions at ${ORGS.a} would be shown, the same number signed by ${ORGS.a} and recomputed on her device; grant ${toHex(made.g).slice(0, 8)} final at block ${made.height}, accepted by ${ORGS.b}`
}

/** Drafts, previews on both sides, and makes a grant at hospital A for the clinician at B. */
export async function grantTo(
  world: World,
  person: DemoPerson,
  wanted: {
    readonly compartments: readonly ('labs' | 'medication' | 'general')[]
    readonly from?: string
    readonly hours: number
  },
): Promise<StoryGrant & { n: number; m: number; height: number }> {
  const { context } = world
  const atA = sessionOf(person, ORGS.a)
  const nowMs = context.clock.now()
  const clinician = staffOf(world, 'clinician-b')
  const draft = draftTerms(person.person.keyring, {
    choices: {
      custodian: ORGS.a,
      grantee: { org: ORGS.b, practitioner: clinician.practitioner },
      scope: {
        compartments: [...wanted.compartments],
        ...(wanted.from === undefined ? {} : { filter: { from: wanted.from } }),
      },
      purpose: 'TREAT',
      actions: ['read', 'search'],
      notBefore: nowMs - 1_000,
      notAfter: nowMs + wanted.hours * HOUR_MS,
    },
    context,
  })
  const signed = await agreedPreview(world, person, { terms: draft.encoded, nowMs })
  expectThat(signed.preview.n > 0, 'the grant shows something')
  person.person = await changeKeyring(atA, {
    person: person.person,
    context,
    change: (keyring) => withController(keyring, draft.controller),
  })
  const startMs = performance.now()
  const made = await makeGrant(atA, { draft, keyring: person.person.keyring, context })
  expectThat(made.undelivered.length === 0, `the terms reach both: ${made.undelivered[0]?.detail}`)
  expectThat(made.acceptedMs !== undefined, 'B signs that it accepted')
  return {
    g: made.g,
    shown: signed.preview.shown,
    madeMs: startMs,
    n: signed.preview.n,
    m: signed.preview.m,
    height: made.height,
  }
}

/**
 * The preview that A signed, which the device's own must equal. A record that arrives between the two questions, such
 * as a summary made anew, makes them differ; asked again they agree, and a custodian that hides versions still differs.
 */
async function agreedPreview(
  world: World,
  person: DemoPerson,
  { terms, nowMs }: { readonly terms: Uint8Array; readonly nowMs: number },
): Promise<SignedPreview> {
  const { chainId } = world.context
  const atA = sessionOf(person, ORGS.a)
  const { sign: custodianKey } = await organisationOf(atA, ORGS.a)
  for (let tries = 1; ; tries += 1) {
    const signed = await previewGrant(atA, { terms, chainId, custodianKey })
    const versions = await ownVersions(world, person, ORGS.a)
    const state = previewState({ chainId, custodian: ORGS.a, nowMs, head: await head(atA) })
    try {
      checkPreview(signed, { terms, versions, owner: person.patient, state })
      return signed
    } catch (error) {
      if (tries === PREVIEW_TRIES) throw error
    }
  }
}
