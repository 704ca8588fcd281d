import { OperationOutcomeError, validateResource } from '@medplum/core'
import type { OperationOutcomeIssue, Resource } from '@medplum/fhirtypes'
import { definitions, loadStructure, RESOURCE_TYPES } from './definitions.ts'
import { LIMITS } from './json.ts'
import { checkRequiredCodes, type Tokens } from './required-codes.ts'
import { type Issue, issue, type LooseResource } from './types.ts'

const ID = /^[A-Za-z0-9\-.]{1,64}$/
const MAX_ISSUES = 100

/** One of the 146 resource types of R4 4.0.1. */
export function isKnownType(type: string): boolean {
  return RESOURCE_TYPES.has(type)
}

/** Every issue of a parsed resource; empty when it may be stored. Never throws for bad input, never repeats a value. */
export function validate(resource: unknown): Issue[] {
  if (typeof resource !== 'object' || resource === null || Array.isArray(resource)) {
    return [
      issue(
        'NOT_A_RESOURCE',
        '',
        'This is not a JSON object.',
        'Give a FHIR resource: an object with resourceType.',
      ),
    ]
  }
  const shape = checkShape(resource)
  if (shape) return [shape]
  const root = resource as LooseResource
  const type: unknown = root.resourceType
  const issues: Issue[] = []
  loadNestedTypes(root, typeof type === 'string' && RESOURCE_TYPES.has(type) ? type : '', issues)
  if (issues.length > 0) return issues
  if (root.id !== undefined && !(typeof root.id === 'string' && ID.test(root.id))) {
    return [
      issue(
        'INVALID_ID',
        `${root.resourceType}.id`,
        'The id is not a FHIR id.',
        'Use 1 to 64 of A–Z, a–z, 0–9, - and .',
      ),
    ]
  }
  const tokens: Tokens = {}
  try {
    validateResource(root as unknown as Resource, {
      collect: { tokens },
      base64BinaryMaxBytes: LIMITS.resourceBytes,
    })
  } catch (error) {
    if (!(error instanceof OperationOutcomeError)) {
      // The validator does not foresee every shape that JSON can have; what it cannot walk cannot be right.
      return [
        issue(
          'STRUCTURE',
          root.resourceType,
          'The resource has a shape that cannot be checked.',
          'Bring it into the shape that R4 gives it.',
        ),
      ]
    }
    for (const found of error.outcome.issue) {
      if (found.severity === 'error' || found.severity === 'fatal') issues.push(fromMedplum(found))
    }
  }
  checkRequiredCodes(tokens, issues)
  return issues.slice(0, MAX_ISSUES)
}

/** Depth and rough size first: everything after this walks the tree recursively. */
function checkShape(root: object): Issue | undefined {
  let characters = 0
  let tooDeep = false
  const visit = (node: object, depth: number): void => {
    if (depth > LIMITS.depth) {
      tooDeep = true
      return
    }
    const values: unknown[] = Array.isArray(node) ? node : Object.values(node)
    characters += values.length * 4
    for (const value of values) {
      if (typeof value === 'string') characters += value.length
      else if (typeof value === 'object' && value !== null) visit(value, depth + 1)
    }
  }
  visit(root, 1)
  if (tooDeep) {
    return issue('TOO_DEEP', '', `The resource nests deeper than ${LIMITS.depth} levels.`, 'Flatten it.')
  }
  if (characters > LIMITS.resourceBytes) {
    return issue(
      'TOO_BIG',
      '',
      `The resource is larger than ${LIMITS.resourceBytes} bytes.`,
      'Move large data to a Binary and link it.',
    )
  }
  return undefined
}

/** Loads the definitions of a resource and of those inside it; reports types that R4 does not have. */
function loadNestedTypes(node: object, path: string, issues: Issue[]): void {
  const type = (node as Record<string, unknown>)['resourceType']
  if (type !== undefined || path === '') {
    if (typeof type !== 'string' || type === '') {
      issues.push(
        issue(
          'NOT_A_RESOURCE',
          path,
          'resourceType is missing.',
          'Name the type, for example "resourceType": "Patient".',
        ),
      )
      return
    }
    if (!RESOURCE_TYPES.has(type) && isResourcePlace(path)) {
      issues.push(
        issue(
          'UNKNOWN_TYPE',
          `${path}.resourceType`,
          'FHIR R4 (4.0.1) has no resource of this type.',
          'Use a type of R4, spelled as there.',
        ),
      )
      return
    }
    loadStructure(type)
  }
  for (const key in node) {
    const value = (node as Record<string, unknown>)[key]
    if (typeof value !== 'object' || value === null) continue
    if (key === 'contained' || key === 'resource' || key === 'outcome' || key === 'response') {
      nested(value, `${path}.${key}`, issues)
    } else if (key === 'entry' || key === 'parameter' || key === 'part') {
      for (const item of Array.isArray(value) ? value : []) {
        if (typeof item === 'object' && item !== null) loadNestedTypes(item, `${path}.${key}`, issues)
      }
    }
  }
}

function nested(value: object, path: string, issues: Issue[]): void {
  for (const item of Array.isArray(value) ? value : [value]) {
    if (typeof item === 'object' && item !== null) loadNestedTypes(item, path, issues)
  }
}

function isResourcePlace(path: string): boolean {
  return !path.includes('.') || /\.(contained|resource|outcome)$/.test(path)
}

/** Texts of the validator that name types, counts and elements only. Any other text might repeat a value. */
const SAFE_TEXT =
  /^(Invalid JSON type|Invalid number of values|Invalid empty|Incorrect number of values|Expected|Value did not match|String |base64Binary |Invalid [a-zA-Z0-9]+ (format|value)$)/

function fromMedplum(found: OperationOutcomeIssue): Issue {
  const path = found.expression?.[0] ?? ''
  const text = found.details?.text ?? ''
  if (found.code === 'invariant') return invariantIssue(path, text)
  if (text.startsWith('Invalid additional property')) {
    return issue(
      'STRUCTURE',
      parentOf(path),
      'An element that R4 does not have is here.',
      'Remove it, or put it into an extension.',
    )
  }
  if (text === 'Missing required property')
    return issue('STRUCTURE', path, 'A required element is missing.', 'Add it.')
  if (!SAFE_TEXT.test(text)) {
    return issue(
      'STRUCTURE',
      path,
      'The element does not have the shape that R4 gives it.',
      'See the definition of the element in R4.',
    )
  }
  if (text.startsWith('Invalid JSON type')) {
    return issue('STRUCTURE', path, text, 'Write the value in the JSON type that FHIR gives it.')
  }
  const isValue = /^(String|Expected number|base64Binary|Invalid [a-zA-Z0-9]+ (format|value)$)/.test(text)
  return isValue
    ? issue('VALUE', path, text, 'Write the value in the form of its FHIR data type.')
    : issue('STRUCTURE', path, text, 'Bring the element into the shape that R4 gives it.')
}

function invariantIssue(path: string, text: string): Issue {
  const key = /\b([a-z]{3}-\d+[a-z]?)\b/.exec(text)?.[1]
  const rule = definitions.constraints.find(([name]) => name === key)
  const message = rule ? `Rule ${rule[0]}: ${rule[2]}` : 'A rule of R4 does not hold here.'
  return issue('INVARIANT', path, message, 'Change the element so that the rule holds.')
}

function parentOf(path: string): string {
  const dot = path.lastIndexOf('.')
  return dot === -1 ? path : path.slice(0, dot)
}
