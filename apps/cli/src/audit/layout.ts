// Where the stores of an organisation lie below its data directory. A test compares this with the node's own table,
// which an auditor does not load: it would bring the whole server along.
export const LAYOUT = {
  ledger: 'ledger/state',
  blockLog: 'ledger/blocks',
  cosignMark: 'cosigned',
  log: 'log',
  vault: 'vault',
  custody: 'custody.sqlite',
  index: 'index.sqlite',
  keystore: 'keystore',
} as const
