import { allOk, getStatus, isOk, notFound } from '@medplum/core'
import { type FhirRequest, FhirRouter, type HttpMethod } from '@medplum/fhir-router'
import type { OperationOutcome, Resource } from '@medplum/fhirtypes'
import { PURPOSES, type Purpose } from '@salus/consent'
import { AppError, fromUtf8, instantMs } from '@salus/core'
import type { Actor, Answer, Call, Problem, Route } from '@salus/server'
import { isKnownType, LIMITS, parseJson, parseSearch } from '../fhir/index.ts'
import { answerText } from './bundle-text.ts'
import { capabilityStatement } from './capability-statement.ts'
import { httpDate } from './http-date.ts'
import { badInput, noSuchRecord } from './outcomes.ts'
import { type RepositoryParts, type SalusRepository, withRepository } from './salus-repository.ts'

const FHIR_JSON = 'application/fhir+json; charset=utf-8'
const MAX_BUNDLE_BYTES = 32 * 1024 * 1024
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** FHIR R4 over HTTP, below `/fhir`. Every answer is FHIR, errors too; see `fhirErrorForm` for those before a route. */
export function fhirRoutes(parts: RepositoryParts): Route[] {
  const router = recordRouter()
  const statement = JSON.stringify(capabilityStatement())
  const handle = (method: HttpMethod) => (call: Call<Uint8Array>) => answerTo(method, call, { parts, router })
  return [
    {
      method: 'GET',
      path: '/fhir/metadata',
      summary: 'CapabilityStatement: what this FHIR server does',
      audience: 'anyone',
      handle: () => ({ raw: { type: FHIR_JSON, body: statement } }),
    },
    ...METHODS.flatMap((method): Route[] =>
      (method === 'POST' ? ['/fhir', '/fhir/*'] : ['/fhir/*']).map((path) => ({
        method,
        path,
        summary: SUMMARIES[method],
        audience: 'signed-in',
        ...(method === 'GET' || method === 'DELETE'
          ? {}
          : { rawBody: 'application/fhir+json', maxBodyBytes: MAX_BUNDLE_BYTES }),
        handle: handle(method) as Route['handle'],
      })),
    ),
  ]
}

const SUMMARIES: Readonly<Record<(typeof METHODS)[number], string>> = {
  GET: 'FHIR read, version read, history, search',
  POST: 'FHIR create, search, batch, transaction',
  PUT: 'FHIR update, conditional update',
  PATCH: 'FHIR patch (JSON Patch)',
  DELETE: 'FHIR delete, conditional delete',
}

/** Turns an error of the server into an OperationOutcome; for the server's `errorForms`, prefix `/fhir`. */
export function fhirErrorForm({ status, code, detail }: Problem): Answer {
  const kind =
    status === 401 ? 'login' : status === 403 ? 'forbidden' : status === 404 ? 'not-found' : 'invalid'
  return outcomeAnswer(
    {
      resourceType: 'OperationOutcome',
      issue: [
        { severity: 'error', code: kind, details: { text: detail }, diagnostics: `${code}: ${detail}` },
      ],
    },
    status,
  )
}

/** The router without what this repository does not answer, and with this project's own search parser. */
function recordRouter(): FhirRouter {
  const made = new FhirRouter()
  const { routes } = made.router
  const own = routes.filter(
    ({ method, path }) =>
      !(method === 'GET' && path.length <= 1) &&
      !path.some(({ value }) => value === '$graphql' || value === '_search'),
  )
  routes.splice(0, routes.length, ...own)
  made.add(
    'GET',
    ':resourceType',
    async (request, repository) => [allOk, await repository.search(parseSearch(searchText(request)))],
    'search-type',
  )
  made.add(
    'POST',
    ':resourceType/_search',
    async (request, repository) => {
      const query = request.url.split('?')[1]
      const form = [query, request.body as string]
        .filter((part) => part !== undefined && part !== '')
        .join('&')
      return [allOk, await repository.search(parseSearch(`${request.params['resourceType']}?${form}`))]
    },
    'search-type',
  )
  return made
}

/** The search as text. An entry of a batch comes with its query taken out of the URL and parsed. */
function searchText({ url, params, query }: FhirRequest): string {
  if (url.includes('?')) return url
  const text = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {}))
    for (const one of [value].flat()) if (one !== undefined) text.append(name, one)
  return `${params['resourceType']}?${text}`
}

