export { Constellation, type ConstellationOptions, DEMO_NAME } from './constellation.ts'
export { type SampleFile, sampleFiles } from './samples/index.ts'
