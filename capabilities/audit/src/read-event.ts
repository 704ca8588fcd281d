import { AppError, fromBase64, fromBase64url, fromHex, fromUtf8, instantMs } from '@salus/core'
import { type CanonicalJson, canonicalJson } from './canonical-json.ts'
import { type EventKind, KINDS, OUTCOMES, type Outcome, SYSTEMS } from './codes.ts'
import type { AccessFacts, ConcernedVersion } from './event.ts'

const MAX_BYTES = 1024 * 1024

type Node = { readonly [member: string]: CanonicalJson }

/**
 * Reads what `encodeEvent` wrote. The bytes must be canonical, so that one event has one digest.
 * Throws AppError `AUDIT` for anything else, with no part of the event in the message.
 */
export function readEvent(bytes: Uint8Array): AccessFacts {
  const fail = (): never => {
    throw new AppError('AUDIT', 'event: is not an AuditEvent that this project wrote')
  }
  if (bytes.length > MAX_BYTES) throw new AppError('AUDIT', `event: is larger than ${MAX_BYTES} bytes`)
  try {
    const text = fromUtf8(bytes)
    const event = JSON.parse(text) as Node
    if (canonicalJson(event) !== text || event['resourceType'] !== 'AuditEvent') fail()
    return factsOf(event)
  } catch {
    return fail()
  }
}

/** `H(request)` that an event names, for `openReply` of the consent capability; undefined if it names none. */
export function requestHashIn(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const { grant, emergency } = readEvent(bytes)
    return grant?.requestHash ?? emergency?.requestHash
  } catch {
    return undefined
  }
}

function factsOf(event: Node): AccessFacts {
  const agents = nodes(event['agent'])
  const entities = nodes(event['entity'])
  const user = must(agents.find((agent) => agent['requestor'] === true))
  const org = (role: string): string =>
    identifier(must(agents.find((agent) => codeIn(at(agent, 'type', 'coding', 0)) === role)))
  const asksAsSource = ['E', 'C', 'U', 'D'].includes(string(event['action'])) && kindOf(event) !== 'receive'
  const node = (role: string): string =>
    identifier(must(agents.find((agent) => codeIn(at(agent, 'type', 'coding', 0)) === role)))
  const [custodianRole, requesterRole] =
    asksAsSource && isRest(event) ? ['110152', '110153'] : ['110153', '110152']
  const basis = nodes(entities.find((entity) => codeIn(entity['type']) === 'basis')?.['detail'])
  const detail = (type: string): string | undefined => {
    const found = basis.find((item) => item['type'] === type)
    return found && string(found['valueString'] ?? found['valueBase64Binary'])
  }
  const binary = (type: string): Uint8Array => fromBase64(must(detail(type)))
  const query = entities.find((entity) => codeIn(entity['role']) === '24')?.['query']
  const practitioner = identifier(user)
  const as = string(user['altId']) as AccessFacts['requester']['as']
  const unit = at(user, 'policy', 0)
  const roles = nodes(user['role']).map((role) => string(role['text']))
  const description = event['outcomeDesc']
  return {
    eventId: fromHex(string(event['id']).replaceAll('-', '')),
    kind: kindOf(event),
    timeMs: instantMs(string(event['recorded'])),
    outcome: must((Object.keys(OUTCOMES) as Outcome[]).find((name) => OUTCOMES[name] === event['outcome'])),
    reasons: description === undefined ? [] : string(description).split(' '),
    recorder: {
      org: string(at(event, 'source', 'site')),
      node: string(at(event, 'source', 'observer', 'identifier', 'value')),
    },
    custodian: { org: org('custodian'), node: node(must(custodianRole)) },
    requester: {
      org: org('requester'),
      node: node(must(requesterRole)),
      as,
      ...(unit === undefined ? {} : { unit: string(unit).slice(`${SYSTEMS.salus}:unit:`.length) }),
      ...(practitioner === as ? {} : { practitioner }),
      ...(user['name'] === undefined ? {} : { name: string(user['name']) }),
      ...(user['role'] === undefined ? {} : { roles }),
    },
    purpose: string(at(event, 'purposeOfEvent', 0, 'coding', 0, 'code')),
    patient: string(at(must(entities.find((e) => codeIn(e['role']) === '1')), 'what', 'reference')),
    versions: entities.filter((entity) => codeIn(entity['role']) === '4').map(versionOf),
    requestId: fromBase64url(
      identifierOf(must(entities.find((e) => codeIn(e['type']) === 'XrequestId')), 'what'),
    ),
    ...(query === undefined ? {} : { query: fromUtf8(fromBase64(string(query))) }),
    ...(detail('grant') === undefined
      ? {}
      : {
          grant: {
            g: binary('grant'),
            seq: Number(must(detail('seq'))),
            prev: binary('prev'),
            requestHash: binary('request'),
          },
        }),
    ...(detail('emergency') === undefined
      ? {}
      : {
          emergency: {
            b: binary('emergency'),
            reason: must(detail('reason')),
            requestHash: binary('request'),
          },
        }),
    ...(detail('head-height') === undefined
      ? {}
      : { head: { height: Number(detail('head-height')), ageMs: Number(must(detail('head-age-ms'))) } }),
    degraded: detail('degraded') === 'true',
    ...(detail('marked') === undefined ? {} : { marked: detail('marked') as 'log-suspect' | 'log-forked' }),
  }
}

function versionOf(entity: Node): ConcernedVersion {
  const match = /^([A-Z][A-Za-z]+\/[A-Za-z0-9.-]+)\/_history\/([0-9]+)$/.exec(
    string(at(entity, 'what', 'reference')),
  )
  const details = nodes(entity['detail'])
  const find = (type: string): CanonicalJson | undefined =>
    details.find((item) => item['type'] === type)?.['valueBase64Binary']
  const view = find('view')
  return {
    oid: fromBase64(string(find('oid'))),
    recordId: must(match?.[1]),
    version: Number(must(match?.[2])),
    ...(view === undefined ? {} : { view: fromBase64(string(view)) }),
  }
}

function isRest(event: Node): boolean {
  return codeIn(event['type']) === 'rest'
}

function kindOf(event: Node): EventKind {
  const type = codeIn(event['type'])
  const subtype = codeIn(at(event, 'subtype', 0))
  return must(
    (Object.keys(KINDS) as EventKind[]).find(
      (name) => KINDS[name].type[1] === type && KINDS[name].subtypes[0][1] === subtype,
    ),
  )
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new AppError('AUDIT', 'event: lacks a member')
  return value
}

function string(value: CanonicalJson | undefined): string {
  if (typeof value !== 'string') throw new AppError('AUDIT', 'event: a member is not text')
  return value
}

function nodes(value: CanonicalJson | undefined): readonly Node[] {
  return Array.isArray(value) ? (value as readonly Node[]) : []
}

function at(
  value: CanonicalJson | undefined,
  ...path: readonly (string | number)[]
): CanonicalJson | undefined {
  let here: unknown = value
  for (const step of path) here = (here as { readonly [step: string | number]: unknown } | undefined)?.[step]
  return here as CanonicalJson | undefined
}

function codeIn(value: CanonicalJson | undefined): string | undefined {
  const code = at(value, 'code')
  return typeof code === 'string' ? code : undefined
}

function identifier(agent: Node): string {
  return identifierOf(agent, 'who')
}

function identifierOf(node: Node, member: string): string {
  return string(at(node, member, 'identifier', 'value'))
}
