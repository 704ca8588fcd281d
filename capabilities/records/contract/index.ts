export { records } from './records.ts'
export { recordsSchema } from './schema.ts'
