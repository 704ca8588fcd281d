import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, usage } from '../command.ts'
import { documentOf } from '../demo/document.ts'
import { play } from '../demo/play.ts'
import { Story } from '../demo/story.ts'
import { pathOf, printJson } from '../io.ts'

export const demo: Command = {
  name: 'demo',
  summary: 'Two hospitals, a patient and her carer on this machine: a story that checks itself',
  about:
    'Starts two hospitals, a witness and a third clinic in one process on loopback ports, plays the story through the\n' +
    'same HTTP interfaces that anybody uses, says what each step proved, and keeps serving until Ctrl-C.',
  flags: {
    bundles: {
      doc: 'Play it on the FHIR R4 files in this directory instead of the shipped samples',
      value: 'DIR',
    },
    once: { doc: 'Stop after the story; exit code 0 only if every step did what it must' },
    keep: { doc: 'Keep the data directory, here', value: 'DIR' },
    port: { doc: 'First of four ports; free ones when left out', value: 'N' },
  },
  examples: ['salus demo', 'salus demo --once --json', 'salus demo --bundles my-fhir-files --keep ./data'],
  async run(args, io) {
    const json = args.is('json')
    const keep = args.text('keep')
    const dir = keep === undefined ? mkdtempSync(join(tmpdir(), 'salus-demo-')) : pathOf(io, keep)
    const bundles = args.text('bundles')
    const port = args.text('port')
    if (port !== undefined && !/^\d{1,5}$/.test(port))
      throw usage('--port: must be a number from 0 to 65,535')
    const story = new Story({ io, quiet: json })
    story.say('Salus: a patient’s record from two hospitals, under her control, with proof of everything.\n')
    const played = await play(
      {
        bundles: bundles === undefined ? undefined : pathOf(io, bundles),
        dir,
        port: port === undefined ? undefined : Number(port),
      },
      story,
      io,
    )
    const document = await documentOf(played, story, dir)
    if (json) printJson(io, document)
    else story.say(document.ok ? '\nEvery step did what it must.' : '\nA step failed; see above.')
    if (!args.is('once') && played.world !== undefined) {
      if (!json) {
        for (const { name, url, fhirBase } of document.nodes)
          story.say(`  ${name.padEnd(12)} ${url}/health   ${url}/openapi.json   ${fhirBase}/metadata`)
        for (const { name, role, organisation, token } of document.people)
          story.say(`  ${role.padEnd(12)} ${name} at ${organisation}: Bearer ${token}`)
        const judged = `--genesis ${document.genesisId} --now ${document.nowMs}`
        story.say(
          `\n  Check it yourself:  npx salus verify ${join(dir, 'receipts')}/*.receipt.json ${judged}`,
        )
        story.say('\nServing until Ctrl-C.')
      }
      await io.stopped()
    }
    await played.world?.net.close()
    if (keep === undefined) {
      rmSync(dir, { recursive: true, force: true })
      rmSync(`${dir}-keys`, { recursive: true, force: true })
    }
    return document.ok ? 0 : 1
  },
}
