import type { Command } from '../command.ts'
import { CONFIG_FLAGS, readConfig } from '../config.ts'
import { printJson } from '../io.ts'

export const config: Command = {
  name: 'config',
  summary: 'Show the settings that a node would run with, and where each comes from',
  about:
    'Flags go before the environment, the environment before the file, the file before defaults. Secrets are not shown.',
  flags: CONFIG_FLAGS,
  examples: ['salus config', 'salus config --config /etc/salus.json --port 9000 --json'],
  async run(args, io) {
    const { settings } = await readConfig(args, io)
    const hasPassphrase = io.env['SALUS_PASSPHRASE'] !== undefined
    if (args.is('json')) printJson(io, { ok: true, settings, passphrase: hasPassphrase ? 'set' : 'not set' })
    else {
      const width = Math.max(...settings.map(({ value }) => value.length))
      for (const { name, value, source } of settings)
        io.out(`${name.padEnd(14)}  ${value.padEnd(width)}  ${source}\n`)
      io.out(
        `${'passphrase'.padEnd(14)}  ${hasPassphrase ? 'set (environment SALUS_PASSPHRASE)' : 'not set'}\n`,
      )
    }
    return 0
  },
}
