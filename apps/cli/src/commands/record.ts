import { sendForJson } from '@salus/sdk'
import { type Args, type Command, usage } from '../command.ts'
import { type Io, printJson } from '../io.ts'
import { NODE_FLAGS, nodeOf } from '../node-flags.ts'

interface Resource {
  readonly resourceType?: string
  readonly id?: string
  readonly [member: string]: unknown
}

interface Bundle extends Resource {
  readonly total?: number
  readonly entry?: readonly { readonly resource?: Resource }[]
  readonly link?: readonly { readonly relation?: string; readonly url?: string }[]
}

/** Types that `record list` asks for unless told. */
const CHART_TYPES = [
  'AllergyIntolerance',
  'Condition',
  'DiagnosticReport',
  'Encounter',
  'Immunization',
  'MedicationRequest',
  'Observation',
  'Procedure',
] as const

const FLAGS = {
  ...NODE_FLAGS,
  purpose: { value: 'CODE', doc: 'Purpose of use (x-purpose), for staff: TREAT, …' },
} as const

const headers = (args: Args): Record<string, string> => {
  const purpose = args.text('purpose')
  return purpose === undefined ? {} : { 'x-purpose': purpose }
}

const REFERENCE = /^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64}$/

export const recordRead: Command = {
  name: 'record read',
  summary: 'Read one record from a node',
  positionals: 'TYPE/ID',
  positionalsMax: 1,
  about: 'The node decides, and logs the opening, before it answers. The text is printed as it was written.',
  flags: FLAGS,
  examples: ['salus record read Observation/bp-1 --node https://node.example --token …'],
  async run(args, io) {
    const [reference = ''] = args.positionals
    if (!REFERENCE.test(reference)) throw usage('TYPE/ID: must be a FHIR reference such as Observation/bp-1')
    const resource = await sendForJson(nodeOf(args, io), 'GET', `/fhir/${reference}`, {
      headers: headers(args),
    })
    if (args.is('json')) printJson(io, { ok: true, resource })
    else io.out(`${JSON.stringify(resource, null, 2)}\n`)
    return 0
  },
}

export const recordSearch: Command = {
  name: 'record search',
  summary: 'Search records of one patient on a node',
  positionals: 'TYPE [NAME=VALUE…]',
  positionalsMax: 20,
  about:
    'Parameters are those of FHIR R4 search. They go to the node in the body of the request, so that they stand in no\nlog of addresses. All pages are read up to --limit.',
  flags: { ...FLAGS, limit: { value: 'N', doc: 'Most records to read (default 1,000)' } },
  examples: [
    'salus record search Observation patient=Patient/p1 code=http://loinc.org|2093-3 --node …',
    'salus record search MedicationRequest patient=Patient/p1 status=active --json --node …',
  ],
  async run(args, io) {
    const [type = '', ...params] = args.positionals
    if (!/^[A-Z][A-Za-z]{1,63}$/.test(type)) throw usage('TYPE: must be a FHIR resource type')
    const found = await searched(args, io, type, params)
    show(args, io, found)
    return 0
  },
}

export const recordList: Command = {
  name: 'record list',
  summary: 'List a patient’s records on a node',
  positionals: '[TYPE…]',
  positionalsMax: 50,
  flags: {
    ...FLAGS,
    patient: { value: 'Patient/ID', doc: 'Whose; for a patient’s own session it is left out' },
    limit: { value: 'N', doc: 'Most records of each type (default 1,000)' },
  },
  examples: [
    'salus record list --patient Patient/p1 --node …',
    'salus record list Immunization AllergyIntolerance --node …',
  ],
  async run(args, io) {
    const types = args.positionals.length > 0 ? args.positionals : CHART_TYPES
    const patient = args.text('patient')
    if (patient !== undefined && !(patient.startsWith('Patient/') && REFERENCE.test(patient)))
      throw usage('--patient: must be Patient/ID, the id being 1 to 64 letters, digits, - or .')
    const found: Resource[] = []
    for (const type of types)
      found.push(...(await searched(args, io, type, patient === undefined ? [] : [`patient=${patient}`])))
    show(args, io, found)
    return 0
  },
}

async function searched(args: Args, io: Io, type: string, params: readonly string[]): Promise<Resource[]> {
  const limit = Number(args.text('limit') ?? '1000')
  if (!Number.isInteger(limit) || limit < 1) throw usage('--limit: must be a whole number')
  const node = nodeOf(args, io)
  const query = new URLSearchParams()
  for (const param of params) {
    const at = param.indexOf('=')
    if (at < 1) throw usage(`${param}: must be NAME=VALUE`)
    query.append(param.slice(0, at), param.slice(at + 1))
  }
  if (!query.has('_count')) query.set('_count', String(Math.min(limit, 200)))
  const resources: Resource[] = []
  for (let offset = 0; resources.length < limit; ) {
    if (offset > 0) query.set('_offset', String(offset))
    const bundle = (await sendForJson(node, 'POST', `/fhir/${type}/_search`, {
      headers: headers(args),
      raw: { type: 'application/x-www-form-urlencoded', body: query.toString() },
    })) as Bundle
    const page = (bundle.entry ?? []).flatMap(({ resource }) => (resource === undefined ? [] : [resource]))
    resources.push(...page)
    offset += page.length
    if (page.length === 0 || !bundle.link?.some(({ relation }) => relation === 'next')) break
  }
  return resources.slice(0, limit)
}

function show(args: Args, io: Io, resources: readonly Resource[]): void {
  if (args.is('json')) {
    printJson(io, { ok: true, total: resources.length, resources })
    return
  }
  for (const resource of resources) io.out(`${resource.resourceType}/${resource.id}  ${summary(resource)}\n`)
  io.out(`${resources.length} records\n`)
}

/** A line for people: the code's words and the day, where the resource has them. */
function summary(resource: Resource): string {
  const concept = (resource['code'] ?? resource['medicationCodeableConcept'] ?? resource['vaccineCode']) as
    | {
        readonly text?: string
        readonly coding?: readonly { readonly display?: string; readonly code?: string }[]
      }
    | undefined
  const words = concept?.text ?? concept?.coding?.[0]?.display ?? concept?.coding?.[0]?.code ?? ''
  const dates = [
    'effectiveDateTime',
    'onsetDateTime',
    'occurrenceDateTime',
    'authoredOn',
    'issued',
    'recordedDate',
  ]
  const date = dates.map((name) => resource[name]).find((value) => typeof value === 'string') as
    | string
    | undefined
  return [date?.slice(0, 10), words].filter(Boolean).join('  ')
}
