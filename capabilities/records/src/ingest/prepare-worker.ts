import { serveTasks } from '@salus/host/system'
import { type PrepareInput, type PrepareOutput, prepare } from './prepare.ts'

serveTasks<PrepareInput, PrepareOutput>(prepare)
