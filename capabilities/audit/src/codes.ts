// Systems and profiles of IHE BALP (Basic Audit Log Patterns) 1.1 and FHIR R4 AuditEvent.

export const BALP = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit'
export const SYSTEMS = {
  dcm: 'http://dicom.nema.org/resources/ontology/DCM',
  eventType: 'http://terminology.hl7.org/CodeSystem/audit-event-type',
  interaction: 'http://hl7.org/fhir/restful-interaction',
  lifecycle: 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle',
  entityType: 'http://terminology.hl7.org/CodeSystem/audit-entity-type',
  objectRole: 'http://terminology.hl7.org/CodeSystem/object-role',
  balpEntity: 'https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType',
  participation: 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType',
  reason: 'http://terminology.hl7.org/CodeSystem/v3-ActReason',
  /** This project's own: what BALP has no place for. */
  salus: 'urn:salus:audit',
} as const

/** What happened. Each kind has its BALP profile, type, subtypes and action. */
export const KINDS = {
  read: {
    profile: 'PatientRead',
    type: ['eventType', 'rest'],
    subtypes: [['interaction', 'read']],
    action: 'R',
  },
  search: {
    profile: 'PatientQuery',
    type: ['eventType', 'rest'],
    subtypes: [['interaction', 'search']],
    action: 'E',
  },
  create: {
    profile: 'PatientCreate',
    type: ['eventType', 'rest'],
    subtypes: [['interaction', 'create']],
    action: 'C',
  },
  update: {
    profile: 'PatientUpdate',
    type: ['eventType', 'rest'],
    subtypes: [['interaction', 'update']],
    action: 'U',
  },
  delete: {
    profile: 'PatientDelete',
    type: ['eventType', 'rest'],
    subtypes: [['interaction', 'delete']],
    action: 'D',
  },
  /** The custodian releases to another organisation. */
  release: {
    profile: 'PrivacyDisclosure.Source',
    type: ['dcm', '110106'],
    subtypes: [['lifecycle', 'disclose']],
    action: 'R',
  },
  /** The grantee receives. */
  receive: {
    profile: 'PrivacyDisclosure.Recipient',
    type: ['dcm', '110107'],
    subtypes: [['lifecycle', 'disclose']],
    action: 'C',
  },
  /** DICOM: Emergency Override Started / Stopped, under Security Alert. */
  'break-glass': {
    profile: 'PrivacyDisclosure.Source',
    type: ['dcm', '110113'],
    subtypes: [
      ['dcm', '110127'],
      ['lifecycle', 'disclose'],
    ],
    action: 'R',
  },
  'break-glass-end': {
    profile: undefined,
    type: ['dcm', '110113'],
    subtypes: [['dcm', '110138']],
    action: 'E',
  },
  export: { profile: undefined, type: ['dcm', '110106'], subtypes: [['interaction', 'batch']], action: 'R' },
  import: {
    profile: undefined,
    type: ['dcm', '110107'],
    subtypes: [['interaction', 'transaction']],
    action: 'C',
  },
  /** Keys, consents, settings: DICOM Security Alert, Object Security Attributes Changed. */
  administer: { profile: undefined, type: ['dcm', '110113'], subtypes: [['dcm', '110136']], action: 'E' },
} as const

export type EventKind = keyof typeof KINDS

/** FHIR AuditEvent.outcome. */
export const OUTCOMES = { permitted: '0', refused: '4', failed: '8' } as const
export type Outcome = keyof typeof OUTCOMES
