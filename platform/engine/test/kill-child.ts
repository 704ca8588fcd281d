import { toHex } from '@salus/core'
import { inlineWorkers } from '@salus/host'
import { systemClock, systemDisk, systemRandom } from '@salus/host/system'
import { openLmdbStore } from '@salus/ledger/lmdb'
import { testMember } from '@salus/ledger/testing'
import { cosignerKeys, openOperator, sufficientFor } from '../embedded/index.ts'
import { verifyJob, verifyPool } from '../src/index.ts'
import { bundleOf, freshBody, openLedger, testChainId } from './network.ts'

// An operator under load, to be killed: it says on standard output what is final, one line per body, and where it began.

const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: kill-child.ts FOLDER')
const clock = systemClock()
const disk = systemDisk(folder)
await disk.lock('lock')
const store = openLmdbStore({ path: `${folder}/ledger`, chainId: testChainId() })
const ledger = openLedger(store)
const { log } = testMember('a')
const operator = await openOperator({
  ledger,
  verifier: verifyPool({ workers: inlineWorkers(verifyJob) }),
  clock,
  disk,
  logPath: 'log',
  markPath: 'mark',
  key: log,
  cosigner: { name: 'a', key: log },
  cosigners: () => cosignerKeys(ledger),
  sufficient: sufficientFor(ledger),
  batchWindowMs: 2,
})
process.stdout.write(`open ${operator.head().height} ${operator.blockLog.height}\n`)
operator.subscribe(({ height, outcome }) => {
  const lines = outcome.results.map(({ txId, code }) => `final ${height} ${toHex(txId)} ${code}\n`)
  process.stdout.write(lines.join(''))
})
// The parent ends this by force; the open standard input keeps the process alive until then.
process.stdin.resume()
for (;;) {
  await new Promise((resolve) => setImmediate(resolve))
  const { timeMs } = ledger.head
  const now = Math.max(timeMs, clock.now())
  const bodies = Array.from({ length: 1 + ((systemRandom(1)[0] ?? 0) % 12) }, () =>
    freshBody(ledger.chainId, now, 'x', systemRandom),
  )
  await operator.submit(bundleOf(ledger.chainId, now, bodies)).catch(() => {})
}
