export * from './no-ambient.ts'
export * from './test-ledger.ts'