async function answerTo(
  method: HttpMethod,
  call: Call<Uint8Array>,
  { parts, router }: { readonly parts: RepositoryParts; readonly router: FhirRouter },
): Promise<Answer> {
  try {
    if (/xml/.test(call.headers['accept'] ?? '') && !/json|\*\/\*/.test(call.headers['accept'] ?? ''))
      throw new AppError('NOT_ACCEPTABLE', 'Accept: answers are JSON only; ask for application/fhir+json')
    const path = (call.params['*'] ?? '').replace(/\/+$/, '')
    const [type = ''] = path.split('/')
    if (path !== '' && !isKnownType(type)) return outcomeAnswer(notFound)
    const context = {
      actor: call.actor as Actor,
      purpose: purposeOf(call),
      requestId: parts.random(16),
    }
    return await withRepository(parts, context, async (repository) => {
      const request = requestOf(method, path, call, repository)
      const [outcome, resource] = await router.handleRequest(request, repository)
      return answerOf(outcome, resource, { method, path, call, repository })
    })
  } catch (error) {
    const outcome = (error as { outcome?: OperationOutcome }).outcome
    if (outcome !== undefined) return outcomeAnswer(outcome)
    if (error instanceof AppError)
      return fhirErrorForm({
        type: '',
        title: error.code,
        status: error.code === 'NOT_ACCEPTABLE' ? 406 : 400,
        code: error.code,
        detail: error.message,
      })
    throw error
  }
}

function requestOf(
  method: HttpMethod,
  path: string,
  call: Call<Uint8Array>,
  repository: SalusRepository,
): FhirRequest {
  const query = call.queryText ?? ''
  return {
    method,
    url: query === '' ? path : `${path}?${query}`,
    pathname: '',
    params: {},
    query: {},
    headers: call.headers as NonNullable<FhirRequest['headers']>,
    body: bodyOf(call, path, repository),
    config: { transactions: true },
  }
}

function bodyOf({ body }: Call<Uint8Array>, path: string, repository: SalusRepository): unknown {
  if (body === undefined || body.length === 0) return undefined
  let text: string
  try {
    text = fromUtf8(body)
  } catch {
    throw badInput('The body is not UTF-8 text.')
  }
  if (path.endsWith('/_search')) return text
  const parsed = parseJson(text, { characters: MAX_BUNDLE_BYTES, depth: LIMITS.depth + 3 })
  repository.exactNumbers.note(parsed)
  return parsed.value
}

function purposeOf({ actor, headers }: Call<Uint8Array>): Purpose {
  if (actor?.kind === 'holder') return actor.delegation === undefined ? 'PATRQT' : 'FAMRQT'
  const named = headers['x-purpose'] ?? 'TREAT'
  const known = PURPOSES.find((purpose) => purpose === named)
  if (known === undefined || known === 'PATRQT' || known === 'FAMRQT')
    throw badInput(`x-purpose: must be a purpose of use that staff can have, for example TREAT or HPAYMT`)
  return known
}

function answerOf(
  outcome: OperationOutcome,
  resource: Resource | undefined,
  {
    method,
    path,
    call,
    repository,
  }: {
    readonly method: HttpMethod
    readonly path: string
    readonly call: Call<Uint8Array>
    readonly repository: SalusRepository
  },
): Answer {
  const status = statusOf(outcome)
  if (!isOk(outcome)) return outcomeAnswer(outcome, status)
  if (resource === undefined) return method === 'DELETE' ? { status: 204 } : outcomeAnswer(outcome, status)
  const headers: Record<string, string> = {}
  const { versionId, lastUpdated } = resource.meta ?? {}
  if (resource.resourceType !== 'Bundle' || versionId !== undefined) {
    if (versionId !== undefined) headers['etag'] = `W/"${versionId}"`
    if (lastUpdated !== undefined) headers['last-modified'] = lastModified(lastUpdated)
    if (status === 201)
      headers['location'] = `/fhir/${resource.resourceType}/${resource.id}/_history/${versionId}`
  }
  const isRead = method === 'GET' && path.split('/').length === 2
  if (isRead && headers['etag'] !== undefined && call.headers['if-none-match'] === headers['etag'])
    return { status: 304, headers }
  if (method !== 'GET' && /return=minimal/.test(call.headers['prefer'] ?? '')) return { status, headers }
  const body = answerText(resource, (each) => repository.storedJson(each))
  return { status, headers, raw: { type: FHIR_JSON, body } }
}

function lastModified(instant: string): string {
  try {
    return httpDate(instantMs(instant))
  } catch {
    throw noSuchRecord()
  }
}

/** R4 http: 422 for what is well-formed and refused, 412 for another version; the library knows the rest. */
function statusOf(outcome: OperationOutcome): number {
  const code = outcome.issue[0]?.code
  if (outcome.id === undefined && (code === 'value' || code === 'invariant' || code === 'code-invalid'))
    return 422
  if (outcome.id === 'not-supported') return 400
  if (outcome.id === undefined && code === 'conflict') return 409
  if (outcome.id === undefined && code === 'throttled') return 503
  return getStatus(outcome)
}

function outcomeAnswer(outcome: OperationOutcome, status = statusOf(outcome)): Answer {
  return { status, raw: { type: FHIR_JSON, body: JSON.stringify(outcome) } }
}
