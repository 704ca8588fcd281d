import { AppError, equal, instantOf, sha256, toHex, utf8 } from '@salus/core'
import { type ConditionKinds, noConditions, sayCondition } from './conditions.ts'
import { decodeMandate } from './delegation.ts'
import type { Terms } from './terms.ts'
import { ACTIONS, type Action, COMPARTMENTS, type Compartment, type Purpose } from './vocabulary.ts'

/** The template this program writes. A changed word is a new template; old ones stay readable. */
export const TEMPLATE = 'en/1'

/**
 * A piece of the text. Ids stand in the hashed text exactly as in the terms: names live in directories that
 * device, custodian and grantee do not share, so a name could never be rendered again to the same bytes. A screen
 * shows the name beside the id (`readableText`); the hash covers the id.
 */
export type Piece =
  | string
  | { readonly id: string; readonly kind: 'organisation' | 'practitioner' | 'record' }

const COMPARTMENT_WORDS: Readonly<Record<Compartment, string>> = {
  general: 'general health records',
  medication: 'medication',
  labs: 'laboratory results',
  imaging: 'images and imaging reports',
  financial: 'bills and insurance',
  mental: 'mental health',
  substance: 'alcohol and drug use',
  'sexual-reproductive': 'sexual and reproductive health',
  genetics: 'genetics',
  notes: 'notes and documents',
  'patient-made': 'what the patient recorded herself',
  audit: 'who looked at the records',
  emergency: 'the emergency summary',
}

const PURPOSE_WORDS: Readonly<Record<Purpose, string>> = {
  TREAT: 'treatment',
  ETREAT: 'emergency treatment',
  CAREMGT: 'care management',
  HPAYMT: 'payment for health care',
  HOPERAT: 'running of the health organisation',
  HRESCH: 'health research',
  CLINTRCH: 'a clinical trial',
  PUBHLTH: 'public health',
  PATRQT: 'a request by the patient',
  FAMRQT: 'a request by the family',
}

const ACTION_WORDS: Readonly<Record<Action, string>> = {
  read: 'read these records',
  search: 'search in these records',
  write: 'add records',
  copy: 'keep a copy in their own chart, which stays theirs after the sharing ends',
}

