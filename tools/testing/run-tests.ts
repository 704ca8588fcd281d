import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * `npm test`: runs the whole suite and ends with one line, `N passed, N failed, N skipped`.
 * Arguments go through to vitest (`npm test -- platform/core`).
 */
const folder = mkdtempSync(join(tmpdir(), 'salus-tests-'))
const report = join(folder, 'report.json')
const vitest = join(import.meta.dirname, '../../node_modules/vitest/vitest.mjs')
const child = spawn(
  process.execPath,
  [
    vitest,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
)
child.on('exit', (code) => {
  let exitCode = code ?? 1
  try {
    const result = JSON.parse(readFileSync(report, 'utf8')) as {
      numPassedTests: number
      numFailedTests: number
      numPendingTests: number
      numTodoTests: number
      numFailedTestSuites: number
      success: boolean
    }
    // A file that fails to load has no tests of its own, yet it must count as a failure.
    const failed = Math.max(result.numFailedTests, result.success ? 0 : 1)
    if (failed > 0) exitCode = 1
    console.log(
      `\n${result.numPassedTests} passed, ${failed} failed, ${result.numPendingTests + result.numTodoTests} skipped`,
    )
  } catch {
    console.log('\n0 passed, 1 failed, 0 skipped')
    exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exit(exitCode)
})
