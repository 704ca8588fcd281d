import { type Connection, connect, withToken } from '@salus/sdk'
import { type Args, type Flags, usage } from './command.ts'
import type { Io } from './io.ts'

/** Flags of commands that talk to a running node. */
export const NODE_FLAGS: Flags = {
  node: { value: 'URL', doc: 'The node to ask (also SALUS_NODE)' },
  token: {
    value: 'TOKEN',
    doc: 'Session token (also SALUS_TOKEN, which other users of the machine do not see)',
  },
}

/** The node that a person named, with her session if she has one. Throws AppError `USAGE`. */
export function nodeOf(args: Args, io: Io): Connection {
  const url = args.text('node') ?? io.env['SALUS_NODE']
  if (url === undefined) throw usage('--node: is needed, the address of a running node')
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw usage('--node: must be an http(s) address')
  const connection = connect({ url, network: io.network })
  const token = args.text('token') ?? io.env['SALUS_TOKEN']
  return token === undefined ? connection : withToken(connection, token)
}