/** The text of the terms, in pieces. Throws AppError `UNKNOWN_TEMPLATE` or `UNKNOWN_CONDITION`. */
export function renderTerms(terms: Terms, kinds: ConditionKinds = noConditions): Piece[] {
  if (terms.template !== TEMPLATE) {
    throw new AppError(
      'UNKNOWN_TEMPLATE',
      `template: this program knows ${TEMPLATE}; update it or write the terms anew`,
    )
  }
  const out: Piece[] = []
  const line = (...pieces: Piece[]): void => {
    out.push(...pieces, '\n')
  }
  const org = (id: string): Piece => ({ id, kind: 'organisation' })
  const person = (id: string): Piece => ({ id, kind: 'practitioner' })
  const { grantee, scope, masks, rate } = terms

  line('Sharing of health records')
  line('Shared by: ', org(terms.custodian), ', from the records it holds.')
  const unit: Piece[] = grantee.unit === undefined ? [] : [', unit “', grantee.unit, '”']
  const who: Piece[] =
    grantee.practitioner === undefined ? [', any of its staff'] : [', only ', person(grantee.practitioner)]
  line('Shared with: ', org(grantee.org), ...unit, ...who, '.')
  line('Purpose: ', PURPOSE_WORDS[terms.purpose], ', and no other.')
  const compartments = COMPARTMENTS.filter((name) => scope.compartments.includes(name))
  line('Categories: ', compartments.map((name) => COMPARTMENT_WORDS[name]).join('; '), '.')
  const filter = scope.filter
  if (filter?.types) line('Only these types: ', [...filter.types].sort(byCode).join(', '), '.')
  if (filter?.codes) {
    line(
      'Only records with one of these codes: ',
      filter.codes.map((c) => `“${c.system} ${c.code}”`).join(', '),
      '.',
    )
  }
  if (filter?.from !== undefined) line('Only records dated from ', filter.from, '.')
  if (filter?.to !== undefined) line('Only records dated up to ', filter.to, '.')
  if (filter?.records) {
    line('Only these records: ')
    for (const id of filter.records) line('  ', { id, kind: 'record' })
  }
  if (masks.length > 0) line('Left out of every record: ', masks.join(', '), '.')
  line(
    'They may: ',
    ACTIONS.filter((a) => terms.actions.includes(a))
      .map((a) => ACTION_WORDS[a])
      .join('; '),
    '.',
  )
  line('From ', instantOf(terms.notBefore), ' until ', instantOf(terms.notAfter), '.')
  line('What is opened may stay open for ', sayDuration(terms.lease), '.')
  line(
    'At most ',
    String(rate.requests),
    ' requests and ',
    String(rate.versions),
    ' record versions in an hour.',
  )
  for (const condition of terms.conditions) line('Condition: ', sayCondition(kinds, condition))
  line(
    terms.showWithheld
      ? 'They are told if something is withheld.'
      : 'They are not told whether anything is withheld.',
  )
  if (terms.standby) {
    line('If the first organisation cannot be reached: ')
    for (const id of terms.standby) line('  ', org(id))
  }
  if (terms.mandate) {
    const { d, until } = decodeMandate(terms.mandate.mandate)
    line('Given by a delegate under mandate ', toHex(d), ', which ends ', instantOf(until), '.')
  }
  if (terms.hosted) {
    const how = { 'in-person': 'in person', 'telephone-code': 'by a telephone code', paper: 'on paper' }
    line(
      'Entered by staff member ',
      person(terms.hosted.staff),
      '; the patient was identified ',
      how[terms.hosted.method],
      '.',
    )
    line('Evidence on file: ', toHex(terms.hosted.evidence), '.')
  }
  line('Lowest protection accepted: suite ', String(terms.minSuite), '.')
  line('The patient can end this at any time. What was already opened cannot be taken back.')
  return out
}

/** The text whose hash the terms carry: pieces joined, ids in “ ”. */
export function termsText(terms: Terms, kinds: ConditionKinds = noConditions): string {
  return renderTerms(terms, kinds)
    .map((p) => (typeof p === 'string' ? p : `“${p.id}”`))
    .join('')
}

/** The same text for a screen: each id followed by its name where `nameOf` knows one. Not hashed. */
export function readableText(
  pieces: readonly Piece[],
  nameOf: (piece: Exclude<Piece, string>) => string | undefined,
): string {
  const say = (piece: Exclude<Piece, string>): string => {
    const name = nameOf(piece)
    return name === undefined ? `“${piece.id}”` : `${name} (“${piece.id}”)`
  }
  return pieces.map((piece) => (typeof piece === 'string' ? piece : say(piece))).join('')
}

/** `H` of the text's UTF-8; 32 bytes. */
export function textHashOf(terms: Terms, kinds: ConditionKinds = noConditions): Uint8Array {
  return sha256(utf8(termsText(terms, kinds)))
}

/** Renders again and compares, as custodian and grantee must. Throws AppError `TEXT_MISMATCH`. Protocol §4. */
export function checkText(terms: Terms, kinds: ConditionKinds = noConditions): void {
  if (!equal(textHashOf(terms, kinds), terms.textHash)) {
    throw new AppError('TEXT_MISMATCH', 'textHash: the terms do not say what the person read; make them anew')
  }
}

/** Fills in template and hash. */
export function withText(
  terms: Omit<Terms, 'template' | 'textHash'>,
  kinds: ConditionKinds = noConditions,
): Terms {
  const draft = { ...terms, template: TEMPLATE, textHash: new Uint8Array(32) } as Terms
  return { ...draft, textHash: textHashOf(draft, kinds) }
}

function sayDuration(durationMs: number): string {
  const parts = [
    [Math.floor(durationMs / 3_600_000), 'h'],
    [Math.floor(durationMs / 60_000) % 60, 'min'],
    [Math.floor(durationMs / 1_000) % 60, 's'],
    [durationMs % 1_000, 'ms'],
  ] as const
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

function byCode(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
