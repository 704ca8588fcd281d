export * from './vault-types.ts'
