import {
  AppError,
  bytes,
  check,
  decode,
  encode,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  sha256,
  text,
  toHex,
  uint,
} from '@salus/core'
import { memberForm, orgId, paramsForm } from './contracts/forms.ts'
import { isOrgId } from './tx/bundle.ts'
import { must } from './tx/read.ts'

/** How a network starts (protocol §11). Its hash is the chain id, so it never changes. */
export const genesisForm = object('How a network starts', {
  v: uint('Version of this form: 1', { max: 1 }),
  name: text('Name of the network', { min: 1, max: 100 }),
  timeMs: uint('When it starts, ms UTC; the time of height 0'),
  engine: oneOf('Who orders blocks', ['embedded', 'comet']),
  operator: optional(orgId),
  members: list(memberForm, { doc: 'The first organisations', min: 1, max: 100 }),
  witnesses: list(
    object('A witness that cosigns the block log', {
      name: text('Its name in cosignatures', { min: 1, max: 100 }),
      key: bytes('Ed25519 public key', { length: 32 }),
      url: optional(text('Where it is reached', { max: 200 })),
    }),
    { max: 16 },
  ),
  params: paramsForm,
  contracts: list(
    object('A contract that acts from the first block', {
      name: text('Contract', { min: 1, max: 32 }),
      version: uint('Version'),
    }),
    { doc: 'What the first blocks run; later versions and contracts come by vote', min: 1, max: 100 },
  ),
})
export type Genesis = Infer<typeof genesisForm>

const MAX_GENESIS_BYTES = 512 * 1024

/** The strict bytes of a genesis. Throws AppError `GENESIS` or `SCHEMA`. */
export function encodeGenesis(genesis: Genesis): Uint8Array {
  const bytes = encode(checkGenesis(genesis))
  must(bytes.length <= MAX_GENESIS_BYTES, 'GENESIS', `genesis: may have ${MAX_GENESIS_BYTES} bytes`)
  return bytes
}

/** Reads a genesis. Throws AppError `GENESIS`, `SCHEMA` or `CBOR`. */
export function decodeGenesis(genesisBytes: Uint8Array): Genesis {
  return checkGenesis(decode(genesisBytes, { maxBytes: MAX_GENESIS_BYTES, maxDepth: 8 }))
}

/** `H(genesis)`: chain id and genesis id, 32 B. */
export function chainIdOf(genesisBytes: Uint8Array): Uint8Array {
  return sha256(genesisBytes)
}

function checkGenesis(value: unknown): Genesis {
  const genesis = check(genesisForm, value)
  must(genesis.v === 1, 'GENESIS', 'genesis.v: this version is not known; use 1')
  const orgs = genesis.members.map((member) => member.org)
  for (const org of orgs)
    must(isOrgId(org), 'GENESIS', 'genesis.members[].org: must be a–z, 0–9 and inner dashes')
  unique('members[].org', orgs)
  unique(
    'members[].sign',
    genesis.members.map((member) => toHex(member.sign)),
  )
  unique(
    'witnesses[].name',
    genesis.witnesses.map((witness) => witness.name),
  )
  unique(
    'contracts[].name',
    genesis.contracts.map((contract) => contract.name),
  )
  if (genesis.engine === 'embedded') {
    const { operator } = genesis
    must(operator !== undefined && orgs.includes(operator), 'GENESIS', 'genesis.operator: must be a member')
  } else must(genesis.operator === undefined, 'GENESIS', 'genesis.operator: only the embedded engine has one')
  return genesis
}

function unique(field: string, values: readonly string[]): void {
  if (new Set(values).size !== values.length)
    throw new AppError('GENESIS', `genesis.${field}: each must occur once`)
}
