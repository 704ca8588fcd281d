export * from './root-provider.ts'
