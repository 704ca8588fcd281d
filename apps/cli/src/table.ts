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
    name: 'log proof',
    summary: 'Write the proofs of a receipt as .tlog-proof files, for other people’s tools',
    load: async () => (await import('./commands/log-proof.ts')).logProof,
  },
  {
    name: 'log verify',
    summary: 'Recompute a whole log from its entries: every hash, the index, the signed root',
    load: async () => (await import('./commands/log-verify.ts')).logVerify,
  },
  {
    name: 'key show',
    summary: 'Show the public keys in a member card or key file, or of a running node',
    load: async () => (await import('./commands/key-show.ts')).keyShow,
  },
  {
    name: 'key new',
    summary: 'Make an Ed25519 key in a file of mode 0600, to sign calls with',
    load: async () => (await import('./commands/key-new.ts')).keyNew,
  },
  {
    name: 'call',
    summary: 'Build, sign and send a call of a contract on the ledger',
    load: async () => (await import('./commands/call.ts')).call,
  },
  {
    name: 'query',
    summary: 'Ask a contract on the ledger, as a node executed it',
    load: async () => (await import('./commands/query.ts')).query,
  },
  {
    name: 'node init',
    summary: 'Make an organisation’s keys and its member card; with --found also a network',
    load: async () => (await import('./commands/node-init.ts')).nodeInit,
  },
  {
    name: 'node start',
    summary: 'Run one organisation’s node until it is asked to stop',
    load: async () => (await import('./commands/node-start.ts')).nodeStart,
  },
  {
    name: 'config',
    summary: 'Show the settings that a node would run with, and where each comes from',
    load: async () => (await import('./commands/config.ts')).config,
  },
  {
    name: 'backup',
    summary: 'Back up a stopped node: all stores in one folder, its keys in a file of their own',
    load: async () => (await import('./commands/backup.ts')).backup,
  },
  {
    name: 'restore',
    summary: 'Make a data directory from a backup; what was erased since is erased again first',
    load: async () => (await import('./commands/backup.ts')).restore,
  },
  {
    name: 'record list',
    summary: 'List a patient’s records on a node',
    load: async () => (await import('./commands/record.ts')).recordList,
  },
  {
    name: 'record read',
    summary: 'Read one record from a node',
    load: async () => (await import('./commands/record.ts')).recordRead,
  },
  {
    name: 'record search',
    summary: 'Search records of one patient on a node',
    load: async () => (await import('./commands/record.ts')).recordSearch,
  },
  {
    name: 'grant list',
    summary: 'List my grants at a custodian, with whom they let in, to what and until when',
    load: async () => (await import('./commands/grant.ts')).grantList,
  },
  {
    name: 'grant show',
    summary: 'Show what the ledger says of a grant: its state and its end, and nothing about people',
    load: async () => (await import('./commands/grant.ts')).grantShow,
  },
  {
    name: 'completion',
    summary: 'Print shell completion for bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
]
