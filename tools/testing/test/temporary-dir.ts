import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory for one network, and the keys beside it; `remove` takes both away. */
export function temporaryDir(): { readonly dir: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), 'salus-test-'))
  return { dir: join(parent, 'net'), remove: () => rmSync(parent, { recursive: true, force: true }) }
}
