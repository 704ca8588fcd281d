export * from './bytes.ts'
export * from './cbor.ts'
export * from './errors.ts'
