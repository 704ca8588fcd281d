export { Constellation, type ConstellationOptions, DEMO_NAME } from './constellation.ts'
export { type SampleFile, sampleFiles } from './samples/index.ts'
export {
  addStaff,
  type Chart,
  chartOf,
  draftFor,
  enrolPatient,
  type GrantMade,
  grantedIn,
  grantTo,
  HOSPITALS,
  type Hospital,
  importText,
  SAMPLE_PATIENT,
  type Scenario,
  type ScenarioOptions,
  type ScenarioPatient,
  type ScenarioStaff,
  sampleText,
  sessionAt,
  startScenario,
  withdraw,
} from './scenario.ts'
