/** Demographics by which a person is found; exact after normalisation, never by a score. */
export interface Person {
  readonly family: string
  readonly given: string
  /** YYYY-MM-DD. */
  readonly birthDate: string
  readonly gender?: 'male' | 'female' | 'other' | 'unknown'
}

/** The patients of this organisation, as far as they are looked for by others. */
export interface PatientDesk {
  find(person: Person): readonly Uint8Array[]
  /** Whose code, carried on a card or a bracelet, this is; 32 B. */
  byLocator(locator: Uint8Array): Uint8Array | undefined
  /** A patient of this house by `Patient/id`, with the demographics to ask others by; undefined for nobody. */
  read(recordId: string): Promise<{ readonly owner: Uint8Array; readonly person: Person } | undefined>
  /** The patient wants no emergency summary shown. */
  optedOut(owner: Uint8Array): boolean
}

/** The owner's inbox. */
export interface NoticeBoard {
  add(
    owner: Uint8Array,
    notice: {
      readonly kind: 'emergency' | 'refusal'
      readonly about: Readonly<Record<string, string | number | Uint8Array>>
    },
  ): void
}
