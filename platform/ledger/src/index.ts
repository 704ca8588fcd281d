export * from './runtime/define.ts'
