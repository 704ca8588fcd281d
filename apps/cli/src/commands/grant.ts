import { consentSchema } from '@salus/consent/contract'
import { fromJson, instantOf, toBase64url, toHex, toJson } from '@salus/core'
import { head, sendForJson } from '@salus/sdk'
import { type Command, usage } from '../command.ts'
import { readBytes } from '../fields.ts'
import { printJson } from '../io.ts'
import { NODE_FLAGS, nodeOf } from '../node-flags.ts'

export const grantList: Command = {
  name: 'grant list',
  summary: 'List my grants at a custodian, with whom they let in, to what and until when',
  about: 'Asks with the session of a patient or delegate at the organisation that holds the records.',
  flags: NODE_FLAGS,
  examples: ['salus grant list --node https://node.example --token …', 'salus grant list --json --node …'],
  async run(args, io) {
    const { grantsAt } = await import('@salus/consent/client')
    const node = nodeOf(args, io)
    // The ledger's time decides, not this machine's: `consent/check` judges by the same.
    const { timeMs } = await head(node)
    const grants = (await grantsAt(node)).map(({ g, terms, withdrawn, requests }) => ({
      g: toHex(g),
      grantee: [terms.grantee.org, terms.grantee.unit, terms.grantee.practitioner].filter(Boolean).join('/'),
      purpose: terms.purpose,
      compartments: terms.scope.compartments,
      actions: terms.actions,
      notBefore: instantOf(terms.notBefore),
      notAfter: instantOf(terms.notAfter),
      withdrawn,
      state: withdrawn
        ? 'withdrawn'
        : terms.notAfter <= timeMs
          ? 'expired'
          : terms.notBefore > timeMs
            ? 'not yet'
            : 'given',
      requests,
    }))
    if (args.is('json')) printJson(io, { ok: true, grants })
    else {
      for (const { g, grantee, purpose, compartments, notAfter, state, requests } of grants)
        io.out(
          `${g}  ${state}  to ${grantee} for ${purpose}: ${compartments.join(', ')}; until ${notAfter}; asked ${requests} times\n`,
        )
      io.out(`${grants.length} grants\n`)
    }
    return 0
  },
}

export const grantShow: Command = {
  name: 'grant show',
  summary: 'Show what the ledger says of a grant: its state and its end, and nothing about people',
  positionals: 'G',
  positionalsMax: 1,
  flags: NODE_FLAGS,
  examples: ['salus grant show 9a0b…41 --node https://node.example'],
  async run(args, io) {
    const [text] = args.positionals
    if (text === undefined) throw usage('G: name the grant, 16 bytes in hex or base64url')
    const g = readBytes('G', text, 16, 16)
    const { input, output } = consentSchema.queries.grant
    const answer = await sendForJson(nodeOf(args, io), 'POST', '/ledger/query/consent/grant', {
      json: toJson(input, { g }),
    })
    const row = answer === null || answer === undefined ? undefined : fromJson(output.inner, answer)
    if (args.is('json'))
      printJson(io, { ok: row !== undefined, g: toHex(g), grant: row && toJson(output.inner, row) })
    else if (row === undefined) io.out(`${toHex(g)}: the ledger knows no such grant\n`)
    else {
      io.out(`${toHex(g)}\n`)
      for (const [name, value] of Object.entries(row))
        io.out(`  ${name.padEnd(12)}${value instanceof Uint8Array ? toBase64url(value) : String(value)}\n`)
    }
    return row === undefined ? 1 : 0
  },
}
