/** One thing that is not as it must be. */
export interface Finding {
  /** File (with the place in it), or address of what a node served. */
  readonly where: string
  readonly what: string
  /** What a person does about it. */
  readonly mend: string
}

/** What an audit found and what it went through. */
export class Findings {
  readonly findings: Finding[] = []
  /** Worth knowing, and no fault. */
  readonly notes: string[] = []

  add(where: string, what: string, mend: string): void {
    this.findings.push({ where, what, mend })
  }

  note(text: string): void {
    this.notes.push(text)
  }
}

export const RESTORE = 'restore this file from a backup, or take the blocks again from another node'
