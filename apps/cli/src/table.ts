import type { Command } from './command.ts'

/** A command as the overview shows it; its file is loaded when it runs, so that `salus --help` starts fast. */
export interface Entry {
  readonly name: string
  readonly summary: string
  load(): Promise<Command>
}

/** Every command, in the order of the overview. */
export const TABLE: readonly Entry[] = [
  {
    name: 'demo',
    summary: 'Two hospitals, a patient and her carer on this machine: a story that checks itself',
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  {
    name: 'verify',
    summary: 'Check receipts offline, from the genesis id alone',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  {
    name: 'audit',
    summary: 'Recompute everything in a data directory, or of a running node, trusting nothing',
    load: async () => (await import('./commands/audit.ts')).audit,
  },
  {
    name: 'witness',
    summary: 'Cosign the checkpoints of logs, each only as an extension of the one before',
    load: async () => (await import('./commands/witness.ts')).witness,
  },
  {
    name: 'completion',
    summary: 'Print shell completion for bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
]
