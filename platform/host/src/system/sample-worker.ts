import { type SampleInput, sampleTask } from '../sample-task.ts'
import { serveTasks } from './workers.ts'

serveTasks<SampleInput | { exit: true }, number>((input) =>
  'exit' in input ? process.exit(3) : sampleTask(input),
)
