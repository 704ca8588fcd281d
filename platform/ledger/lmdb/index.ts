export * from './lmdb-store.ts'
export * from './read-lmdb.ts'
