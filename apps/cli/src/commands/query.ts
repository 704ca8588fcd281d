import { toJson } from '@salus/core'
import { builtinContracts, describeContracts, type QueryDescriptor } from '@salus/ledger'
import { sendForJson } from '@salus/sdk'
import { type Command, usage } from '../command.ts'
import { CONTRACTS } from '../contracts.ts'
import { fieldFlags, readFields } from '../fields.ts'
import { printJson } from '../io.ts'
import { NODE_FLAGS, nodeOf } from '../node-flags.ts'

export const query: Command = {
  name: 'query',
  summary: 'Ask a contract on the ledger, as a node executed it',
  positionals: 'CONTRACT QUERY',
  positionalsMax: 2,
  about:
    'The fields of each query are its flags: salus query CONTRACT QUERY --help lists them. Bytes are answered as base64url.',
  flags: NODE_FLAGS,
  examples: [
    'salus query governance members --node https://node.example',
    'salus query consent grant --g 9a0b…41 --node https://node.example --json',
  ],
  moreFlags: async (argv) => {
    const found = findQuery(argv)
    return found === undefined ? {} : fieldFlags(found.input)
  },
  async run(args, io) {
    const [contract, name] = args.positionals
    const found = findQuery(args.positionals)
    if (found === undefined) {
      const all = describeContracts([...builtinContracts, ...CONTRACTS])
      const one = all.find((each) => each.name === contract)
      if (one === undefined)
        throw usage(`CONTRACT: must be one of ${all.map((each) => each.name).join(', ')}`)
      throw usage(`QUERY: ${contract} has ${one.queries.map((each) => each.name).join(', ')}`)
    }
    const input = toJson(found.input, readFields(found.input, args))
    const answer = await sendForJson(nodeOf(args, io), 'POST', `/ledger/query/${contract}/${name}`, {
      json: input,
    })
    if (args.is('json')) printJson(io, { ok: true, answer })
    else io.out(`${JSON.stringify(answer, null, 2)}\n`)
    return 0
  },
}

function findQuery([contract, name]: readonly string[]): QueryDescriptor | undefined {
  return describeContracts([...builtinContracts, ...CONTRACTS])
    .find((one) => one.name === contract)
    ?.queries.find((one) => one.name === name)
}
