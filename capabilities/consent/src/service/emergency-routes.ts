import {
  AppError,
  bytes,
  decode,
  fromBase64url,
  type Infer,
  object,
  oneOf,
  optional,
  text,
  toBase64url,
  tuple,
  uint,
} from '@salus/core'
import { json, type Route, bytes as rawAnswer, route, type Staff } from '@salus/server'
import { EMERGENCY_MAX_MS } from '../../contract/schema.ts'
import { emergencyStatementSchema } from '../emergency.ts'
import { personSchema } from './access-requests.ts'
import type { BreakGlass, GlassInput, GlassLine, GlassView } from './break-glass.ts'
import type { EmergencyDesk } from './emergency-desk.ts'
import type { PatientDesk } from './patient-ports.ts'

const CBOR = 'application/cbor'
const MAX_REQUEST_BYTES = 128 * 1024

const breakForm = object('Break the glass; name the patient in exactly one way', {
  patient: optional(text('Patient/id here', { min: 3, max: 160 })),
  person: optional(personSchema),
  locator: optional(bytes('From the code she carries', { length: 32 })),
  reason: emergencyStatementSchema.fields.reason,
  note: optional(text('In your words', { max: 512 })),
  lastsMs: optional(uint('How long, ms; 4 h unless told', { max: EMERGENCY_MAX_MS })),
})
const reviewForm = object('What the review found', {
  outcome: oneOf('Outcome', ['justified', 'unjustified', 'mistaken']),
})

export interface EmergencyRoutesParts {
  readonly glass: BreakGlass
  readonly desk: EmergencyDesk
  readonly patients: PatientDesk
}

/** Breaking the glass: for clinicians, for those who review, and between organisations. */
export function emergencyRoutes({ glass, desk, patients }: EmergencyRoutesParts): Route[] {
  return [
    route<Infer<typeof breakForm>>({
      method: 'POST',
      path: '/emergencies',
      summary:
        'Break the glass: the emergency summary from every other member, logged, told to the patient, reviewed',
      audience: 'clinician',
      body: breakForm,
      async handle({ actor, body }) {
        const view = await glass.open(actor as Staff, await inputOf(body, patients))
        return json(viewJson(view), view.phase === 'waiting' ? 202 : 201)
      },
    }),
    {
      method: 'GET',
      path: '/emergencies/:b',
      summary: 'What a glass that I broke holds open',
      audience: 'clinician',
      handle: async ({ actor, params }) =>
        json(viewJson(await glass.show(actor as Staff, idIn(params['b'])))),
    },
    {
      method: 'POST',
      path: '/emergencies/:b/second',
      summary: 'Sign as the second person while the ledger stands still',
      audience: 'clinician',
      handle: async ({ actor, params }) =>
        json(viewJson(await glass.second(actor as Staff, idIn(params['b'])))),
    },
    {
      method: 'POST',
      path: '/emergencies/:b/end',
      summary: 'Close a glass before its time',
      audience: 'clinician',
      async handle({ actor, params }) {
        await glass.end(actor as Staff, idIn(params['b']))
        return json({ ended: true })
      },
    },
    {
      method: 'GET',
      path: '/staff/emergencies',
      summary:
        'Every glass broken here, with the reviews that are due; and others’ whose ledger event is overdue',
      audience: 'staff',
      handle: () =>
        json({
          emergencies: glass.list().map(lineJson),
          ledgerEventsOverdue: desk
            .overdueLedgerEvents()
            .map(({ b, ...rest }) => ({ b: toBase64url(b), ...rest })),
        }),
    },
    route<Infer<typeof reviewForm>>({
      method: 'POST',
      path: '/staff/emergencies/:b/review',
      summary: 'Record what the review of a broken glass found; by somebody who did not break it',
      audience: 'staff',
      body: reviewForm,
      async handle({ actor, params, body }) {
        await glass.review(actor as Staff, idIn(params['b']), body.outcome)
        return json({ reviewed: body.outcome })
      },
    }),
    {
      method: 'POST',
      path: '/org/emergency',
      summary: 'A member broke the glass and asks for the emergency summary',
      audience: 'anyone',
      rawBody: CBOR,
      maxBodyBytes: MAX_REQUEST_BYTES,
      async handle({ body }) {
        const parts = decode(body, { maxBytes: MAX_REQUEST_BYTES })
        const [from, sealed] = Array.isArray(parts) ? parts : []
        if (typeof from !== 'string' || !(sealed instanceof Uint8Array))
          throw new AppError('BAD_REQUEST', 'body: must be (from, sealed)')
        const reply = await desk.answer(from, sealed)
        return rawAnswer(tuple(reply.bytes, reply.sig), CBOR)
      },
    },
  ]
}

async function inputOf(body: Infer<typeof breakForm>, patients: PatientDesk): Promise<GlassInput> {
  const { patient, person, locator, reason, note, lastsMs } = body
  const given = [patient, person, locator].filter((each) => each !== undefined)
  if (given.length !== 1)
    throw new AppError('BAD_REQUEST', 'patient, person, locator: name the patient in exactly one way')
  const rest = {
    reason,
    ...(note === undefined ? {} : { note }),
    ...(lastsMs === undefined ? {} : { lastsMs }),
  }
  if (locator !== undefined) return { patient: { kind: 'locator', locator }, ...rest }
  if (person !== undefined) return { patient: { kind: 'match', ...person }, ...rest }
  const found = await patients.read(patient as string)
  if (found === undefined)
    throw new AppError('NOT_FOUND', 'patient: nobody of that id is treated here', { path: 'patient' })
  return { patient: { kind: 'match', ...found.person }, owner: found.owner, ...rest }
}

function idIn(param: string | undefined): Uint8Array {
  try {
    const id = fromBase64url(param ?? '')
    if (id.length === 16) return id
  } catch {
    // Told below, like any other wrong id.
  }
  throw new AppError('BAD_REQUEST', 'b: must be 16 bytes, base64url')
}

const viewJson = ({ b, ...rest }: GlassView) => ({ b: toBase64url(b), ...rest })
const lineJson = ({ b, ...rest }: GlassLine) => ({ b: toBase64url(b), ...rest })
