export * from './lmdb-store.ts'
