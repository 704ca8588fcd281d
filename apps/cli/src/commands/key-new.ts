import { toHex } from '@salus/core'
import { type Command, usage } from '../command.ts'
import { printJson } from '../io.ts'
import { makeKeyFile } from '../key-file.ts'

export const keyNew: Command = {
  name: 'key new',
  summary: 'Make an Ed25519 key in a file of mode 0600, to sign calls with',
  positionals: 'FILE',
  positionalsMax: 1,
  flags: {},
  examples: ['salus key new grant.key'],
  async run(args, io) {
    const [file] = args.positionals
    if (file === undefined) throw usage('FILE: name the file to make')
    const { publicKey } = await makeKeyFile(io, file)
    if (args.is('json')) printJson(io, { ok: true, file, publicKey: toHex(publicKey) })
    else io.out(`${file}\n  public key  ${toHex(publicKey)}\n`)
    return 0
  },
}
