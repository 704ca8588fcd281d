/** Invented people and places. Any likeness to a person, a practice or a town is an accident. */
export interface Organisation {
  readonly key: string
  readonly number: string
  readonly name: string
  readonly town: string
}

export interface Practitioner {
  readonly number: string
  readonly given: string
  readonly family: string
  readonly organisation: string
  readonly speciality: readonly [code: string, display: string]
}

export interface Person {
  readonly key: string
  readonly given: string
  readonly family: string
  readonly gender: 'female' | 'male'
  readonly birthDate: string
  readonly home: string
  readonly number: string
  /** Keys of the parents, where they are in the samples. */
  readonly parents: readonly string[]
}

export const ORGANISATIONS: readonly Organisation[] = [
  { key: 'harbourlight', number: 'ORG-1001', name: 'Harbourlight General Hospital', town: 'Lowmere' },
  { key: 'saltmarsh', number: 'ORG-1002', name: 'Saltmarsh Community Clinic', town: 'Saltmarsh' },
  { key: 'quillhaven', number: 'ORG-1003', name: 'Quillhaven Imaging Centre', town: 'Lowmere' },
]

export const PRACTITIONERS: readonly Practitioner[] = [
  {
    number: 'PR-2001',
    given: 'Ottoline',
    family: 'Brackenbury',
    organisation: 'harbourlight',
    speciality: ['394579002', 'Cardiology'],
  },
  {
    number: 'PR-2002',
    given: 'Emeka',
    family: 'Stroud-Adeyo',
    organisation: 'saltmarsh',
    speciality: ['394814009', 'General practice'],
  },
  {
    number: 'PR-2003',
    given: 'Sunniva',
    family: 'Quist',
    organisation: 'harbourlight',
    speciality: ['394585009', 'Obstetrics and gynaecology'],
  },
  {
    number: 'PR-2004',
    given: 'Bastian',
    family: 'Mirelles',
    organisation: 'saltmarsh',
    speciality: ['394587001', 'Psychiatry'],
  },
  {
    number: 'PR-2005',
    given: 'Yevan',
    family: 'Thornquay',
    organisation: 'quillhaven',
    speciality: ['394914008', 'Radiology'],
  },
  {
    number: 'PR-2006',
    given: 'Perpetua',
    family: 'Lindgarde',
    organisation: 'harbourlight',
    speciality: ['394537008', 'Paediatric specialty'],
  },
]

export const FAMILIES: readonly { readonly name: string; readonly people: readonly Person[] }[] = [
  {
    name: 'Ferreira-Vance',
    people: [
      {
        key: 'marisol',
        given: 'Marisol',
        family: 'Ferreira-Vance',
        gender: 'female',
        birthDate: '1984-05-17',
        home: 'Lowmere',
        number: 'MRN-30001',
        parents: ['edda'],
      },
      {
        key: 'tobias',
        given: 'Tobias',
        family: 'Vance',
        gender: 'male',
        birthDate: '1981-11-02',
        home: 'Lowmere',
        number: 'MRN-30002',
        parents: [],
      },
      {
        key: 'nika',
        given: 'Nika',
        family: 'Vance',
        gender: 'female',
        birthDate: '2014-02-09',
        home: 'Lowmere',
        number: 'MRN-30003',
        parents: ['marisol', 'tobias'],
      },
      {
        key: 'edda',
        given: 'Edda',
        family: 'Ferreira',
        gender: 'female',
        birthDate: '1951-09-30',
        home: 'Saltmarsh',
        number: 'MRN-30004',
        parents: [],
      },
    ],
  },
  {
    name: 'Tallgren-Okoye',
    people: [
      {
        key: 'jonas',
        given: 'Jonas',
        family: 'Tallgren',
        gender: 'male',
        birthDate: '1976-03-21',
        home: 'Saltmarsh',
        number: 'MRN-30005',
        parents: [],
      },
      {
        key: 'imre',
        given: 'Imre',
        family: 'Okoye-Tallgren',
        gender: 'male',
        birthDate: '1979-07-08',
        home: 'Saltmarsh',
        number: 'MRN-30006',
        parents: [],
      },
      {
        key: 'sanna',
        given: 'Sanna',
        family: 'Tallgren',
        gender: 'female',
        birthDate: '2009-08-12',
        home: 'Saltmarsh',
        number: 'MRN-30007',
        parents: ['jonas', 'imre'],
      },
    ],
  },
]

const SYSTEMS = 'https://samples.example.org'
export const NUMBERS = {
  organisation: `${SYSTEMS}/organisations`,
  practitioner: `${SYSTEMS}/practitioners`,
  patient: `${SYSTEMS}/patients`,
} as const
