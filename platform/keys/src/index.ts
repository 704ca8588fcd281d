export * from './keyring.ts'
export * from './keyring-types.ts'
