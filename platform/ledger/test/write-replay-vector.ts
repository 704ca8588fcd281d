import { writeFileSync } from 'node:fs'
import { replayScenario } from './replay-scenario.ts'

// node platform/ledger/test/write-replay-vector.ts: after a change of consensus on purpose, and only then.
const file = new URL('../../../vectors/ledger-replay.json', import.meta.url)
writeFileSync(file, `${JSON.stringify(replayScenario(), null, 2)}\n`)
