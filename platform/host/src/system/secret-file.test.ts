import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { secretFile } from './secret-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'salus-secret-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('is made once, for the owner only, and tells when others can read it', async () => {
  const file = await secretFile({ path: join(folder, 'config', 'root.key'), dataDir: join(folder, 'data') })
  expect(await file.read()).toBeUndefined()
  await file.create(new Uint8Array([1, 2, 3]))
  expect(statSync(file.where).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'config')).mode & 0o777).toBe(0o700)
  expect(await file.read()).toEqual({ bytes: new Uint8Array([1, 2, 3]), openToOthers: false })
  await expect(file.create(new Uint8Array([4]))).rejects.toMatchObject({ code: 'SECRET_FILE_EXISTS' })
  chmodSync(file.where, 0o640)
  expect((await file.read())?.openToOthers).toBe(true)
})

test('is refused inside the data directory, also through a link', async () => {
  symlinkSync(folder, join(folder, 'link'))
  for (const path of [join(folder, 'data', 'x', 'root.key'), join(folder, 'link', 'data', 'root.key')])
    await expect(secretFile({ path, dataDir: join(folder, 'data') })).rejects.toMatchObject({
      code: 'ROOT_FILE_PLACE',
    })
})
