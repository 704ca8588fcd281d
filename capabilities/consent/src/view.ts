import { sha256, utf8 } from '@salus/core'
import { parseMask, stepMatches } from './masks.ts'

/** JSON in and out without touching a number: `parse` gives a fresh tree that may be changed. */
export interface JsonText {
  parse(text: string): unknown
  serialise(tree: unknown): string
}

export interface ViewRules {
  /** Elements to leave out: `Type.element.…` or `Resource.element.…`. */
  readonly masks: readonly string[]
  /**
   * Whether the same decision releases what `reference` (`Type/id`, a urn or a URL) leads to. Directory resources,
   * which every member's staff may read, count as released.
   */
  isReleased(reference: string): boolean
  /** Whether FHIR requires the element, by its path in the definitions: `Observation.code`, `X.value[x]`. */
  isRequired(path: string): boolean
}

export interface View {
  /** What the grantee gets where a view is needed. */
  readonly text: string
  /** Whether anything differs from what is stored. */
  readonly changed: boolean
}

type Node = Record<string, unknown>

/** Stands where FHIR wants an element that is left out: as if the data had never been there. */
const ABSENT_URL = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason'
const absent = (): Node => ({ extension: [{ url: ABSENT_URL, valueCode: 'unknown' }] })

/**
 * The view of a stored version: masked elements gone, references to what is not released cut down to the bare
 * `reference`. Pure: the same text and rules give the same bytes. Protocol §4.
 *
 * The narrative of a resource restates its content in words, so it goes as soon as anything else is left out or
 * cut, and also where something not released is referred to at all.
 */
export function viewOf(storedText: string, rules: ViewRules, json: JsonText): View {
  const tree = json.parse(storedText)
  const found = { changed: false, withheld: false }
  if (isNode(tree)) {
    maskResource(tree, rules, found)
    cutReferences(tree, rules, found)
    if (found.changed || found.withheld) dropNarrative(tree, found)
  }
  return { text: found.changed ? json.serialise(tree) : storedText, changed: found.changed }
}

/**
 * Whether the data key must stay and a view go out: always where the terms mask anything, since which of the two
 * comes would tell whether the masked element is there; else where a reference had to be cut. Protocol §4.
 */
export function needsView(storedText: string, rules: ViewRules, json: JsonText): boolean {
  return rules.masks.length > 0 || viewOf(storedText, rules, json).changed
}

/** `H(view)`: 32 bytes, in the AuditEvent and provable by the grantee without the rest. */
export function viewHashOf(viewText: string): Uint8Array {
  return sha256(utf8(viewText))
}

interface Found {
  changed: boolean
  withheld: boolean
}

const rawJson = JSON as unknown as { isRawJSON?(value: unknown): boolean }

function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    rawJson.isRawJSON?.(value) !== true
  )
}

/** Calls `visit` on every object in the tree, outer before inner; `visit` may change what it is given. */
function eachNode(value: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) eachNode(item, visit)
  } else if (isNode(value)) {
    visit(value)
    for (const member of Object.values(value)) eachNode(member, visit)
  }
}

/** Masks belong to a resource by its type, so contained and bundled resources are masked by their own. */
function maskResource(root: Node, rules: ViewRules, found: Found): void {
  eachNode(root, (node) => {
    const type = node['resourceType']
    if (typeof type !== 'string') return
    for (const mask of rules.masks) {
      const path = parseMask(mask)
      if (path.type === type || path.type === 'Resource') leaveOut(node, type, path.steps, rules, found)
    }
  })
}

function leaveOut(node: Node, path: string, steps: readonly string[], rules: ViewRules, found: Found): void {
  const [step, ...rest] = steps
  if (step === undefined) return
  for (const name of Object.keys(node)) {
    const bare = name.startsWith('_') ? name.slice(1) : name
    if (!stepMatches(step, bare)) continue
    const value = node[name]
    const here = `${path}.${step}`
    if (rest.length > 0) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (isNode(item)) leaveOut(item, here, rest, rules, found)
      }
      dropEmpty(node, name, rules.isRequired(here))
    } else if (!name.startsWith('_') || !(bare in node)) {
      replace(node, bare, rules.isRequired(here), found)
    }
  }
}

