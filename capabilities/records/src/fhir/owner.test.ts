import { describe, expect, test } from 'vitest'
import { type Owner, ownerOf } from './owner.ts'
import type { LooseResource } from './types.ts'

const hers = (name: string): Owner => ({ kind: 'patient', name })
const directory: Owner = { kind: 'directory' }
const several: Owner = { kind: 'organisation', reason: 'several-patients' }
const unnamed: Owner = { kind: 'organisation', reason: 'unnamed-patient' }

const CASES: readonly (readonly [what: string, resource: LooseResource, owner: Owner])[] = [
  ['a patient is her own', { resourceType: 'Patient', id: '1' }, hers('Patient/1')],
  [
    'a patient linked to another stays her own',
    { resourceType: 'Patient', id: '1', link: [{ other: { reference: 'Patient/2' } }] },
    hers('Patient/1'),
  ],
  ['subject', { resourceType: 'Observation', subject: { reference: 'Patient/1' } }, hers('Patient/1')],
  [
    'subject with a version',
    { resourceType: 'Observation', subject: { reference: 'Patient/1/_history/2' } },
    hers('Patient/1'),
  ],
  [
    'the same patient twice',
    {
      resourceType: 'Observation',
      subject: { reference: 'Patient/1' },
      performer: [{ reference: 'Patient/1' }],
    },
    hers('Patient/1'),
  ],
  [
    'mother observes newborn',
    {
      resourceType: 'Observation',
      subject: { reference: 'Patient/baby' },
      performer: [{ reference: 'Patient/mother' }],
    },
    several,
  ],
  [
    'beneficiary and subscriber differ',
    {
      resourceType: 'Coverage',
      beneficiary: { reference: 'Patient/1' },
      subscriber: { reference: 'Patient/2' },
    },
    several,
  ],
  [
    'payee',
    {
      resourceType: 'Claim',
      patient: { reference: 'Patient/1' },
      payee: { party: { reference: 'Patient/2' } },
    },
    several,
  ],
  [
    'appointment',
    {
      resourceType: 'Appointment',
      participant: [{ actor: { reference: 'Practitioner/9' } }, { actor: { reference: 'Patient/1' } }],
    },
    hers('Patient/1'),
  ],
  [
    'provenance of a patient',
    { resourceType: 'Provenance', target: [{ reference: 'Observation/1' }, { reference: 'Patient/1' }] },
    hers('Patient/1'),
  ],
  [
    'group of two',
    {
      resourceType: 'Group',
      member: [{ entity: { reference: 'Patient/1' } }, { entity: { reference: 'Patient/2' } }],
    },
    several,
  ],
  ['group of devices', { resourceType: 'Group', member: [{ entity: { reference: 'Device/1' } }] }, directory],
  ['organisation', { resourceType: 'Organization', name: 'x' }, directory],
  [
    'observation of a location',
    { resourceType: 'Observation', subject: { reference: 'Location/1' } },
    directory,
  ],
  ['no subject', { resourceType: 'Observation' }, directory],
  [
    'a device, which R4 leaves out of the compartment, names its patient',
    { resourceType: 'Device', patient: { reference: 'Patient/1' } },
    hers('Patient/1'),
  ],
  ['a task for a patient', { resourceType: 'Task', for: { reference: 'Patient/1' } }, hers('Patient/1')],
  [
    'another server',
    { resourceType: 'Observation', subject: { reference: 'http://h.org/fhir/Patient/1' } },
    hers('http://h.org/fhir/Patient/1'),
  ],
  [
    'unresolved urn',
    { resourceType: 'Observation', subject: { reference: 'urn:uuid:a' } },
    hers('urn:uuid:a'),
  ],
  [
    'unresolved condition',
    { resourceType: 'Observation', subject: { reference: 'Patient?identifier=s|1' } },
    hers('Patient?identifier=s|1'),
  ],
  [
    'by identifier',
    { resourceType: 'Observation', subject: { identifier: { system: 's', value: '1' } } },
    hers('Patient?identifier=s|1'),
  ],
  ['by name only', { resourceType: 'Observation', subject: { display: 'Marisol' } }, unnamed],
  [
    'a device by name only',
    { resourceType: 'Observation', subject: { display: 'Monitor', type: 'Device' } },
    directory,
  ],
  [
    'contained',
    {
      resourceType: 'Observation',
      subject: { reference: '#p' },
      contained: [{ resourceType: 'Patient', id: 'p' }],
    },
    unnamed,
  ],
  [
    'contained with identifier',
    {
      resourceType: 'Observation',
      subject: { reference: '#p' },
      contained: [{ resourceType: 'Patient', id: 'p', identifier: [{ value: '7' }] }],
    },
    hers('Patient?identifier=7'),
  ],
  ['a binary cannot say', { resourceType: 'Binary', contentType: 'text/plain' }, unnamed],
  [
    'a binary that does',
    { resourceType: 'Binary', contentType: 'text/plain', securityContext: { reference: 'Patient/1' } },
    hers('Patient/1'),
  ],
  [
    'a document about one',
    {
      resourceType: 'Bundle',
      type: 'document',
      entry: [
        { fullUrl: 'urn:uuid:p', resource: { resourceType: 'Patient', id: '1' } },
        {
          fullUrl: 'urn:uuid:o',
          resource: { resourceType: 'Observation', subject: { reference: 'urn:uuid:p' } },
        },
      ],
    },
    hers('Patient/1'),
  ],
  [
    'a document about two',
    {
      resourceType: 'Bundle',
      type: 'document',
      entry: [
        { resource: { resourceType: 'Patient', id: '1' } },
        { resource: { resourceType: 'Patient', id: '2' } },
      ],
    },
    several,
  ],
]

describe('owner', () => {
  test.each(CASES)('%s', (_what, resource, owner) => {
    expect(ownerOf(resource)).toEqual(owner)
  })
})

test('a provenance that names records only belongs to whom they belong', () => {
  const owners: Record<string, Owner> = {
    'Observation/1': hers('Patient/1'),
    'Observation/2': hers('Patient/2'),
  }
  const target = (...ids: string[]): LooseResource => ({
    resourceType: 'Provenance',
    target: ids.map((reference) => ({ reference })),
  })
  const of = (resource: LooseResource): Owner => ownerOf(resource, (name) => owners[name])
  expect(of(target('Observation/1'))).toEqual(hers('Patient/1'))
  expect(of(target('Observation/1', 'Observation/2'))).toEqual(several)
  expect(of(target('Organization/1'))).toEqual(directory)
})
