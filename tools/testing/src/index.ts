export { type SampleFile, sampleFiles } from './samples/index.ts'