/** FHIR knows no empty objects and lists: what a mask emptied goes, or becomes a stand-in where it is required. */
function dropEmpty(node: Node, name: string, required: boolean): void {
  const value = node[name]
  const isEmpty = (item: unknown): boolean => isNode(item) && Object.keys(item).length === 0
  if (Array.isArray(value) ? !value.some(isEmpty) : !isEmpty(value)) return
  const kept = Array.isArray(value) ? value.filter((item) => !isEmpty(item)) : []
  if (kept.length > 0) node[name] = kept
  else if (required) node[name] = Array.isArray(value) ? [absent()] : absent()
  else delete node[name]
}

/**
 * Removes an element with its `_` sibling; where it is required, a stand-in takes the place: in the element itself
 * if that is complex, in the sibling if it is primitive.
 */
function replace(node: Node, name: string, required: boolean, found: Found): void {
  const sibling = `_${name}`
  const value = node[name]
  const isList = Array.isArray(value ?? node[sibling])
  const isComplex = isNode(Array.isArray(value) ? value.find((item) => item !== null) : value)
  delete node[name]
  delete node[sibling]
  if (required) node[isComplex ? name : sibling] = isList ? [absent()] : absent()
  found.changed = true
}

const LOCAL = /^([A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64})(\/_history\/[A-Za-z0-9\-.]{1,64})?(#.*)?$/
const URN = /^urn:(uuid|oid):[0-9a-zA-Z.-]+$/
const REFERENCE_MEMBERS = new Set(['id', 'extension', 'reference', 'type', 'identifier', 'display'])
/** What members' staff may read anyway; a logical reference to one says nothing about the patient's records. */
const DIRECTORY = new Set([
  'Organization',
  'Practitioner',
  'PractitionerRole',
  'Location',
  'HealthcareService',
  'Endpoint',
  'OrganizationAffiliation',
])

function cutReferences(root: Node, rules: ViewRules, found: Found): void {
  eachNode(root, (node) => {
    // An Attachment points by `url`; extensions have one too, but theirs is never a local reference.
    for (const member of ['reference', 'url'] as const) {
      const target = node[member]
      if (typeof target !== 'string' || target.startsWith('#')) continue
      if (member === 'url' && !LOCAL.test(target)) continue
      const local = LOCAL.exec(target)?.[1]
      if (rules.isReleased(local ?? target)) continue
      found.withheld = true
      if (local !== undefined || URN.test(target)) keepOnly(node, { [member]: local ?? target }, found)
      else keepOnly(node, absent(), found)
    }
    if (isLogicalReference(node)) {
      found.withheld = true
      keepOnly(node, absent(), found)
    }
  })
}

/** A reference by business identifier to something that is not in the directory: it names a record all the same. */
function isLogicalReference(node: Node): boolean {
  if ('reference' in node || !isNode(node['identifier'])) return false
  const names = Object.keys(node).map((name) => (name.startsWith('_') ? name.slice(1) : name))
  if (names.length < 2 || !names.every((name) => REFERENCE_MEMBERS.has(name))) return false
  return !DIRECTORY.has(String(node['type']))
}

function keepOnly(node: Node, kept: Node, found: Found): void {
  const names = Object.keys(node)
  const same = names.length === Object.keys(kept).length && names.every((name) => node[name] === kept[name])
  if (same) return
  for (const name of names) delete node[name]
  Object.assign(node, kept)
  found.changed = true
}

function dropNarrative(root: Node, found: Found): void {
  eachNode(root, (node) => {
    if (typeof node['resourceType'] !== 'string' || !isNode(node['text'])) return
    delete node['text']
    found.changed = true
  })
}
