import { bytes, list, object, optional } from '@salus/core'
import { defineContract } from '../../runtime/define.ts'
import { ed25519Key, height, organisationKeys, orgId } from '../forms.ts'

const staffKey = bytes('ES256 public key, compressed P-256', { length: 33 })
const keysRow = object('Keys of an organisation', {
  keys: organisationKeys,
  from: height,
  /** Replace `keys` from `nextFrom` on. */
  next: optional(organisationKeys),
  nextFrom: optional(height),
})
const historyRow = object('Keys from a height on', { keys: organisationKeys, to: optional(height) })
const staffRow = object('A staff key', { org: orgId, from: height, to: optional(height) })

export const organisations = defineContract({
  name: 'organisations',
  version: 1,
  doc: 'Public keys of organisations, with the heights from and to which they hold, and the governance keys of their staff.',
  rejects: {
    notMember: 100,
    notSigned: 101,
    unknownOrg: 102,
    pending: 103,
    tooEarly: 104,
    keyInUse: 105,
    notFound: 106,
  },
  tables: {
    keys: { doc: 'Keys in force, and those that follow', key: [orgId], row: keysRow },
    history: { doc: 'All keys by the height they began at', key: [orgId, height], row: historyRow },
    signKeys: { doc: 'Whose a sign key is or was', key: [ed25519Key], row: object('', { org: orgId }) },
    staffKeys: {
      doc: 'ES256 keys that may propose and vote for an organisation',
      key: [staffKey],
      row: staffRow,
    },
  },
  events: {
    keysSet: { doc: 'An organisation announced keys', data: object('', { org: orgId, from: height }) },
    staffKeySet: { doc: 'A staff key began or ended', data: object('', { org: orgId, key: staffKey }) },
  },
  calls: {
    setKeys: {
      doc: 'Replace the own keys from a later height on. Signed by the sign keys in force and, if it changes, the new one.',
      input: object('', { org: orgId, keys: organisationKeys, from: height }),
    },
    registerStaffKey: {
      doc: 'Let an ES256 key propose and vote for the organisation. Signed by its sign key.',
      input: object('', { org: orgId, key: staffKey }),
    },
    endStaffKey: {
      doc: 'End a staff key. Signed by the organisation’s sign key or by the key itself.',
      input: object('', { org: orgId, key: staffKey }),
    },
  },
  internal: {
    enter: {
      doc: 'Keys of an organisation that is admitted; true if its sign key was free.',
      from: ['governance'],
      input: object('', { org: orgId, keys: organisationKeys }),
    },
    replace: {
      doc: 'Keys by vote, for an organisation that cannot sign.',
      from: ['governance'],
      input: object('', { org: orgId, keys: organisationKeys, from: height }),
    },
  },
  queries: {
    keys: {
      doc: 'Keys in force at the head, and those that follow.',
      input: object('', { org: orgId }),
      output: optional(keysRow),
    },
    history: {
      doc: 'All keys of an organisation, oldest first.',
      input: object('', { org: orgId }),
      output: list(object('', { from: height, row: historyRow }), { max: 1_000 }),
    },
    staffKey: {
      doc: 'Whose a staff key is.',
      input: object('', { key: staffKey }),
      output: optional(staffRow),
    },
  },
})
