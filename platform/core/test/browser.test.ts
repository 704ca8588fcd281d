import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as here from './self-check.ts'
import { system } from './system-random.ts'

const CHROMIUM = '/usr/bin/chromium'
const present = existsSync(CHROMIUM)
if (!present) console.warn(`SKIPPED: no Chromium at ${CHROMIUM}; core was not run in a browser`)

declare const salus: typeof here

/** Core and the self-check as one classic script, resolved as for a browser. */
async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      lib: {
        entry: fileURLToPath(new URL('./self-check.ts', import.meta.url)),
        formats: ['iife'],
        name: 'salus',
      },
    },
  })
  const outputs = Array.isArray(result) ? result : [result]
  for (const output of outputs) {
    if ('output' in output) return output.output[0].code
  }
  throw new Error('the bundler gave nothing')
}

describe.skipIf(!present)('in Chromium', () => {
  let browser: Browser
  let page: Page
  let code: string

  beforeAll(async () => {
    code = await bundle()
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'],
    })
    page = await browser.newPage()
    await page.addScriptTag({ content: code })
  })

  afterAll(async () => {
    await browser?.close()
  })

  test('the bundle holds the browser layer and nothing of Node', () => {
    expect(/(import|require|from)\s*\(?\s*['"]node:|browser-external/.test(code)).toBe(false)
    expect(code.includes('zip215')).toBe(true)
  })

  test('every result is byte for byte what Node gives', async () => {
    const expected = here.transcript()
    expect(await page.evaluate(() => salus.transcript())).toEqual(expected)
    expect(expected).toMatchObject({
      verified: 'true',
      refused: 'false',
      batchKeyBack: 'true',
      included: 'true',
      notIncluded: 'false',
    })
  })

  test('what Node seals and signs, the browser opens and verifies', async () => {
    const parcel = here.makeParcel('from Node: żółć', system)
    expect(await page.evaluate((given) => salus.openParcel(given), parcel)).toEqual({
      sealed: 'from Node: żółć',
      object: 'from Node: żółć',
      signed: true,
    })
  })

  test('what the browser seals and signs, Node opens and verifies', async () => {
    const parcel = await page.evaluate(() => salus.makeParcelHere('from the browser: żółć'))
    expect(here.openParcel(parcel)).toEqual({
      sealed: 'from the browser: żółć',
      object: 'from the browser: żółć',
      signed: true,
    })
  })
})
