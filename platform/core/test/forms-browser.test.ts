import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as here from './forms-check.ts'

const CHROMIUM = '/usr/bin/chromium'
const present = existsSync(CHROMIUM)
if (!present) console.warn(`SKIPPED: no Chromium at ${CHROMIUM}; the forms were not run in a browser`)

declare const report: string[]

const vector = (name: string) =>
  readFileSync(new URL(`../../../vectors/${name}.json`, import.meta.url), 'utf8')
const files = {
  cbor: vector('cbor'),
  merkle: vector('merkle'),
  sparse: vector('sparse'),
  notes: vector('notes'),
}

describe.skipIf(!present)('forms in Chromium', () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
  })

  afterAll(async () => {
    await browser?.close()
  })

  test('give what they give on Node, under a policy that forbids evaluating text', async () => {
    const result = await build({
      configFile: false,
      logLevel: 'error',
      build: {
        write: false,
        minify: false,
        lib: {
          entry: fileURLToPath(new URL('./forms-check.ts', import.meta.url)),
          formats: ['iife'],
          name: 'salusForms',
        },
      },
    })
    const [output] = Array.isArray(result) ? result : [result]
    const code = output !== undefined && 'output' in output ? output.output[0].code : ''
    // Run by the page itself: what is evaluated from outside is exempt from the page's policy.
    const script = `${code}\nvar report = salusForms.formsReport(${JSON.stringify(files)})`
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.exposeFunction('complain', (line: string) => complaints.push(line))
    await page.addInitScript(
      "addEventListener('securitypolicyviolation', (event) => complain(event.blockedURI))",
    )
    await page.route('https://forms.test/', (route) =>
      route.fulfill({
        contentType: 'text/html',
        headers: { 'content-security-policy': "script-src 'self'" },
        body: '<!doctype html><script src="/forms.js"></script>',
      }),
    )
    await page.route('https://forms.test/forms.js', (route) =>
      route.fulfill({ contentType: 'text/javascript; charset=utf-8', body: script }),
    )
    await page.goto('https://forms.test/')
    const found = await page.evaluate(() => report)
    expect(found).toEqual(here.formsReport(files))
    expect(found[0]).toMatch(/^cbor (\d+)\/\1 (\d+)\/\2$/)
    expect(found[4]).toBe('schema false false false false false')
    expect(complaints.filter((line) => !line.includes('favicon'))).toEqual([])
  })
})
